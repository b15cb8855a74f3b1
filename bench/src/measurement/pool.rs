//! Several runs as one: latencies of all their orders, what they used for all their orders, and their probes.

use std::collections::BTreeMap;

use crate::logs::{Logs, NAMES, PER_MS, empty};
use crate::probe::agree::Compared;
use crate::report::{LatencyMs, Percentiles, Resources, Spectrum, spectrum};
use crate::run::Ran;

/// What runs come to together.
#[derive(Debug)]
pub struct Pooled {
    /// Latencies in milliseconds.
    pub latency_ms: LatencyMs,
    /// Percentile spectra.
    pub spectra: BTreeMap<String, Spectrum>,
    /// What the pipeline's own processes used.
    pub resources: Option<Resources>,
    /// What each process used.
    pub processes: BTreeMap<String, Resources>,
    /// Hops by probe and by record.
    pub probes: BTreeMap<String, Compared>,
}

/// Puts runs together. Percentiles are of all orders, never averages of percentiles.
pub fn pool(runs: &[&Ran]) -> Pooled {
    let histograms = NAMES.map(|name| {
        let mut whole = empty();
        for logs in runs.iter().map(|run| &run.logs) {
            add(&mut whole, logs, name);
        }
        whole
    });
    let [delay, service, response, log, orders, rollup] =
        histograms.each_ref().map(|histogram| Percentiles::of(histogram, PER_MS));
    let measured = NAMES.into_iter().zip(&histograms).filter(|(_, histogram)| !histogram.is_empty());
    let mut processes = BTreeMap::<String, Vec<Resources>>::new();
    for (name, used) in runs.iter().flat_map(|run| &run.report.processes) {
        processes.entry(name.clone()).or_default().push(*used);
    }
    let mut probes = BTreeMap::<String, Vec<&Compared>>::new();
    for (hop, compared) in runs.iter().flat_map(|run| &run.probed) {
        probes.entry(hop.clone()).or_default().push(compared);
    }
    Pooled {
        latency_ms: LatencyMs { delay, service, response, log, orders, rollup },
        spectra: measured.map(|(name, whole)| (name.to_owned(), spectrum(whole, PER_MS))).collect(),
        resources: together(&runs.iter().filter_map(|run| run.report.resources).collect::<Vec<_>>()),
        processes: processes.into_iter().filter_map(|(name, used)| Some((name, together(&used)?))).collect(),
        probes: probes.into_iter().filter_map(|(hop, all)| Some((hop, median(all)?))).collect(),
    }
}

fn add(whole: &mut hdrhistogram::Histogram<u64>, logs: &Logs, name: &str) {
    for (_, histogram) in logs.seconds(name) {
        // It grows as needed.
        let added = whole.add(histogram);
        debug_assert!(added.is_ok());
    }
}

/// Processor time, bytes and switches are sums over the runs, memory is the most of any; per order it is the mean of
/// the runs, which have about as many orders each.
fn together(used: &[Resources]) -> Option<Resources> {
    if used.is_empty() {
        return None;
    }
    let sum = |of: fn(&Resources) -> Option<u64>| used.iter().map(of).sum::<Option<u64>>();
    let most = |of: fn(&Resources) -> u64| used.iter().map(of).max().unwrap_or(0);
    Some(Resources {
        cpu_seconds: used.iter().map(|used| used.cpu_seconds).sum(),
        cpu_us_per_order: used.iter().map(|used| used.cpu_us_per_order).sum::<f64>() / used.len() as f64,
        memory_peak_bytes: most(|used| used.memory_peak_bytes),
        memory_last_bytes: most(|used| used.memory_last_bytes),
        written_bytes: sum(|used| used.written_bytes),
        context_switches: sum(|used| used.context_switches),
    })
}

/// The comparison of the run whose median difference is in the middle, least and greatest difference included, with the
/// counts of all: one that did not agree makes all of them not agree.
fn median(mut all: Vec<&Compared>) -> Option<Compared> {
    let middle = |compared: &Compared| compared.difference_ms[1];
    all.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let chosen = *all.get(all.len() / 2)?;
    let sum = |of: fn(&Compared) -> u64| all.iter().map(|compared| of(compared)).sum();
    Some(Compared {
        seen: sum(|compared| compared.seen),
        paired: sum(|compared| compared.paired),
        agreed: sum(|compared| compared.agreed),
        agree: all.iter().all(|compared| compared.agree),
        ..chosen.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(cpu_seconds: f64, memory: u64, written_bytes: Option<u64>) -> Resources {
        Resources {
            cpu_seconds,
            cpu_us_per_order: cpu_seconds,
            memory_peak_bytes: memory,
            memory_last_bytes: memory / 2,
            written_bytes,
            context_switches: Some(5),
        }
    }

    #[test]
    fn time_adds_up_memory_does_not_and_what_one_run_does_not_know_nobody_does() {
        let both = together(&[used(2.0, 100, Some(7)), used(4.0, 80, None)]).unwrap();
        assert_eq!(
            both,
            Resources {
                cpu_seconds: 6.0,
                cpu_us_per_order: 3.0,
                memory_peak_bytes: 100,
                memory_last_bytes: 50,
                written_bytes: None,
                context_switches: Some(10),
            }
        );
        assert_eq!(together(&[]), None);
    }

    #[test]
    fn one_run_that_does_not_agree_makes_all_of_them_not_agree() {
        let compared = |middle: f64, agree| Compared {
            step_ms: 5.0,
            seen: 10,
            paired: 9,
            agreed: if agree { 9 } else { 1 },
            agree,
            probe_ms: Percentiles::default(),
            record_ms: Percentiles::default(),
            difference_ms: [0.0, middle, 9.0],
        };
        let runs = [compared(3.0, true), compared(1.0, false), compared(2.0, true)];
        let found = median(runs.iter().collect()).unwrap();
        assert_eq!((found.difference_ms[1], found.seen, found.agreed, found.agree), (2.0, 30, 19, false));
    }
}
