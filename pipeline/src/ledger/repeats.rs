//! Orders that repeat an id beyond the window. They count once more in the sums; the orders store, which goes by the id, has
//! only the later one. Pure.

use crate::block::StoredOrder;
use crate::money::Currency;
use crate::rollup::Sums;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Orders of one pass. Each takes 48 bytes in a table that is at worst half empty, so that a pass takes 200 MB at most;
/// a partition with more orders is read several times, each time for another share of the ids.
const ORDERS_OF_A_PASS: u64 = 2_000_000;

/// What the orders store has replaced, by currency.
pub(super) type Replaced = BTreeMap<Currency, Sums>;

/// How many passes so many orders take.
pub(super) const fn passes(orders: u64) -> u64 {
    orders / ORDERS_OF_A_PASS + 1
}

/// Adds what another pass, or a checkpoint, has found.
pub(super) fn merge(all: &mut Replaced, more: &Replaced) {
    for (currency, sums) in more {
        all.entry(*currency).or_default().merge(*sums);
    }
}

/// Sums without what was replaced of them.
pub(super) fn without(all: &Replaced, replaced: &Replaced) -> Replaced {
    let mut left = all.clone();
    for (currency, sums) in replaced {
        let own = left.entry(*currency).or_default();
        own.orders = own.orders.saturating_sub(sums.orders);
        own.quantity -= sums.quantity;
        own.total_minor -= sums.total_minor;
    }
    left
}

/// The newest order of an id, as far as the sums need it.
struct Newest {
    currency: Currency,
    quantity: i64,
    total_minor: i64,
    received_at: i64,
}

/// Finds repeats among the orders of a partition that count.
pub(super) struct Repeats {
    /// Which share of the ids is looked at, of how many.
    share: (u64, u64),
    /// What tells rows of one id apart in the orders store, by `created_at`.
    place: fn(i64) -> i64,
    newest: HashMap<u128, Newest>,
    /// What was found.
    pub(super) replaced: Replaced,
}

impl Repeats {
    /// A pass over one share of the ids.
    pub(super) fn new(pass: u64, passes: u64, place: fn(i64) -> i64) -> Self {
        Self { share: (pass, passes.max(1)), place, newest: HashMap::new(), replaced: Replaced::new() }
    }

    /// Takes an order that counts.
    pub(super) fn see(&mut self, order: &StoredOrder) {
        let (id, seed) = (order.order_id.as_bytes(), (self.place)(order.created_at).cast_unsigned());
        if xxh3_64_with_seed(id, seed) % self.share.1 != self.share.0 {
            return;
        }
        let StoredOrder { currency, quantity, total_minor, received_at, .. } = *order;
        let seen = Newest { currency, quantity, total_minor, received_at };
        let older = match self.newest.entry(xxh3_128_with_seed(id, seed)) {
            Entry::Vacant(entry) => {
                entry.insert(seen);
                return;
            }
            // Of two writes the one received later stays; the orders come as they lie in the log.
            Entry::Occupied(mut entry) if seen.received_at >= entry.get().received_at => entry.insert(seen),
            Entry::Occupied(_) => seen,
        };
        self.replaced.entry(older.currency).or_default().add(older.quantity, older.total_minor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, total_minor: i64, received_at: i64) -> StoredOrder {
        StoredOrder {
            order_id: id.into(),
            customer_id: 1,
            source: "Online".into(),
            quantity: 1,
            total_minor,
            currency: Currency::from_code("USD").unwrap(),
            state: None,
            store_id: None,
            product_id: None,
            category: None,
            created_at: 0,
            received_at,
            due_at: None,
            offset: 0,
        }
    }

    #[test]
    fn of_one_id_the_one_received_later_stays_whatever_pass_finds_it() {
        let orders = [order("a", 1, 5), order("b", 10, 5), order("a", 100, 4), order("a", 1000, 6)];
        for passes in [1, 3] {
            let mut all = Replaced::new();
            for pass in 0..passes {
                let mut repeats = Repeats::new(pass, passes, |_| 7);
                orders.iter().for_each(|order| repeats.see(order));
                merge(&mut all, &repeats.replaced);
            }
            let usd = Currency::from_code("USD").unwrap();
            assert_eq!(all[&usd], Sums { orders: 2, quantity: 2, total_minor: 101 });
            let counted = [(usd, Sums { orders: 4, quantity: 4, total_minor: 1111 })].into();
            assert_eq!(without(&counted, &all)[&usd], Sums { orders: 2, quantity: 2, total_minor: 1010 });
        }
    }

    #[test]
    fn the_same_id_in_two_places_is_two_orders() {
        let mut repeats = Repeats::new(0, 1, |created_at| created_at / 10);
        for created_at in [7, 12] {
            repeats.see(&StoredOrder { created_at, ..order("a", 1, 5) });
        }
        assert_eq!(repeats.replaced, Replaced::new());
    }
}
