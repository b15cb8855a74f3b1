//! Latencies and the timer's error as figures.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

const NANOS_PER_MILLI: f64 = 1e6;
const NANOS_PER_MICRO: f64 = 1e3;

/// A latency in milliseconds. A batch counts once for each of its orders.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
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
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max() as f64 / NANOS_PER_MILLI,
        mean: histogram.mean() / NANOS_PER_MILLI,
        count: histogram.len(),
    }
}

/// A percentile is the highest value that a histogram cannot tell from it, which must not exceed the maximum.
pub(super) fn at_quantile<T: Counter>(histogram: &Histogram<T>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile).min(histogram.max()) as f64
}

/// The three latencies in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// Due -> sent.
    pub delay: Latency,
    /// Sent -> reply.
    pub service: Latency,
    /// Due -> reply, the headline.
    pub response: Latency,
}

/// How late the timer woke the generator, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TimerError {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl TimerError {
    /// Of a histogram of nanoseconds.
    pub fn new(late: &Histogram<u64>) -> Self {
        Self {
            p50: at_quantile(late, 0.5) / NANOS_PER_MICRO,
            p99: at_quantile(late, 0.99) / NANOS_PER_MICRO,
            max: late.max() as f64 / NANOS_PER_MICRO,
        }
    }
}
