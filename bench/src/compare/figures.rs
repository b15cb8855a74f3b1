//! What is compared of two sides, a sample for each run. Pure.

use std::collections::BTreeSet;

use super::judge::{Better, Figure};
use super::load::{Run, Side};
use super::quantile::{self, Sample, Unknown, Variance};
use crate::report::{Percentiles, Resources};

/// The histograms that say something of the system. Delay is the generator's own, and service hides what waiting costs; a
/// closed loop has nothing else.
const HOPS: [&str; 4] = ["response", "log", "orders", "rollup"];
const CLOSED: &str = "service";
const NANOS_PER_MILLI: f64 = 1e6;
const BYTES_PER_MEBIBYTE: f64 = (1_u64 << 20) as f64;

/// A figure of a latency: from the log of a run's seconds, or, without one, from its report.
type OfLatency = (&'static str, fn(&quantile::Run<'_>) -> Sample, fn(&Percentiles) -> f64);

const OF_LATENCY: [OfLatency; 5] = [
    ("mean", |run| run.mean(), |told| told.mean),
    ("p50", |run| run.quantile(0.5), |told| told.p50),
    ("p90", |run| run.quantile(0.9), |told| told.p90),
    ("p99", |run| run.quantile(0.99), |told| told.p99),
    ("p99.9", |run| run.quantile(0.999), |told| told.p999),
];

/// A figure of what a process used.
type OfCost = (&'static str, &'static str, fn(&Resources) -> f64);

const OF_COST: [OfCost; 2] = [
    ("CPU an order", "us", |used| used.cpu_us_per_order),
    ("memory at most", "MiB", |used| used.memory_peak_bytes as f64 / BYTES_PER_MEBIBYTE),
];

/// All figures that at least one side has.
pub(super) fn figures(a: &Side, b: &Side) -> Vec<Figure> {
    let mut figures = Vec::new();
    let closed = a.runs.iter().chain(&b.runs).all(|run| run.report.offered_per_second == 0.0);
    for hop in if closed { [CLOSED].as_slice() } else { &HOPS } {
        let [of_a, of_b] = [a, b].map(|side| latencies(side, hop));
        for ((name, ..), (a, b)) in OF_LATENCY.into_iter().zip(of_a.into_iter().zip(of_b)) {
            figures.push(Figure { name: format!("{hop} {name}"), unit: "ms", better: Better::Lower, a, b });
        }
    }
    let achieved = |run: &Run| {
        let seconds = run.logs.get(if closed { CLOSED } else { "response" });
        let error = seconds.and_then(|seconds| quantile::Run::new(seconds)).map(|logged| logged.rate());
        let Sample { value, error: constant } = exact(run.report.achieved_per_second);
        Some(Sample { value, error: error.unwrap_or(constant) })
    };
    let (name, [a_achieved, b_achieved]) = ("throughput".to_owned(), [a, b].map(|side| each(side, achieved)));
    figures.push(Figure { name, unit: "orders/s", better: Better::Higher, a: a_achieved, b: b_achieved });
    for (cost, unit, of) in OF_COST {
        let whole = |run: &Run| run.report.resources.as_ref().map(|used| exact(of(used)));
        figures.push(Figure {
            name: cost.to_owned(),
            unit,
            better: Better::Lower,
            a: each(a, whole),
            b: each(b, whole),
        });
        for process in processes(a, b) {
            let one = |run: &Run| run.report.processes.get(&process).map(|used| exact(of(used)));
            let name = format!("{cost}, {process}");
            figures.push(Figure { name, unit, better: Better::Lower, a: each(a, one), b: each(b, one) });
        }
    }
    figures.retain(|figure| !(figure.a.is_empty() && figure.b.is_empty()));
    figures
}

/// The figures of one histogram, in the order of [`OF_LATENCY`].
fn latencies(side: &Side, hop: &str) -> Vec<Vec<Sample>> {
    let mut figures = vec![Vec::new(); OF_LATENCY.len()];
    for run in &side.runs {
        let logged = run.logs.get(hop).and_then(|seconds| quantile::Run::new(seconds));
        let told = run.report.latency_ms.get(hop).filter(|told| told.count > 0);
        for (figure, (_, of_log, of_report)) in figures.iter_mut().zip(OF_LATENCY) {
            match (&logged, told) {
                (Some(logged), _) => {
                    let Sample { value, error } = of_log(logged);
                    figure.push(Sample { value: value / NANOS_PER_MILLI, error });
                }
                (None, Some(told)) => {
                    figure.push(Sample { value: of_report(told), error: Err(Unknown::NoLog) })
                }
                (None, None) => {}
            }
        }
    }
    // A figure that only some runs have is none of the side.
    figures.iter_mut().filter(|figure| figure.len() < side.runs.len()).for_each(Vec::clear);
    figures
}

fn each(side: &Side, of: impl Fn(&Run) -> Option<Sample>) -> Vec<Sample> {
    side.runs.iter().map(of).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// One number for the whole run: what is in doubt is only how much runs differ.
fn exact(value: f64) -> Sample {
    Sample { value, error: Ok(Variance { value: 0.0, freedom: f64::INFINITY }) }
}

/// Every process that a run names, where there are several: of one, all is its own.
fn processes(a: &Side, b: &Side) -> BTreeSet<String> {
    let runs = a.runs.iter().chain(&b.runs).filter(|run| run.report.processes.len() > 1);
    runs.flat_map(|run| run.report.processes.keys().cloned()).collect()
}
