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
         </div>\n<div class=\"solo\">{}</div>\n{}{}</section>\n",
        told(ledger),
        verdict(
            u128::from(ledger.sent)
                == total([ledger.accepted, ledger.rejected, ledger.failed, ledger.unknown]),
            ["Every order that was sent has one outcome", "Not every order that was sent has one outcome"],
        ),
        ended(ledger),
        verdict(
            u128::from(ledger.log) == total([ledger.orders, ledger.duplicates, ledger.dead]),
            ["Every record of the log has one end", "Not every record of the log has one end"],
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

/// The same sums at three places. The sign before a name says whether they agree, whatever the verdict above.
fn places(report: &Report) -> String {
    let ledger = &report.ledger;
    let orders = Across {
        accepted: ledger.accepted.into(),
        orders: ledger.orders.into(),
        rollup: ledger.rollup_orders.into(),
    };
    let row = |name: &str, across: Across, write: &dyn Fn(i128) -> String| {
        // What is unknown may be stored or not: then there may be more than was accepted, never less.
        let stored =
            across.accepted == across.orders || (ledger.unknown > 0 && across.accepted < across.orders);
        let sign = if stored && across.orders == across.rollup { "✓" } else { "✗" };
        Row::new(&format!("{sign} {name}"), [across.accepted, across.orders, across.rollup].map(write))
    };
    let unit = summary::unit(report);
    let total = format!("total, {}", unit.name);
    let rows = [
        Some(row("orders", orders, &grouped)),
        ledger.quantity.map(|quantity| row("quantity", quantity, &grouped)),
        ledger.total_minor.map(|across| row(&total, across, &|minor| unit.figure(minor))),
    ];
    Table::new("The same sums at three places", ["", "Accepted", "Orders store", "Rollups"])
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
    format!("<h2>Rejections by reason</h2>\n<div class=\"solo\">{}</div>\n", table.render())
}

fn check(report: &Report) -> String {
    let Some(check) = report.check else { return String::new() };
    let unit = summary::unit(report);
    let row = |name: &str, sums: Sums| {
        Row::new(name, [grouped(sums.count), grouped(sums.quantity), unit.figure(sums.total_minor)])
    };
    let table = Table::new("", ["", "Orders", "Items", &format!("Total, {}", unit.name)]);
    format!(
        "<h2>The data set's known sums</h2>\n<div class=\"solo\">{}{}</div>\n",
        table.rows([row("known", check.expected), row("found", check.found)]).render(),
        verdict(check.expected == check.found, ["What was known was found", "What was known was not found"]),
    )
}

/// The first sentence if it is good, else the second.
fn verdict(good: bool, [is, is_not]: [&str; 2]) -> String {
    let (class, mark, sentence) = if good { ("good", "✓", is) } else { ("bad", "✗", is_not) };
    format!("<p class=\"verdict\"><span class=\"mark {class}\">{mark}</span>{}</p>", escape(sentence))
}

fn total(counts: impl IntoIterator<Item = u64>) -> u128 {
    counts.into_iter().map(u128::from).sum()
}
