//! What a run is asked to do: the target, the rate and the limits, and the bodies that it sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::payload::Payload;
use crate::schedule::{Schedule, ScheduleError};

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to send, `http://host:port/path`.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// Further request headers, name and value.
    pub headers: Vec<(String, String)>,
    /// Orders a second, down to a thousandth of an order.
    pub rate: f64,
    /// How long to send; replies and retries come on top.
    pub duration: Duration,
    /// Orders a request. 1 sends single JSON objects, more sends NDJSON.
    pub batch: usize,
    /// The most orders to send, if fewer than rate and duration ask for.
    pub orders: Option<usize>,
    /// Connections, over all threads. Each has one request under way at a time.
    pub connections: usize,
    /// Threads, each with its own share of the schedule and of the connections.
    pub threads: usize,
    /// HTTP/2 with prior knowledge instead of HTTP/1.1.
    pub http2: bool,
    /// How long a request may take from its sending to the end of its reply; then its orders are unknown.
    pub timeout: Duration,
    /// How long orders without a definite outcome are sent again after the schedule has ended.
    pub retry_for: Duration,
    /// The highest 99th percentile of delay (due -> sent) at which the run is still valid.
    pub max_delay: Duration,
    /// Starts on a whole second of Unix time, so that its seconds are those of the wall clock.
    pub on_a_second: bool,
    /// Keeps all latencies of each second of the schedule apart, at some 100 KB a second.
    pub fine: bool,
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
            batch: 1,
            orders: None,
            connections: 50,
            threads: 1,
            http2: false,
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(60),
            max_delay: Duration::from_millis(100),
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
        Schedule::new(self.rate, self.duration, self.batch, most)
    }
}

/// The bodies that a run sends.
#[derive(Clone)]
pub enum Bodies {
    /// Orders, each with an id of its own, so that one can be sent again without harm.
    Orders(Arc<Payload>),
    /// The same body each time, for any server. Nothing is known of its meaning, so nothing is sent again.
    Same(Bytes),
}

impl From<&Arc<Payload>> for Bodies {
    fn from(payload: &Arc<Payload>) -> Self {
        Self::Orders(Arc::clone(payload))
    }
}

impl Bodies {
    /// The number of orders there are to send.
    pub(crate) fn available(&self) -> usize {
        match self {
            Self::Orders(payload) => payload.len(),
            Self::Same(_) => usize::MAX,
        }
    }

    /// The body of a request with `count` orders from `first` on. `batched` runs send NDJSON even where one order is
    /// left, because all requests of a run have one content type.
    pub(crate) fn body(&self, first: usize, count: usize, batched: bool) -> Option<Bytes> {
        match self {
            Self::Orders(payload) if batched => payload.batch(first, count),
            Self::Orders(payload) => payload.order(first),
            Self::Same(body) => Some(body.clone()),
        }
    }

    pub(crate) const fn content_type(&self, batched: bool) -> &'static str {
        match self {
            Self::Orders(_) if batched => "application/x-ndjson",
            Self::Orders(_) => "application/json",
            Self::Same(_) => "application/octet-stream",
        }
    }

    /// True if a repeat of the same order is known to be harmless.
    pub(crate) const fn may_be_sent_again(&self) -> bool {
        matches!(self, Self::Orders(_))
    }
}
