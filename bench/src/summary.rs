//! The verdict and the two lines under it, the same words on the page and in the terminal. Pure.

use crate::figures::{grouped, latency, money, rate};
use crate::report::Report;
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
    let speed = format!(
        "{} orders due at {} per second, {} achieved: half were answered within {}, 99% within {}, 99.9% within {} \
         of the instant they were due.",
        grouped(report.ledger.sent),
        rate(report.offered_per_second),
        rate(report.achieved_per_second),
        latency(response.p50),
        latency(response.p99),
        latency(response.p999),
    );
    let ledger = &report.ledger;
    let sums = if ledger.balanced {
        format!(
            "Log, orders and rollups agree on {} orders{}.",
            grouped(ledger.orders),
            total(report, ledger.total_minor.orders)
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

/// A sum as money with its currency. Without one currency for all, a sum of minor units is not an amount.
pub(crate) fn total(report: &Report, minor: i128) -> Option<String> {
    match markets(report).as_slice() {
        [market] => Some(format!("{} {}", market.currency, money(minor, market.digits))),
        _ => None,
    }
}

/// What the data were, in words.
pub(crate) fn data(report: &Report) -> String {
    format!("{} (fingerprint {}, seed {})", report.data.kind, report.data.fingerprint, report.seed)
}
