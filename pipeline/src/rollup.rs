//! Rolling up: sales per minute by currency, source, state and category. Pure; sums are exact.

use crate::money::Currency;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What sales are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SumKey {
    /// The minute of `created_at`, in minutes of Unix time.
    pub minute: i64,
    /// The currency: sums of mixed ones mean nothing.
    pub currency: Currency,
    /// The sales channel.
    pub source: Arc<str>,
    /// The state, enriched.
    pub state: Arc<str>,
    /// The category, enriched.
    pub category: Arc<str>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Orders.
    pub orders: u64,
    /// Pieces.
    pub quantity: i64,
    /// Money in minor units.
    pub total_minor: i128,
}

impl Sums {
    /// Adds one order. An order's quantity and total are small, so that no number of orders that fits a log overflows.
    pub fn add(&mut self, quantity: i64, total_minor: i64) {
        self.merge(Self { orders: 1, quantity, total_minor: total_minor.into() });
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: Self) {
        self.orders += other.orders;
        self.quantity += other.quantity;
        self.total_minor += other.total_minor;
    }
}

/// Sums under way.
#[derive(Debug, Default)]
pub struct Rollup {
    sums: HashMap<SumKey, Sums>,
}

impl Rollup {
    /// Adds one order.
    pub fn add(&mut self, key: SumKey, quantity: i64, total_minor: i64) {
        self.sums.entry(key).or_default().add(quantity, total_minor);
    }

    /// The sums in the order of their keys, so that the same orders give the same bytes.
    pub fn finish(self) -> Vec<(SumKey, Sums)> {
        let mut rows: Vec<_> = self.sums.into_iter().collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows
    }
}

/// One shared text for each name, so that orders do not allocate theirs.
#[derive(Debug, Default)]
pub struct Names {
    known: HashSet<Arc<str>>,
}

impl Names {
    /// States are free text: senders could think of any number of them, so the memory has a limit.
    const MOST: usize = 65_536;

    /// The shared text.
    pub fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        if self.known.len() >= Self::MOST {
            self.known.clear();
        }
        let shared: Arc<str> = Arc::from(name);
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_add_up_by_key_and_come_out_in_order() {
        let (mut names, mut rollup) = (Names::default(), Rollup::default());
        let currency = Currency::from_code("USD").unwrap();
        let mut key = |minute, state| SumKey {
            minute,
            currency,
            source: names.share("Online"),
            state: names.share(state),
            category: names.share("none"),
        };
        for (minute, state, quantity, total) in
            [(2, "TX", 1, 5), (1, "TX", 2, 10), (2, "CA", 3, 7), (2, "TX", 4, 1)]
        {
            rollup.add(key(minute, state), quantity, total);
        }
        let rows = rollup.finish();
        let found: Vec<_> = rows.iter().map(|(key, sums)| (key.minute, &*key.state, *sums)).collect();
        assert_eq!(
            found,
            [
                (1, "TX", Sums { orders: 1, quantity: 2, total_minor: 10 }),
                (2, "CA", Sums { orders: 1, quantity: 3, total_minor: 7 }),
                (2, "TX", Sums { orders: 2, quantity: 5, total_minor: 6 }),
            ]
        );
    }
}
