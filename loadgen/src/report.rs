//! What a run has found, for programs as JSON and for people as text.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pipeline::outcomes::OutcomeWriter;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

pub use self::asked::{PayloadReport, PlanReport};
pub use self::latency::{Latencies, Latency, TimerError, latency_ms};
pub use self::series::SeriesRow;
use crate::calibrate::Calibration;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::run::RunResult;
use crate::validity::CLOSED_LOOP;

mod asked;
mod latency;
mod series;

/// The name and version of the report's form.
pub const SCHEMA: &str = "tillflow.loadgen.v1";
/// The JSON Schema of the report.
pub const JSON_SCHEMA: &str = include_str!("../report.schema.json");

/// The report of a run, as it is written to JSON.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// `open loop`, or what a closed loop is to be called.
    pub mode: &'static str,
    /// True if there are no reasons against it.
    pub valid: bool,
    /// Why the run may not be trusted.
    pub reasons: Vec<String>,
    /// Orders a second that were asked for, the mean where the rate changes; 0 in a closed loop.
    pub offered_per_second: f64,
    /// Orders a second that were sent.
    pub achieved_per_second: f64,
    /// Orders that came due.
    pub due: u64,
    /// Orders sent: accepted + rejected + failed + unknown.
    pub sent: u64,
    /// Orders by their last outcome.
    pub accepted: u64,
    /// Orders by their last outcome.
    pub rejected: u64,
    /// Orders by their last outcome.
    pub failed: u64,
    /// Orders by their last outcome.
    pub unknown: u64,
    /// Sendings of orders beyond their first, after the schedule: an order that was sent again twice counts twice.
    pub retried: u64,
    /// Orders by the outcome of their first sending, which is what the latencies are of.
    pub first: FirstOutcomes,
    /// Rejected orders by reason.
    pub rejections: BTreeMap<String, u64>,
    /// Sendings that ended failed or unknown, by reason and in orders.
    pub failures: BTreeMap<String, u64>,
    /// Replies to first sendings by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests that had to wait for the limit on requests under way, which their delay shows.
    pub in_flight_limited: u64,
    /// The three latencies; of a closed loop only service.
    pub latency_ms: Latencies,
    /// One row for each second of the schedule.
    pub series: Vec<SeriesRow>,
    /// What was asked for.
    pub plan: PlanReport,
    /// What was sent.
    pub payload: Option<PayloadReport>,
    /// A hash of the schedule and of what was sent: two runs with the same one were offered the same load.
    pub fingerprint: String,
    /// How late the timer woke the generator.
    pub timer_error_us: TimerError,
    /// CPU time of the generator's threads from the start of the schedule to its last reply.
    pub cpu_seconds: f64,
    /// The share of the schedule's time in which the busiest thread computed; a closed loop's ends with its last reply.
    pub cpu_share: f64,
    /// What the generator can do on this machine, where that was measured.
    pub calibration: Option<Calibration>,
    /// When the schedule was broken off, if it was.
    pub broken_off_after_seconds: Option<f64>,
}

/// Orders by the outcome of their first sending.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FirstOutcomes {
    /// Durable in the log.
    pub accepted: u64,
    /// Invalid.
    pub rejected: u64,
    /// Certainly not in the log.
    pub failed: u64,
    /// Perhaps in the log.
    pub unknown: u64,
}

impl RunReport {
    /// The report of a result.
    pub fn new(plan: &Plan, payload: Option<PayloadReport>, result: &RunResult) -> Self {
        let sent = payload.as_ref().map_or("", |payload| payload.fingerprint.as_str());
        let offered = format!("{:016x} {sent}", result.schedule.fingerprint());
        Self {
            schema: SCHEMA,
            mode: if plan.closed_loop { CLOSED_LOOP } else { "open loop" },
            valid: result.valid(),
            reasons: result.reasons.clone(),
            offered_per_second: result.offered_per_second,
            achieved_per_second: result.achieved_per_second,
            due: result.due,
            sent: result.counts.sent,
            accepted: result.counts.accepted,
            rejected: result.counts.rejected,
            failed: result.counts.failed,
            unknown: result.counts.unknown,
            retried: result.retried,
            first: FirstOutcomes {
                accepted: result.first.accepted,
                rejected: result.first.rejected,
                failed: result.first.failed,
                unknown: result.first.unknown,
            },
            rejections: result.rejections.clone(),
            failures: result.failures.clone(),
            statuses: result.statuses.clone(),
            in_flight_limited: result.limited,
            latency_ms: Latencies {
                delay: latency_ms(&result.latencies.delay),
                service: latency_ms(&result.latencies.service),
                response: latency_ms(&result.latencies.response),
            },
            series: result.series.iter().enumerate().map(|(n, second)| SeriesRow::new(n, second)).collect(),
            plan: PlanReport::new(plan, &result.schedule),
            fingerprint: asked::hash(xxh3_64(offered.as_bytes())),
            payload,
            timer_error_us: TimerError::new(&result.timer_error),
            cpu_seconds: result.cpu.as_secs_f64(),
            cpu_share: result.cpu_share,
            calibration: None,
            broken_off_after_seconds: result.broken_off_after.map(|after| after.as_secs_f64()),
        }
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}

/// Writes what became of each order that was sent, for the ledger. An order that was not sent is not in the file.
///
/// # Errors
/// Those of writing a file.
pub fn write_outcomes(path: &Path, payload: &Payload, result: &RunResult) -> io::Result<()> {
    let mut writer = OutcomeWriter::create(path)?;
    for (order, outcome) in result.outcomes.iter().enumerate() {
        if let (Some(outcome), Some(order_id)) = (outcome, payload.order_id(order)) {
            writer.write(order_id, *outcome)?;
        }
    }
    writer.finish()
}
