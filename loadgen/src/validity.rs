//! When a run may not be trusted: a pure function of its result.

use std::time::Duration;

use crate::plan::Limits;
use crate::result::RunResult;

/// What a closed loop is called wherever its figures stand.
pub(crate) const CLOSED_LOOP: &str = "closed loop: service only, coordinated omission";

/// Why the run is not valid, in words for its reader; empty if it is.
pub(crate) fn reasons(result: &RunResult, limits: &Limits) -> Vec<String> {
    let mut reasons = Vec::new();
    if result.schedule.is_closed_loop() {
        reasons.push(CLOSED_LOOP.to_owned());
    } else if result.achieved_per_second < limits.min_achieved * result.offered_per_second {
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
    if delay > limits.max_delay {
        reasons.push(format!(
            "requests were sent late: the 99th percentile of delay is {:.0} ms, the limit {:.0} ms",
            delay.as_secs_f64() * 1e3,
            limits.max_delay.as_secs_f64() * 1e3
        ));
    }
    // A closed loop is meant to be as busy as it can.
    if result.cpu_share > limits.max_cpu && !result.schedule.is_closed_loop() {
        reasons.push(format!(
            "the generator was busy: a thread of it computed for {:.0} % of its time, the limit {:.0} %",
            100.0 * result.cpu_share,
            100.0 * limits.max_cpu
        ));
    }
    if result.latencies.clipped > 0 {
        reasons.push(format!("{} latencies were longer than the histograms hold", result.latencies.clipped));
    }
    if result.connections_not_opened > 0 {
        reasons
            .push(format!("{} attempts to open a connection did not succeed", result.connections_not_opened));
    }
    if result.followed && result.counts.unknown > 0 {
        reasons.push(format!("{} orders are still unknown", result.counts.unknown));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Counts;
    use crate::measure::Measures;
    use crate::schedule::Schedule;

    /// Ten seconds at 100 orders/s, all of them accepted in time.
    fn good() -> RunResult {
        let schedule = Schedule::new(100.0, Duration::from_secs(10), 1, usize::MAX).unwrap();
        let measures = Measures::new(false);
        let counts = Counts { sent: 1_000, accepted: 1_000, ..Counts::default() };
        RunResult {
            started_at: 0,
            schedule,
            due: 1_000,
            counts,
            first: counts,
            retried: 0,
            offered_per_second: 100.0,
            achieved_per_second: 100.0,
            latencies: measures.latencies,
            timer_error: measures.timer_error,
            series: Vec::new(),
            outcomes: Vec::new(),
            rejections: Default::default(),
            failures: Default::default(),
            connections_not_opened: 0,
            broken_off_after: None,
            statuses: Default::default(),
            followed: true,
            limited: 0,
            cpu: Duration::from_secs(1),
            cpu_share: 0.1,
            reasons: Vec::new(),
        }
    }

    /// The reasons against a good run in which one thing is different.
    fn with(change: impl FnOnce(&mut RunResult)) -> Vec<String> {
        let mut result = good();
        change(&mut result);
        reasons(&result, &Limits::default())
    }

    #[test]
    fn a_run_that_did_what_was_asked_is_valid() {
        assert_eq!(with(|_| {}), [""; 0]);
    }

    #[test]
    fn each_fault_has_its_reason() {
        let of = |reasons: Vec<String>, words: &str| {
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains(words), "{reasons:?}");
        };
        of(with(|result| result.achieved_per_second = 98.9), "not offered: 99 of 100");
        of(with(|result| result.due = 1_003), "3 orders were due and not sent");
        of(with(|result| result.latencies.delay.record(200_000_000).unwrap()), "200 ms, the limit 100 ms");
        of(with(|result| result.cpu_share = 0.96), "for 96 % of its time, the limit 95 %");
        of(with(|result| result.latencies.clipped = 2), "2 latencies were longer");
        of(with(|result| result.connections_not_opened = 4), "4 attempts to open");
        of(with(|result| result.counts.unknown = 5), "5 orders are still unknown");
    }

    #[test]
    fn what_was_not_followed_may_stay_unknown() {
        let reasons = with(|result| {
            result.counts.unknown = 5;
            result.followed = false;
        });
        assert_eq!(reasons, [""; 0]);
    }

    #[test]
    fn a_closed_loop_is_called_one_and_asks_for_no_rate() {
        let reasons = with(|result| {
            result.schedule = Schedule::closed_loop(Duration::from_secs(10), 1, usize::MAX).unwrap();
            (result.offered_per_second, result.cpu_share) = (0.0, 1.0);
        });
        assert_eq!(reasons, [CLOSED_LOOP]);
    }
}
