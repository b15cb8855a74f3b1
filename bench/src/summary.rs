//! The verdict and the two lines under it, the same words on the page and in the terminal. Pure.

use crate::figures::{NONE, grouped, latency, money, rate};
use crate::measurement::{Measurement, runs_at};
use crate::report::{LatencyMs, Percentiles, Report};
use crate::sales::markets;

/// The verdict in a few words.
pub(crate) fn verdict(report: &Report) -> &'static str {
    match (report.valid, report.ledger.balanced) {
        (true, true) => "Valid run, ledger balanced",
        (true, false) => "Valid run, but the ledger does not balance",
        (false, true) => "Invalid run, though the ledger balances",
        (false, false) => "Invalid run, ledger not balanced",
    }
}

/// The run in two lines: how fast, and whether everything is there.
pub(crate) fn lines(report: &Report) -> [String; 2] {
    let response = report.latency_ms.response;
    let answered = match response.count {
        0 => "no response was measured.".to_owned(),
        _ => format!(
            "half were answered within {}, 99% within {}, 99.9% within {} of the instant they were due.",
            latency(response.p50),
            latency(response.p99),
            latency(response.p999),
        ),
    };
    let speed = format!(
        "{} orders due at {} per second, {} achieved: {answered}",
        grouped(report.ledger.sent),
        rate(report.offered_per_second),
        rate(report.achieved_per_second),
    );
    let ledger = &report.ledger;
    let sums = if ledger.balanced {
        format!(
            "Log, orders and rollups agree on {} orders{}.",
            grouped(ledger.orders),
            ledger
                .total_minor
                .and_then(|total| unit(report).amount(total.orders))
                .map(|total| format!(" and {total}, to the last digit"))
                .unwrap_or_default()
        )
    } else {
        let more = ledger.differences.len().saturating_sub(1);
        let first = ledger.differences.first().map_or("no difference is given", String::as_str);
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        format!("Log, orders and rollups do not agree: {first}{more}.")
    };
    [speed, sums]
}

/// In what totals over all orders are written: the currency and its digits if there is one for all. If there are
/// several, a sum of minor units is no amount; it still has to agree, so that it is written as the integer it is.
pub(crate) struct Unit<'a> {
    pub(crate) name: &'a str,
    digits: u32,
    single: bool,
}

/// The unit of a report's totals.
pub(crate) fn unit(report: &Report) -> Unit<'_> {
    match markets(report).as_slice() {
        [market] => Unit { name: market.currency, digits: market.digits, single: true },
        _ => Unit { name: "minor units", digits: 0, single: false },
    }
}

impl Unit<'_> {
    /// The figure alone, for a column that names the unit.
    pub(crate) fn figure(&self, minor: i128) -> String {
        money(minor, self.digits)
    }

    /// The amount with its currency, if it is an amount.
    pub(crate) fn amount(&self, minor: i128) -> Option<String> {
        self.single.then(|| format!("{} {}", self.name, self.figure(minor)))
    }
}

/// What the data were, in words.
pub(crate) fn data(report: &Report) -> String {
    format!("{} (fingerprint {}, seed {})", report.data.kind, report.data.fingerprint, report.seed)
}

/// The verdict on a measurement in a few words.
pub(crate) fn verdict_of(measurement: &Measurement) -> String {
    let valid = if measurement.valid { "Valid" } else { "Invalid" };
    let runs = measurement.every_run.len();
    if let Some(capacity) = &measurement.capacity {
        return match capacity.found.rate {
            Some(rate) => {
                let runs = || runs_at(&capacity.rungs, rate);
                let met = runs().filter(|run| run.met).count();
                let (rate, runs) = (self::rate(rate), runs().count());
                if capacity.found.confirmed() {
                    format!("{rate} orders per second hold the objective, in {met} of {runs} runs")
                } else {
                    format!(
                        "{rate} orders per second held the objective in {met} of {runs} runs, but were not confirmed"
                    )
                }
            }
            None => "No rate that was tried holds the objective".to_owned(),
        };
    }
    let plural = if runs == 1 { "run" } else { "runs" };
    let met = measurement.every_run.iter().filter(|run| run.met()).count();
    match (&measurement.case.objective, met == runs) {
        (None, _) => format!("{valid}: {runs} {plural}"),
        (Some(_), true) => format!("{valid}: {runs} {plural}, objective met"),
        (Some(_), false) => format!("{valid}: {runs} {plural}, objective met by {met}"),
    }
}

/// A measurement in two lines: what was found, and how far it can be trusted.
pub(crate) fn of_measurement(measurement: &Measurement) -> [String; 2] {
    let LatencyMs { response, rollup, .. } = measurement.latency_ms;
    let quoted = |percentiles: Percentiles| match percentiles.count {
        0 => NONE.to_owned(),
        _ => format!("p50 {} p99 {}", latency(percentiles.p50), latency(percentiles.p99)),
    };
    let rate = measurement.capacity.as_ref().map_or(measurement.case.workload.rate, |capacity| {
        capacity.found.rate.unwrap_or(measurement.case.workload.rate)
    });
    let cpu = measurement.resources.map_or_else(
        || NONE.to_owned(),
        |used| format!("{} s", crate::figures::three_digits(used.cpu_us_per_order)),
    );
    let first = format!(
        "{}: {} at {} orders/s: response {}, rollup {}, {cpu} CPU per million orders.",
        measurement.title,
        verdict_of(measurement),
        self::rate(rate),
        quoted(response),
        quoted(rollup),
    );
    let balanced = measurement.every_run.iter().filter(|run| run.balanced).count();
    let probes: Vec<String> = measurement
        .probes
        .iter()
        .map(|(hop, compared)| format!("{hop} {} of {}", compared.agreed, compared.paired))
        .collect();
    let probes = if probes.is_empty() {
        "no probes were asked for".to_owned()
    } else {
        format!("probes that agree: {}", probes.join(", "))
    };
    let trust = match measurement.reasons.first() {
        None => "figures may be quoted".to_owned(),
        Some(reason) => format!("not valid, {reason}"),
    };
    let runs = measurement.every_run.len();
    [first, format!("Ledger balanced in {balanced} of {runs} runs; {probes}; {trust}.")]
}
