//! What a run is asked to do: the target, the rate over time and the limits.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::bodies::Bodies;
use crate::schedule::{Profile, Schedule, ScheduleError};

/// What must hold for a run to be valid.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The share of the rate that must be achieved; below it the run was one of another rate.
    pub min_achieved: f64,
    /// The highest 99th percentile of delay (due -> sent).
    pub max_delay: Duration,
    /// The share of its time that a thread of the generator may compute; above it the generator is the bottleneck.
    pub max_cpu: f64,
}

impl Default for Limits {
    fn default() -> Self {
        // Up to 95 % of a processor a thread catches up by itself with what the machine takes from it.
        Self { min_achieved: 0.99, max_delay: Duration::from_millis(100), max_cpu: 0.95 }
    }
}

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to send, `http://host:port/path` or `https://…`.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// Further request headers, name and value.
    pub headers: Vec<(String, String)>,
    /// Orders a second, down to a thousandth of an order; not used where there is a profile.
    pub rate: f64,
    /// How long to send; replies and retries come on top. Not used where there is a profile.
    pub duration: Duration,
    /// The rate over time, if it is not the same throughout.
    pub profile: Option<Profile>,
    /// For a profile of replay: when each order was due once, in Unix nanoseconds.
    pub instants: Option<Arc<[i128]>>,
    /// No schedule: each connection sends its next request when it has its reply. It measures service alone, and such
    /// a run says so in its reasons.
    pub closed_loop: bool,
    /// Orders a request. 1 sends single JSON objects, more sends NDJSON.
    pub batch: usize,
    /// The most orders to send, if fewer than rate and duration ask for.
    pub orders: Option<usize>,
    /// Connections, over all threads. Each has one request under way at a time, unless there are more streams.
    pub connections: usize,
    /// Requests that a connection may have under way; more than one only with HTTP/2.
    pub streams: usize,
    /// The most requests under way, over all threads. One that is due above it waits, and its delay says how long.
    pub max_in_flight: Option<usize>,
    /// Threads, each with its own share of the schedule and of the connections.
    pub threads: usize,
    /// HTTP/2 instead of HTTP/1.1: with prior knowledge, or agreed on by ALPN with TLS.
    pub http2: bool,
    /// For https: whom to trust.
    pub tls: Tls,
    /// Connect to this socket, and take no address from the URL.
    pub unix_socket: Option<PathBuf>,
    /// Statuses that count as accepted; empty: what the order contract says, 2xx.
    pub expect: Vec<RangeInclusive<u16>>,
    /// How long a request may take from its sending to the end of its reply; then its orders are unknown.
    pub timeout: Duration,
    /// How long orders without a definite outcome are sent again after the schedule has ended.
    pub retry_for: Duration,
    /// What must hold for the run to be valid.
    pub limits: Limits,
    /// How long before a due instant the generator begins to look at the clock over and over, rather than to sleep.
    pub spin: Duration,
    /// How far wake-ups of a thread are apart at least: what comes due in between is sent together, and late by up to
    /// this. A wake-up costs about half of what a request costs: at 25,000 requests/s 100 us took the generator from
    /// 0.8 to 0.63 of a core, and up to 10,000 requests/s a thread it changes nothing.
    pub slack: Duration,
    /// Starts on a whole second of Unix time, so that its seconds are those of the wall clock.
    pub on_a_second: bool,
    /// Keeps all latencies of each second of the schedule apart, at some 100 KB a second.
    pub fine: bool,
}

/// Whom to trust at the other end of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// The authorities that the system trusts.
    #[default]
    System,
    /// The authorities of this PEM file, and nobody else.
    Authorities(PathBuf),
    /// Everybody: the certificate is not checked, so this shows nothing of who answered.
    Insecure,
}

impl Plan {
    /// A plan with the defaults of the command line: single posts, 50 connections, one thread.
    pub fn new(url: impl Into<String>, rate: f64, duration: Duration) -> Self {
        Self {
            url: url.into(),
            method: "POST".to_owned(),
            headers: Vec::new(),
            rate,
            duration,
            profile: None,
            instants: None,
            closed_loop: false,
            batch: 1,
            orders: None,
            connections: 50,
            streams: 1,
            max_in_flight: None,
            threads: 1,
            http2: false,
            tls: Tls::System,
            unix_socket: None,
            expect: Vec::new(),
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(60),
            limits: Limits::default(),
            spin: Duration::ZERO,
            slack: Duration::from_micros(100),
            on_a_second: false,
            fine: false,
        }
    }

    /// The number of orders that rate, duration and cap ask for: as many as a payload must have.
    ///
    /// # Errors
    /// A schedule that cannot be kept.
    pub fn orders_asked(&self) -> Result<usize, ScheduleError> {
        Ok(self.schedule(usize::MAX)?.orders())
    }

    /// The schedule of this plan for a payload of `available` orders.
    ///
    /// # Errors
    /// A schedule that cannot be kept.
    pub fn schedule(&self, available: usize) -> Result<Schedule, ScheduleError> {
        let most = self.orders.unwrap_or(usize::MAX).min(available);
        if self.closed_loop {
            return Schedule::closed_loop(self.duration, self.batch, most);
        }
        match (&self.profile, &self.instants) {
            (None, _) => Schedule::new(self.rate, self.duration, self.batch, most),
            (Some(Profile::Replay { speed }), Some(instants)) => {
                Schedule::replay(instants, *speed, self.batch, most)
            }
            (Some(profile), _) => Schedule::of(profile, self.batch, most),
        }
    }
}

/// Reads statuses as people write them: `200`, `2xx` or `200-204`.
///
/// # Errors
/// What is none of these, in words.
pub fn statuses(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "it is none of 200, 2xx and 200-204".to_owned();
    let status = |text: &str| text.trim().parse::<u16>().ok().filter(|status| (100..1000).contains(status));
    let class =
        |text: &str| text.strip_suffix("xx")?.parse::<u16>().ok().filter(|class| (1..10).contains(class));
    if let Some(class) = class(text) {
        return Ok(class * 100..=class * 100 + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_people_write_them() {
        assert_eq!(statuses("404"), Ok(404..=404));
        assert_eq!(statuses("2xx"), Ok(200..=299));
        assert_eq!(statuses("200-204"), Ok(200..=204));
        for wrong in ["", "xx", "20x", "204-200", "20", "2000", "0xx", "ok"] {
            assert!(statuses(wrong).is_err(), "{wrong}");
        }
    }
}
