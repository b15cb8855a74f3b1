//! The ledger as tables: every order counted where it was sent, in the log and in the stores.

use super::escape;
use super::table::{Row, Table};
use crate::figures::{grouped, share};
use crate::report::{Across, Ledger, Report, Sums};
use crate::summary;

pub(super) fn render(report: &Report) -> String {
    let ledger = &report.ledger;
    let differences: String =
        ledger.differences.iter().map(|found| format!("<li>{}</li>", escape(found))).collect();
    let differences = match differences.as_str() {
        "" => String::new(),
        list => format!("<ul class=\"reasons\">{list}</ul>\n"),
    };
    format!(
        "<section>\n<h2>Ledger</h2>\n<p class=\"note\">Every order is counted wherever it was seen; nothing may be \
         missing and nothing there twice.</p>\n{differences}<div class=\"cards\">\n<div>{}{}</div>\n<div>{}{}</div>\n\
         </div>\n<div class=\"cards\"><div>{}</div></div>\n{}{}</section>\n",
        told(ledger),
        verdict(
            u128::from(ledger.sent)
                == total([ledger.accepted, ledger.rejected, ledger.failed, ledger.unknown]),
            "Every order that was sent has one outcome",
        ),
        ended(ledger),
        verdict(
            u128::from(ledger.log) == total([ledger.orders, ledger.duplicates, ledger.dead]),
            "Every record of the log has one end",
        ),
        places(report),
        rejections(report),
        check(report),
    )
}

fn told(ledger: &Ledger) -> String {
    let outcomes = [
        ("accepted", ledger.accepted),
        ("rejected", ledger.rejected),
        ("failed", ledger.failed),
        ("unknown", ledger.unknown),
    ];
    let rows = outcomes.map(|(name, count)| Row::new(name, [grouped(count)]));
    let caption = match ledger.retried {
        0 => "What the sender was told; nothing was sent again".to_owned(),
        retried => format!("What the sender was told; {} times an order was sent again", grouped(retried)),
    };
    Table::new(&caption, ["Outcome", "Orders"])
        .rows(rows)
        .rows([Row::sum("sent", [grouped(ledger.sent)])])
        .render()
}

fn ended(ledger: &Ledger) -> String {
    let ends = [("orders", ledger.orders), ("duplicates", ledger.duplicates), ("dead", ledger.dead)];
    let rows = ends.map(|(name, count)| Row::new(name, [grouped(count)]));
    Table::new("What became of the log", ["End", "Records"])
        .rows(rows)
        .rows([Row::sum("log", [grouped(ledger.log)])])
        .render()
}

/// The same sums at three places. They agree where the last column says so, whatever the verdict above.
fn places(report: &Report) -> String {
    let ledger = &report.ledger;
    let orders = Across {
        accepted: ledger.accepted.into(),
        orders: ledger.orders.into(),
        rollup: ledger.rollup_orders.into(),
    };
    let row = |name: &str, across: Across, write: &dyn Fn(i128) -> String| {
        let equal =
            across.orders == across.rollup && (across.accepted == across.orders || ledger.unknown > 0);
        let sign = if equal { "✓" } else { "✗" };
        let figures = [across.accepted, across.orders, across.rollup].map(write);
        Row::new(name, figures.into_iter().chain([sign.to_owned()]))
    };
    let amount =
        |minor| summary::total(report, minor).unwrap_or_else(|| format!("{} minor units", grouped(minor)));
    let rows = [
        Some(row("orders", orders, &grouped)),
        ledger.quantity.map(|quantity| row("quantity", quantity, &grouped)),
        Some(row("total", ledger.total_minor, &amount)),
    ];
    Table::new("The same sums at three places", ["", "Accepted", "Orders store", "Rollups", "Agree"])
        .rows(rows.into_iter().flatten())
        .render()
}

fn rejections(report: &Report) -> String {
    if report.rejections.is_empty() {
        return String::new();
    }
    let all = total(report.rejections.values().copied());
    let all = i128::try_from(all).unwrap_or(i128::MAX);
    let rows = report
        .rejections
        .iter()
        .map(|(tag, count)| Row::new(tag, [grouped(*count), share((*count).into(), all)]));
    let table = Table::new("", ["Reason", "Orders", "Share"]).rows(rows);
    format!(
        "<h2>Rejections by reason</h2>\n<div class=\"cards\"><div>{}</div><div></div></div>\n",
        table.render()
    )
}

fn check(report: &Report) -> String {
    let Some(check) = report.check else { return String::new() };
    let amount = |minor| summary::total(report, minor).unwrap_or_else(|| grouped(minor));
    let row = |name: &str, sums: Sums| {
        Row::new(name, [grouped(sums.count), grouped(sums.quantity), amount(sums.total_minor)])
    };
    let table = Table::new("", ["", "Orders", "Items", "Total"]);
    format!(
        "<h2>The data set's known sums</h2>\n<div class=\"cards\"><div>{}{}</div></div>\n",
        table.rows([row("known", check.expected), row("found", check.found)]).render(),
        verdict(check.expected == check.found, "What was known was found"),
    )
}

fn verdict(good: bool, rule: &str) -> String {
    let (class, mark, word) =
        if good { ("good", "✓", "") } else { ("bad", "✗", "It does not hold that: ") };
    format!("<p class=\"verdict\"><span class=\"mark {class}\">{mark}</span>{word}{}</p>", escape(rule))
}

fn total(counts: impl IntoIterator<Item = u64>) -> u128 {
    counts.into_iter().map(u128::from).sum()
}
