//! What a rebuild would change, as JSON and for people. Pure.

use crate::block::BlockRow;
use crate::rollup::Sums;
use crate::store::SalesKey;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

pub use crate::store::Compared;

/// What a rebuild counted, and how it differs from what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Blocks that were counted again.
    pub blocks: u64,
    /// Of them, those whose own figures came out differently.
    pub blocks_changed: u64,
    /// Blocks of rules that this build does not know, which were counted by those in force now.
    pub unknown_rules: u64,
    /// What the tables say.
    pub compared: Compared,
}

/// Sums before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Orders.
    pub orders: [u64; 2],
    /// Pieces.
    pub quantity: [i64; 2],
    /// Minor units.
    pub total_minor: [i128; 2],
}

impl Figures {
    fn add(&mut self, side: usize, sums: Sums) {
        if let Some(orders) = self.orders.get_mut(side) {
            *orders += sums.orders;
        }
        if let Some(quantity) = self.quantity.get_mut(side) {
            *quantity += sums.quantity;
        }
        if let Some(total) = self.total_minor.get_mut(side) {
            *total += sums.total_minor;
        }
    }

    fn differ(&self) -> bool {
        self.orders[0] != self.orders[1]
            || self.quantity[0] != self.quantity[1]
            || self.total_minor[0] != self.total_minor[1]
    }
}

impl Change {
    pub(super) fn count(&mut self, counted: &BlockRow, kept: &BlockRow, follows: bool) {
        let figures = |row: &BlockRow| {
            (row.records, row.orders, row.duplicates, row.dead, row.quantity, row.total_minor)
        };
        self.blocks += 1;
        self.blocks_changed += u64::from(figures(counted) != figures(kept));
        self.unknown_rules += u64::from(!follows && !kept.is_lost());
    }

    /// Whether anything would change.
    pub const fn is_none(&self) -> bool {
        self.compared.rows_changed == 0 && self.blocks_changed == 0
    }

    /// The sums by what a key is called.
    fn by<K: Ord>(&self, name: impl Fn(&SalesKey) -> K) -> BTreeMap<K, Figures> {
        let mut all: BTreeMap<K, Figures> = BTreeMap::new();
        for (side, sums) in [&self.compared.before, &self.compared.after].into_iter().enumerate() {
            for (key, sums) in sums {
                all.entry(name(key)).or_default().add(side, *sums);
            }
        }
        all
    }

    /// The sums of each currency.
    pub fn currencies(&self) -> BTreeMap<String, Figures> {
        self.by(|key| key.currency.code().to_owned())
    }

    /// The sums of each state that change. Orders themselves have none.
    pub fn states(&self) -> BTreeMap<String, Figures> {
        let mut states = self.by(|key| key.state.clone());
        states.retain(|state, figures| !state.is_empty() && figures.differ());
        states
    }

    /// The change as JSON.
    pub fn to_json(&self, swapped: bool) -> serde_json::Value {
        serde_json::json!({
            "schema": "tillflow.rebuild.v1",
            "swapped": swapped,
            "blocks": self.blocks, "blocks_changed": self.blocks_changed, "unknown_rules": self.unknown_rules,
            "rows": [self.compared.rows_before, self.compared.rows_after],
            "rows_changed": self.compared.rows_changed,
            "currencies": self.currencies(),
            "states": self.states(),
        })
    }
}

impl Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compared { rows_before, rows_after, rows_changed, .. } = self.compared;
        writeln!(
            out,
            "{} blocks were counted again; {} come to other figures than they say of themselves",
            self.blocks, self.blocks_changed
        )?;
        if self.unknown_rules > 0 {
            writeln!(
                out,
                "{} of them are of rules that this build does not know, and were counted by those in force",
                self.unknown_rules
            )?;
        }
        writeln!(out, "rows: {rows_before} before, {rows_after} after; {rows_changed} differ\n")?;
        writeln!(out, "{:<16} {:>8} {:>14} {:>14} {:>22}", "", "", "orders", "quantity", "total (minor)")?;
        let currencies = self.currencies();
        let states = self.states();
        for (name, figures) in currencies.iter().chain(&states) {
            for (side, when) in ["before", "after"].into_iter().enumerate() {
                let Figures { orders, quantity, total_minor } = figures;
                let (Some(orders), Some(quantity), Some(total)) =
                    (orders.get(side), quantity.get(side), total_minor.get(side))
                else {
                    continue;
                };
                writeln!(out, "{name:<16} {when:>8} {orders:>14} {quantity:>14} {total:>22}")?;
            }
        }
        if !states.is_empty() {
            writeln!(out, "states differ where the customers dimension is another than it was")?;
        }
        Ok(())
    }
}
