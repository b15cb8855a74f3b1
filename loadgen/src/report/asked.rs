//! What was asked for and what was sent, so that the same can be asked for again.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::payload::{Payload, Template};
use crate::plan::{Plan, Tls};
use crate::schedule::{Profile, Schedule};

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// Where requests went.
    pub url: String,
    /// The HTTP method.
    pub method: String,
    /// The socket that was connected to, if it was one of the file system.
    pub unix_socket: Option<String>,
    /// For https, whether the server's certificate was checked.
    pub certificate_checked: Option<bool>,
    /// Orders a second; the mean where it changes; 0 in a closed loop.
    pub rate: f64,
    /// The rate over time, if it changes.
    pub profile: Option<Profile>,
    /// True if each connection sent its next request when it had its reply.
    pub closed_loop: bool,
    /// The length of the schedule as it was made.
    pub duration_seconds: f64,
    /// Orders a request.
    pub batch: usize,
    /// Orders of the schedule; a closed loop has none.
    pub orders: Option<usize>,
    /// Connections over all threads.
    pub connections: usize,
    /// Requests that each may have under way.
    pub streams: usize,
    /// The limit on requests under way over all threads, if there was one.
    pub max_in_flight: Option<usize>,
    /// Threads.
    pub threads: usize,
    /// True for HTTP/2.
    pub http2: bool,
    /// The limit of one request.
    pub timeout_seconds: f64,
    /// The limit of all retries.
    pub retry_for_seconds: f64,
    /// The limit of the share of the rate that was achieved.
    pub min_achieved: f64,
    /// The limit of delay's 99th percentile.
    pub max_delay_ms: f64,
    /// The limit of the share of its time that a thread may compute.
    pub max_cpu: f64,
    /// How long before a due instant the clock was looked at over and over.
    pub spin_us: f64,
    /// How far wake-ups of a thread were apart at least.
    pub slack_us: f64,
}

impl PlanReport {
    pub(super) fn new(plan: &Plan, schedule: &Schedule) -> Self {
        let secure = plan.url.starts_with("https:");
        Self {
            url: plan.url.clone(),
            method: plan.method.clone(),
            unix_socket: plan.unix_socket.as_ref().map(|path| path.display().to_string()),
            certificate_checked: secure.then_some(plan.tls != Tls::Insecure),
            rate: schedule.rate(),
            profile: plan.profile.clone(),
            closed_loop: plan.closed_loop,
            duration_seconds: schedule.length().as_secs_f64(),
            batch: plan.batch,
            orders: if plan.closed_loop { None } else { Some(schedule.orders()) },
            connections: plan.connections,
            streams: plan.streams,
            max_in_flight: plan.max_in_flight,
            threads: plan.threads,
            http2: plan.http2,
            timeout_seconds: plan.timeout.as_secs_f64(),
            retry_for_seconds: plan.retry_for.as_secs_f64(),
            min_achieved: plan.limits.min_achieved,
            max_delay_ms: plan.limits.max_delay.as_secs_f64() * 1e3,
            max_cpu: plan.limits.max_cpu,
            spin_us: plan.spin.as_secs_f64() * 1e6,
            slack_us: plan.slack.as_secs_f64() * 1e6,
        }
    }
}

/// What was sent, so that the same can be sent again.
#[derive(Clone, Debug, Serialize)]
pub struct PayloadReport {
    /// The seed, unless it was read from a file.
    pub seed: Option<u64>,
    /// A hash of all orders, `xxh3:` and 16 hexadecimal digits: as a JSON number it would lose its last ones.
    pub fingerprint: String,
    /// Orders in it; of a template as many as there are requests.
    pub orders: Option<usize>,
}

impl PayloadReport {
    /// The report of a payload that was generated for this seed, or read from a file.
    pub fn new(payload: &Payload, seed: Option<u64>) -> Self {
        let fingerprint = hash(payload.fingerprint());
        Self { seed, fingerprint, orders: Some(payload.len()) }
    }
    /// The report of a body that is the same for each request.
    pub fn same(body: &[u8]) -> Self {
        Self { seed: None, fingerprint: hash(xxh3_64(body)), orders: None }
    }

    /// The report of a template.
    pub fn template(template: &Template) -> Self {
        Self { seed: Some(template.seed()), fingerprint: hash(template.fingerprint()), orders: None }
    }
}

/// A hash as reports spell it.
pub(super) fn hash(hash: u64) -> String {
    format!("xxh3:{hash:016x}")
}
