//! The sales of the run as their owner wants to see them: by channel, by state, to the last digit.

use super::table::{Row, Table};
use super::{escape, figure};
use crate::figures::{grouped, money, share};
use crate::plots;
use crate::report::Report;
use crate::sales::{Group, Market, markets};

/// States in the table by state; the rest are added up in one row, and all are in the full table.
const STATES_MAX: usize = 10;

pub(super) fn render(report: &Report) -> String {
    let markets = markets(report);
    if markets.is_empty() {
        return "<section>\n<h2>Sales</h2>\n<p class=\"note\">The rollups hold no sales.</p>\n</section>\n"
            .to_owned();
    }
    markets.iter().map(market).collect()
}

fn market(market: &Market<'_>) -> String {
    let label = format!("Sales by channel and state in {}", market.currency);
    format!(
        "<section>\n<h2>Sales in {}</h2>\n<p class=\"note\">As the rollups hold them, each channel parted by the \
         state of the customer.</p>\n<div class=\"pair\">\n<div class=\"stack\">\n{}{}</div>\n<div>\n{}</div>\n\
         </div>\n{}</section>\n",
        escape(market.currency),
        figure(&label, plots::sales(market)),
        sources(market),
        states(market),
        all(market),
    )
}

fn head(market: &Market<'_>, name: &'static str) -> Table {
    Table::new("", [name, &format!("Total, {}", market.currency), "Share", "Orders", "Items"])
}

fn figures(market: &Market<'_>, group: &Group<'_>) -> [String; 4] {
    [
        money(group.total_minor, market.digits),
        share(group.total_minor, market.whole.total_minor),
        grouped(group.orders),
        grouped(group.quantity),
    ]
}

fn sources(market: &Market<'_>) -> String {
    let rows = market.sources.iter().map(|group| Row::new(group.name, figures(market, group)));
    head(market, "Channel")
        .rows(rows)
        .rows([Row::sum("All channels", figures(market, &market.whole))])
        .render()
}

fn states(market: &Market<'_>) -> String {
    let (shown, others) = market.states.split_at_checked(STATES_MAX).unwrap_or((&market.states, &[]));
    let rows = shown.iter().map(|group| Row::new(group.name, figures(market, group)));
    let rest = (!others.is_empty()).then(|| {
        let sum = others.iter().fold(Group::default(), Group::plus);
        Row::new(&format!("{} other states", others.len()), figures(market, &sum))
    });
    head(market, "State")
        .rows(rows)
        .rows(rest)
        .rows([Row::sum("All states", figures(market, &market.whole))])
        .render()
}

fn all(market: &Market<'_>) -> String {
    let rows = market.cells.iter().map(|sale| {
        let total = money(sale.total_minor, market.digits);
        let figures = [sale.state.clone(), total, grouped(sale.orders), grouped(sale.quantity)];
        Row::new(&sale.source, figures)
    });
    let table =
        Table::new("", ["Channel", "State", &format!("Total, {}", market.currency), "Orders", "Items"])
            .rows(rows);
    format!(
        "<details><summary>Every channel in every state ({} rows)</summary>{}</details>\n",
        grouped(market.cells.len() as u64),
        table.render()
    )
}
