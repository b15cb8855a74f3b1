//! What makes a run valid: pure rules over a finished report, so that a run cannot forget to ask.
//!
//! A run that breaks one of them still has its report, but no figure of it may be quoted.

use crate::figures::{latency, rate};
use crate::report::Report;

/// The limits that a run is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The least of achieved over offered. Below it the generator was the bottleneck.
    pub achieved_ratio_min: f64,
    /// The greatest 99th percentile of the delay, in milliseconds. Above it the schedule was not kept.
    pub delay_p99_ms_max: f64,
}

impl Default for Limits {
    fn default() -> Self {
        // The ratio is the design's. A delay of 5 ms is above what the scheduler of an idle laptop adds, and below
        // what a reader would take for the system's own latency.
        Self { achieved_ratio_min: 0.99, delay_p99_ms_max: 5.0 }
    }
}

impl Report {
    /// Adds the reasons that the report's own figures give to `reasons`, and sets `valid`.
    ///
    /// Reasons that are there already, as that a histogram overflowed, stay and count. [`crate::report::Ledger::settle`]
    /// comes first.
    pub fn judge(&mut self, limits: &Limits) {
        let found = self.faults(limits);
        self.reasons.extend(found);
        self.valid = self.reasons.is_empty();
    }

    fn faults(&self, limits: &Limits) -> Vec<String> {
        let mut faults = Vec::new();
        // Not `<`, so that a ratio that is not a number is a fault too.
        let kept = self.achieved_per_second >= self.offered_per_second * limits.achieved_ratio_min;
        if !kept {
            faults.push(format!(
                "The load was not offered: {} of {} orders per second.",
                rate(self.achieved_per_second),
                rate(self.offered_per_second)
            ));
        }
        let delay = self.latency_ms.delay;
        if delay.p99 > limits.delay_p99_ms_max {
            faults.push(format!(
                "Orders were sent late: the delay's p99 is {}, the limit {}.",
                latency(delay.p99),
                latency(limits.delay_p99_ms_max)
            ));
        }
        if self.latency_ms.response.count == 0 {
            faults.push("No response was measured.".to_owned());
        }
        if !self.ledger.balanced {
            faults.push("The ledger does not balance.".to_owned());
        }
        if self.check.is_some_and(|check| check.expected != check.found) {
            faults.push("The data set's known sums were not found.".to_owned());
        }
        faults
    }
}
