//! What a run has found, for programs as JSON and for people as text.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use hdrhistogram::{Counter, Histogram};
use pipeline::outcomes::OutcomeWriter;
use serde::Serialize;

use crate::measure::Second;
use crate::payload::Payload;
use crate::plan::Plan;
use crate::run::RunResult;

/// The name and version of the report's form.
pub const SCHEMA: &str = "tillflow.loadgen.v1";

const NANOS_PER_MILLI: f64 = 1e6;
const NANOS_PER_MICRO: f64 = 1e3;
const MICROS_PER_MILLI: f64 = 1e3;

/// A latency in milliseconds. A batch counts once for each of its orders.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The longest.
    pub max: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The number of orders.
    pub count: u64,
}

/// The latency that a histogram of nanoseconds holds.
pub fn latency_ms(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| at_quantile(histogram, quantile) / NANOS_PER_MILLI;
    Latency {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max() as f64 / NANOS_PER_MILLI,
        mean: histogram.mean() / NANOS_PER_MILLI,
        count: histogram.len(),
    }
}

/// A percentile is the highest value that a histogram cannot tell from it, which must not exceed the maximum.
fn at_quantile<T: Counter>(histogram: &Histogram<T>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile).min(histogram.max()) as f64
}

/// The report of a run, as it is written to JSON.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// True if there are no reasons against it.
    pub valid: bool,
    /// Why the run may not be trusted.
    pub reasons: Vec<String>,
    /// Orders a second that were asked for.
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
    /// Orders that were sent again after the schedule.
    pub retried: u64,
    /// Orders by the outcome of their first sending, which is what the latencies are of.
    pub first: FirstOutcomes,
    /// Rejected orders by reason.
    pub rejections: BTreeMap<String, u64>,
    /// Sendings that ended failed or unknown, by reason and in orders.
    pub failures: BTreeMap<String, u64>,
    /// The three latencies.
    pub latency_ms: Latencies,
    /// One row for each second of the schedule.
    pub series: Vec<SeriesRow>,
    /// What was asked for.
    pub plan: PlanReport,
    /// What was sent.
    pub payload: Option<PayloadReport>,
    /// How late the timer woke the generator.
    pub timer_error_us: TimerError,
    /// CPU time of the generator's threads while the schedule was kept.
    pub cpu_seconds: f64,
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

/// The three latencies in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latencies {
    /// Due -> sent.
    pub delay: Latency,
    /// Sent -> reply.
    pub service: Latency,
    /// Due -> reply, the headline.
    pub response: Latency,
}

/// One second of the schedule.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SeriesRow {
    /// The second, counted from 0.
    pub second: usize,
    /// Orders due in it.
    pub due: u64,
    /// Of these, orders sent, whenever that was.
    pub sent: u64,
    /// Of these, orders accepted at their first sending.
    pub accepted: u64,
    /// Of these, orders not accepted at their first sending.
    pub not_accepted: u64,
    /// Response in milliseconds; null where no reply came.
    pub response_p50_ms: Option<f64>,
    /// Response in milliseconds; null where no reply came.
    pub response_p99_ms: Option<f64>,
    /// Response in milliseconds; null where no reply came.
    pub response_max_ms: Option<f64>,
}

impl SeriesRow {
    fn new(number: usize, second: &Second) -> Self {
        let max_us = second.response_max_us as f64;
        // Two digits round up; the maximum is exact and bounds them.
        let ms = |us: f64| (!second.response_us.is_empty()).then_some(us.min(max_us) / MICROS_PER_MILLI);
        Self {
            second: number,
            due: second.due,
            sent: second.sent,
            accepted: second.accepted,
            not_accepted: second.not_accepted,
            response_p50_ms: ms(at_quantile(&second.response_us, 0.5)),
            response_p99_ms: ms(at_quantile(&second.response_us, 0.99)),
            response_max_ms: ms(max_us),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// Where requests went.
    pub url: String,
    /// Orders a second.
    pub rate: f64,
    /// The length of the schedule as it was made.
    pub duration_seconds: f64,
    /// Orders a request.
    pub batch: usize,
    /// Orders of the schedule.
    pub orders: usize,
    /// Connections over all threads.
    pub connections: usize,
    /// Threads.
    pub threads: usize,
    /// True for HTTP/2.
    pub http2: bool,
    /// The limit of one request.
    pub timeout_seconds: f64,
    /// The limit of all retries.
    pub retry_for_seconds: f64,
    /// The limit of delay's 99th percentile.
    pub max_delay_ms: f64,
}

/// What was sent, so that the same can be sent again.
#[derive(Clone, Debug, Serialize)]
pub struct PayloadReport {
    /// The seed, unless it was read from a file.
    pub seed: Option<u64>,
    /// A hash of all orders, `xxh3:` and 16 hexadecimal digits: as a JSON number it would lose its last ones.
    pub fingerprint: String,
    /// Orders in it.
    pub orders: usize,
}

impl PayloadReport {
    /// The report of a payload that was generated for this seed, or read from a file.
    pub fn new(payload: &Payload, seed: Option<u64>) -> Self {
        let fingerprint = format!("xxh3:{:016x}", payload.fingerprint());
        Self { seed, fingerprint, orders: payload.len() }
    }
}

/// How late the timer woke the generator, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TimerError {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl RunReport {
    /// The report of a result.
    pub fn new(plan: &Plan, payload: Option<PayloadReport>, result: &RunResult) -> Self {
        let timer_us = |ns: f64| ns / NANOS_PER_MICRO;
        Self {
            schema: SCHEMA,
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
            latency_ms: Latencies {
                delay: latency_ms(&result.latencies.delay),
                service: latency_ms(&result.latencies.service),
                response: latency_ms(&result.latencies.response),
            },
            series: result.series.iter().enumerate().map(|(n, second)| SeriesRow::new(n, second)).collect(),
            plan: PlanReport {
                url: plan.url.clone(),
                rate: plan.rate,
                duration_seconds: result.schedule.length().as_secs_f64(),
                batch: plan.batch,
                orders: result.schedule.orders(),
                connections: plan.connections,
                threads: plan.threads,
                http2: plan.http2,
                timeout_seconds: plan.timeout.as_secs_f64(),
                retry_for_seconds: plan.retry_for.as_secs_f64(),
                max_delay_ms: plan.max_delay.as_secs_f64() * 1e3,
            },
            payload,
            timer_error_us: TimerError {
                p50: timer_us(at_quantile(&result.timer_error, 0.5)),
                p99: timer_us(at_quantile(&result.timer_error, 0.99)),
                max: timer_us(result.timer_error.max() as f64),
            },
            cpu_seconds: result.cpu.as_secs_f64(),
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
