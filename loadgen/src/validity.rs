//! When a run may not be trusted: a pure function of its result.

use std::time::Duration;

use crate::run::RunResult;

/// Below this share of the rate that was asked for, the run was one of another rate.
const LEAST_ACHIEVED: f64 = 0.99;

/// Why the run is not valid, in words for its reader; empty if it is.
pub(crate) fn reasons(result: &RunResult, max_delay: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let achieved = result.achieved_per_second / result.offered_per_second;
    if achieved < LEAST_ACHIEVED {
        reasons.push(format!(
            "the load was not offered: {:.0} of {:.0} orders/s were sent",
            result.achieved_per_second, result.offered_per_second
        ));
    }
    let unsent = result.due.saturating_sub(result.counts.sent);
    if unsent > 0 && result.broken_off_after.is_none() {
        reasons.push(format!("{unsent} orders were due and not sent"));
    }
    let delay = Duration::from_nanos(result.latencies.delay.value_at_quantile(0.99));
    if delay > max_delay {
        reasons.push(format!(
            "requests were sent late: the 99th percentile of delay is {:.0} ms, the limit {:.0} ms",
            delay.as_secs_f64() * 1e3,
            max_delay.as_secs_f64() * 1e3
        ));
    }
    if result.latencies.clipped > 0 {
        reasons.push(format!("{} latencies were longer than the histograms hold", result.latencies.clipped));
    }
    if result.connections_not_opened > 0 {
        reasons
            .push(format!("{} attempts to open a connection did not succeed", result.connections_not_opened));
    }
    if result.counts.unknown > 0 {
        reasons.push(format!("{} orders are still unknown", result.counts.unknown));
    }
    reasons
}
