//! What senders were told of their orders, by id, against what the log has.

use super::difference::Difference;
use super::report::{Ids, Ledger};
use crate::log::LogRecord;
use crate::order::Rules;
use crate::outcomes::{self, Outcome};
use crate::parse::Parser;
use std::collections::HashMap;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// What senders were told, by the fingerprint of each id, and whether the log has the id.
pub(super) struct Told {
    orders: HashMap<u128, (Outcome, bool)>,
    ids: Ids,
}

impl Told {
    pub(super) fn read(path: &Path) -> Result<Self, std::io::Error> {
        let mut orders = HashMap::new();
        let mut ids = Ids::default();
        outcomes::read(path, |id, outcome| {
            ids.count(outcome);
            orders.insert(xxh3_128(id.as_bytes()), (outcome, false));
        })?;
        Ok(Self { orders, ids })
    }

    /// Notes a record's id, the order's own, else the key, and says whether it was noted before.
    pub(super) fn see(&mut self, record: &LogRecord, parser: &mut Parser, rules: &Rules) -> bool {
        let own =
            parser.parse(&record.value, record.received_at, rules).ok().and_then(|order| order.order_id);
        let Some(id) = own.map(str::as_bytes).or(record.key.as_deref()) else { return false };
        match self.orders.get_mut(&xxh3_128(id)) {
            Some((_, seen)) => std::mem::replace(seen, true),
            // Orders that others sent are nobody's fault; they are counted so that a reader knows of them.
            None => {
                self.ids.not_told += 1;
                false
            }
        }
    }

    /// Counts a record that repeats an id and counts once more all the same.
    pub(super) const fn repeated(&mut self) {
        self.ids.beyond_window += 1;
    }

    /// Acknowledged ⊆ log ⊆ acknowledged ∪ unknown.
    pub(super) fn compare(mut self, ledger: &mut Ledger) {
        for (outcome, seen) in self.orders.values() {
            match (outcome, seen) {
                (Outcome::Accepted, false) => self.ids.lost += 1,
                (Outcome::Failed | Outcome::Rejected, true) => self.ids.ghosts += 1,
                (Outcome::Unknown, true) => self.ids.unknown_in_log += 1,
                _ => {}
            }
        }
        for (what, count) in [
            ("ids acknowledged that the log does not have", self.ids.lost),
            ("ids reported as failed or rejected that the log has", self.ids.ghosts),
        ] {
            if count > 0 {
                ledger.differences.push(Difference::whole(what.to_owned(), 0, count));
            }
        }
        ledger.ids = Some(self.ids);
    }
}
