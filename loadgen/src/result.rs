//! What a run has found, before it is judged and after.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use pipeline::outcomes::Outcome;

use crate::gauges::Counts;
use crate::measure::{Latencies, Second};
use crate::schedule::Schedule;

/// What a run has found.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// When it started, in nanoseconds of Unix time.
    pub started_at: u64,
    /// The schedule that was kept.
    pub schedule: Schedule,
    /// Orders due until the schedule ended or was broken off.
    pub due: u64,
    /// Orders by their last outcome, after all retries. `sent` is the sum of the other four.
    pub counts: Counts,
    /// Orders by the outcome of their first sending.
    pub first: Counts,
    /// Sendings of orders beyond their first, after the schedule: an order that was sent again twice counts twice.
    pub retried: u64,
    /// Orders a second that were asked for.
    pub offered_per_second: f64,
    /// Orders sent over the time from the start to the last first sending, or the schedule's length if that is longer.
    pub achieved_per_second: f64,
    /// Delay, service and response of the first sending of each order.
    pub latencies: Latencies,
    /// How late the timer woke the generator, in nanoseconds, over its wake-ups.
    pub timer_error: Histogram<u64>,
    /// One row for each second of the schedule.
    pub series: Vec<Second>,
    /// The last outcome of each order of the schedule; nothing if it was not sent.
    pub outcomes: Vec<Option<Outcome>>,
    /// Rejected orders by reason.
    pub rejections: BTreeMap<String, u64>,
    /// Sendings that ended failed or unknown, by reason and in orders; an order counts each time.
    pub failures: BTreeMap<String, u64>,
    /// Attempts to open a connection that did not succeed while the schedule was kept.
    pub connections_not_opened: u64,
    /// When the schedule was broken off, if it was.
    pub broken_off_after: Option<Duration>,
    /// Replies to first sendings by status.
    pub statuses: BTreeMap<u16, u64>,
    /// True if the orders have ids and were followed to a definite outcome; otherwise nothing was sent again.
    pub followed: bool,
    /// Requests that were due and had to wait for the limit on requests under way; their delay says how long.
    pub limited: u64,
    /// CPU time of the generator's threads from the start of the schedule to its last reply.
    pub cpu: Duration,
    /// The share of the schedule's time in which the busiest thread computed, without the time in which it only looked at
    /// the clock. A closed loop's time ends with its last reply.
    pub cpu_share: f64,
    /// Why the run is not valid; empty if it is.
    pub reasons: Vec<String>,
}

impl RunResult {
    /// True if the run offered the load that was asked for and measured all of it.
    pub fn valid(&self) -> bool {
        self.reasons.is_empty()
    }
}
