//! What was at its limit first, by what processes, threads and cores used while a load ran, and by which hop was late.
//! Pure, and no more than a reading of the figures: each sentence says the figure that it comes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::figures::latency;
use crate::lag::Lag;
use crate::report::LatencyMs;

/// A core or a thread that is this busy is full.
const FULL: f64 = 0.9;
/// Storage that keeps this share of the cores waiting is what a run waits for.
const STORAGE: f64 = 0.2;

/// What was used while a load ran. Shares are of one core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// How busy each core was, from 0 to 1, by all there is on the machine.
    pub cores: Vec<f64>,
    /// The share of all cores' time in which they had nothing to do but to wait for storage.
    pub storage: f64,
    /// Cores that each process used.
    pub processes: BTreeMap<String, f64>,
    /// The share of a core that the busiest threads used, as `process thread id`, the busiest first.
    pub threads: Vec<(String, f64)>,
}

/// What the rest of a run says.
#[derive(Clone, Copy, Debug)]
pub struct Symptoms<'a> {
    /// Whether the generator could not offer the load.
    pub late: bool,
    /// The latencies.
    pub latency: &'a LatencyMs,
    /// What waited for the stores.
    pub lag: Lag,
}

/// The process of the generator among the others.
pub const GENERATOR: &str = "generator";

/// What was at its limit, the most telling first; never nothing.
pub fn read(load: &Load, symptoms: Symptoms<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let busiest = load.processes.iter().max_by(|a, b| a.1.total_cmp(b.1));
    let of_all = load.cores.iter().sum::<f64>() / load.cores.len().max(1) as f64;
    let used = load.processes.get(GENERATOR).copied().unwrap_or(0.0);
    if symptoms.late && used >= FULL {
        found.push(format!("the generator could not offer the load; it used {used:.2} of a core"));
    }
    for (thread, share) in load.threads.iter().filter(|(_, share)| *share >= FULL) {
        found.push(format!("the thread {thread} had its core full: {share:.2}"));
    }
    let most =
        busiest.map_or_else(String::new, |(name, used)| format!("; {name} used most of them: {used:.2}"));
    let cores = format!("all {} cores were {:.0}% busy{most}", load.cores.len(), of_all * 100.0);
    if of_all >= FULL {
        found.push(cores.clone());
    }
    if load.storage >= STORAGE {
        found.push(format!("cores waited for storage in {:.0}% of their time", load.storage * 100.0));
    }
    // One that was idle itself was held up by something else.
    if symptoms.late && used < FULL {
        found.push(format!("requests were sent late, though the generator used {used:.2} of a core only"));
    }
    if !symptoms.lag.is_flat() && symptoms.lag.growth_seconds.is_some() {
        found.push(format!("the stores did not keep up: lag {}", symptoms.lag));
    }
    if let Some((hop, ms)) = slowest_step(symptoms.latency) {
        found.push(format!("the longest step at the 99th percentile was {hop}: {} of it", latency(ms)));
    }
    if found.is_empty() {
        found.push("nothing that was measured was at its limit".to_owned());
    }
    // Cores that are full for a part of the time only hold a run up too.
    if of_all < FULL && !load.cores.is_empty() {
        found.push(cores);
    }
    found
}

/// The hop that adds most to the 99th percentile behind the one before it.
fn slowest_step(latency: &LatencyMs) -> Option<(&'static str, f64)> {
    let hops = [
        ("to send", latency.delay),
        ("to the log", latency.log),
        ("from the log to the orders store", latency.orders),
        ("from the orders store to the rollups", latency.rollup),
    ];
    let mut before = 0.0;
    let mut slowest: Option<(&'static str, f64)> = None;
    for (name, hop) in hops.into_iter().filter(|(_, hop)| hop.count > 0) {
        let step = hop.p99 - before;
        before = before.max(hop.p99);
        if slowest.is_none_or(|(_, longest)| step > longest) {
            slowest = Some((name, step));
        }
    }
    slowest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Percentiles;

    fn latencies(p99: [f64; 4]) -> LatencyMs {
        let [delay, log, orders, rollup] = p99.map(|p99| Percentiles { p99, count: 9, ..Default::default() });
        LatencyMs { delay, log, orders, rollup, ..LatencyMs::default() }
    }

    /// What is read where the stores keep up.
    fn all(load: &Load, late: bool, latency: &LatencyMs) -> Vec<String> {
        let lag = Lag { growth_seconds: Some(0.0), orders_max: 0.0 };
        read(load, Symptoms { late, latency, lag })
    }

    fn first(load: &Load, late: bool, latency: &LatencyMs) -> String {
        all(load, late, latency).remove(0)
    }

    #[test]
    fn a_generator_that_was_late_comes_before_all_else() {
        let load = Load {
            cores: vec![1.0, 1.0],
            processes: BTreeMap::from([(GENERATOR.to_owned(), 0.97), ("embedded".to_owned(), 0.9)]),
            ..Load::default()
        };
        let latency = latencies([60.0, 70.0, 80.0, 90.0]);
        assert_eq!(
            first(&load, true, &latency),
            "the generator could not offer the load; it used 0.97 of a core"
        );
        assert_eq!(
            first(&load, false, &latency),
            "all 2 cores were 100% busy; generator used most of them: 0.97"
        );
        let idle = Load {
            processes: BTreeMap::from([(GENERATOR.to_owned(), 0.1), ("embedded".to_owned(), 1.9)]),
            ..load
        };
        let found = all(&idle, true, &latency);
        assert_eq!(found[0], "all 2 cores were 100% busy; embedded used most of them: 1.90");
        assert_eq!(found[1], "requests were sent late, though the generator used 0.10 of a core only");
    }

    #[test]
    fn a_full_thread_is_named_though_other_cores_are_idle() {
        let load = Load {
            cores: vec![0.95, 0.1, 0.1, 0.1],
            threads: vec![("embedded log 12".to_owned(), 0.94), ("embedded main 11".to_owned(), 0.2)],
            ..Load::default()
        };
        let said = first(&load, false, &LatencyMs::default());
        assert_eq!(said, "the thread embedded log 12 had its core full: 0.94");
    }

    #[test]
    fn with_nothing_full_the_longest_step_is_named_and_with_nothing_at_all_that_is_said() {
        let said = first(&Load::default(), false, &latencies([1.0, 9.0, 12.0, 100.0]));
        assert!(said.contains("from the orders store to the rollups: 88.0 ms"), "{said}");
        let nothing = first(&Load::default(), false, &LatencyMs::default());
        assert_eq!(nothing, "nothing that was measured was at its limit");
    }

    #[test]
    fn storage_and_growing_lag_are_named() {
        let load = Load { storage: 0.4, ..Load::default() };
        let lag = Lag { growth_seconds: Some(2.0), orders_max: 1.0 };
        let found = read(&load, Symptoms { late: false, latency: &LatencyMs::default(), lag });
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("storage in 40%") && found[1].contains("grew by 2.00 s"), "{found:?}");
    }
}
