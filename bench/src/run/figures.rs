//! The figures of a run, from what its threads have found. Pure.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use loadgen::run::RunResult;
use pipeline::observe::hops::seconds::{First, Taken};
use pipeline::time::SECOND;

use crate::logs::{Logs, NAMES, PER_MS, empty};
use crate::probe::agree::{Compared, Hop, Seen, compare};
use crate::report::{LatencyMs, Percentiles, Resources, Second, Spectrum, spectrum};
use crate::used::Process;
use crate::warm_up::Found;

/// All latencies by the second of the schedule, those of the generator and those of the pipeline.
pub(super) fn logs(result: &RunResult, taken: &Taken, started_at: i64) -> Logs {
    let mut logs = Logs::default();
    for (second, row) in (0..).zip(&result.series) {
        let Some(fine) = &row.fine else { continue };
        let [delay, service, response, ..] = NAMES;
        for (name, histogram) in [(delay, &fine.delay), (service, &fine.service), (response, &fine.response)]
        {
            logs.add(name, second, &widened(histogram));
        }
    }
    // The schedule starts on a whole second, so that the pipeline's seconds and its own are the same.
    let first = started_at.div_euclid(SECOND);
    for ((hop, second), interval) in &taken.intervals {
        let name = NAMES.into_iter().find(|name| name == hop);
        if let (Some(name), Ok(second)) = (name, u64::try_from(second - first)) {
            logs.add(name, second, &interval.histogram);
        }
    }
    logs
}

/// The same with wider counts, which can be added up.
fn widened(histogram: &Histogram<u32>) -> Histogram<u64> {
    let mut wide = empty();
    for step in histogram.iter_recorded() {
        // It grows as needed, which a saturating record would not make it do.
        let recorded = wide.record_n(step.value_iterated_to(), step.count_at_value().into());
        debug_assert!(recorded.is_ok());
    }
    wide
}

pub(super) fn latencies(logs: &Logs) -> LatencyMs {
    let of = |name| Percentiles::of(&logs.whole(name), PER_MS);
    let [delay, service, response, log, orders, rollup] = NAMES.map(of);
    LatencyMs { delay, service, response, log, orders, rollup }
}

pub(super) fn spectra(logs: &Logs) -> BTreeMap<String, Spectrum> {
    let measured = NAMES.into_iter().map(|name| (name, logs.whole(name)));
    let measured = measured.filter(|(_, histogram)| !histogram.is_empty());
    measured.map(|(name, histogram)| (name.to_owned(), spectrum(&histogram, PER_MS))).collect()
}

pub(super) fn second(second: &loadgen::measure::Second, at: u64) -> Second {
    let answered = !second.response_us.is_empty();
    // Two digits round up; the maximum is exact and bounds them.
    let ms = |us: u64| answered.then_some(us.min(second.response_max_us) as f64 / 1e3);
    Second {
        second: at,
        due: second.due,
        accepted: second.accepted,
        not_accepted: second.not_accepted,
        response_p50_ms: ms(second.response_us.value_at_quantile(0.5)),
        response_p99_ms: ms(second.response_us.value_at_quantile(0.99)),
        response_max_ms: ms(second.response_max_us),
    }
}

/// What makes a run invalid beside its own report's figures.
pub(super) fn reasons(result: &RunResult, taken: &Taken, warm_up: Found) -> Vec<String> {
    let mut reasons = result.reasons.clone();
    if let Some(after) = result.broken_off_after {
        let (after, length) = (after.as_secs_f64(), result.schedule.length().as_secs_f64());
        reasons.push(format!("the run was interrupted after {after:.1} s of {length:.1} s"));
    }
    if taken.missed > 0 {
        let missed = taken.missed;
        reasons
            .push(format!("the hops of {missed} orders were not recorded: too many seconds were under way"));
    }
    if !warm_up.settled {
        let seconds = warm_up.seconds;
        reasons.push(format!(
            "the run never settled: no end of its warm-up was found in its first half (the least bad was {seconds} s)"
        ));
    }
    reasons
}

/// What all of these have used together.
pub(super) fn total<'u>(used: impl Iterator<Item = &'u Process>) -> Option<Process> {
    used.cloned().reduce(|a, b| Process {
        cpu_seconds: a.cpu_seconds + b.cpu_seconds,
        memory_peak_bytes: a.memory_peak_bytes + b.memory_peak_bytes,
        memory_last_bytes: a.memory_last_bytes + b.memory_last_bytes,
        written_bytes: a.written_bytes.zip(b.written_bytes).map(|(a, b)| a + b),
        switches: a.switches + b.switches,
        threads: BTreeMap::new(),
    })
}

pub(super) fn resources(used: &Process, accepted: u64) -> Resources {
    Resources {
        cpu_seconds: used.cpu_seconds,
        cpu_us_per_order: used.cpu_seconds * 1e6 / (accepted.max(1) as f64),
        memory_peak_bytes: used.memory_peak_bytes,
        memory_last_bytes: used.memory_last_bytes,
        written_bytes: used.written_bytes,
        context_switches: Some(used.switches),
    }
}

/// Hops by probe and by record, of the orders that were due after the warm-up.
pub(super) fn compared(
    seen: &[Seen],
    taken: &Taken,
    from: i64,
    step: std::time::Duration,
) -> BTreeMap<String, Compared> {
    let of = |hop: Hop| {
        let seen: Vec<Seen> =
            seen.iter().filter(|seen| seen.hop == hop && seen.due_at >= from).copied().collect();
        let intervals = taken.intervals.iter().filter(|((name, _), _)| name == hop.tag());
        let firsts: BTreeMap<i64, First> =
            intervals.flat_map(|(_, interval)| interval.firsts.clone()).collect();
        (hop.tag().to_owned(), compare(&seen, &firsts, step))
    };
    [Hop::Orders, Hop::Rollup].map(of).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_percentile_of_a_second_is_longer_than_its_longest() {
        let mut response_us = Histogram::new(2).unwrap();
        response_us.record(100_100).unwrap();
        let row = loadgen::measure::Second {
            due: 1,
            sent: 1,
            accepted: 1,
            not_accepted: 0,
            response_us,
            response_max_us: 100_100,
            fine: None,
        };
        let second = second(&row, 3);
        let all = [second.response_p50_ms, second.response_p99_ms, second.response_max_ms];
        assert_eq!(all, [Some(100.1); 3]);
    }
}
