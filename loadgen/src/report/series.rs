//! The run second by second.

use serde::Serialize;

use super::latency::at_quantile;
use crate::measure::Second;

const MICROS_PER_MILLI: f64 = 1e3;

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
    pub(super) fn new(number: usize, second: &Second) -> Self {
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
