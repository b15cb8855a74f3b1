//! Sales added up as a shop owner reads them: per currency, by channel, by state. Pure, in integers.
//!
//! Amounts of different currencies are never added up.

use std::collections::BTreeMap;

use crate::report::{Report, Sale};

/// The sales in one currency.
pub(crate) struct Market<'a> {
    pub(crate) currency: &'a str,
    /// Digits after the currency's point.
    pub(crate) digits: u32,
    pub(crate) whole: Group<'a>,
    /// Channels, the greatest total first.
    pub(crate) sources: Vec<Group<'a>>,
    /// States, the greatest total first.
    pub(crate) states: Vec<Group<'a>>,
    /// Every channel in every state, by name.
    pub(crate) cells: Vec<&'a Sale>,
}

/// Sales added up under one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) orders: u64,
    pub(crate) quantity: i128,
    pub(crate) total_minor: i128,
}

/// The sales of a report, the currency with the most orders first.
pub(crate) fn markets(report: &Report) -> Vec<Market<'_>> {
    let mut by_currency = BTreeMap::<&str, Vec<&Sale>>::new();
    for sale in &report.sales {
        by_currency.entry(&sale.currency).or_default().push(sale);
    }
    let mut markets: Vec<Market> = by_currency
        .into_iter()
        .map(|(currency, mut cells)| {
            cells.sort_by_key(|sale| (&sale.source, &sale.state));
            Market {
                currency,
                digits: report.digits(currency),
                whole: cells.iter().fold(Group { name: "all", ..Group::default() }, Group::with),
                sources: groups(&cells, |sale| &sale.source),
                states: groups(&cells, |sale| &sale.state),
                cells,
            }
        })
        .collect();
    markets.sort_by_key(|market| std::cmp::Reverse(market.whole.orders));
    markets
}

impl Market<'_> {
    /// The total of one channel in one of the named states; 0 if nothing was sold.
    pub(crate) fn total(&self, source: &str, states: &[&str]) -> i128 {
        let cells =
            self.cells.iter().filter(|sale| sale.source == source && states.contains(&sale.state.as_str()));
        cells.map(|sale| sale.total_minor).sum()
    }
}

impl Group<'_> {
    /// Both added up, under this one's name.
    pub(crate) fn plus(self, other: &Self) -> Self {
        Self {
            name: self.name,
            orders: self.orders + other.orders,
            quantity: self.quantity + other.quantity,
            total_minor: self.total_minor + other.total_minor,
        }
    }

    fn with(self, sale: &&Sale) -> Self {
        Self {
            name: self.name,
            orders: self.orders + sale.orders,
            quantity: self.quantity + sale.quantity,
            total_minor: self.total_minor + sale.total_minor,
        }
    }
}

fn groups<'a>(cells: &[&'a Sale], name: impl Fn(&'a Sale) -> &'a str) -> Vec<Group<'a>> {
    let mut by_name = BTreeMap::<&str, Group>::new();
    for &sale in cells {
        let name = name(sale);
        let group = by_name.entry(name).or_insert(Group { name, ..Group::default() });
        *group = group.with(&sale);
    }
    let mut groups: Vec<Group> = by_name.into_values().collect();
    // The sort is stable, so that equal totals stay in the order of their names.
    groups.sort_by_key(|group| std::cmp::Reverse(group.total_minor));
    groups
}
