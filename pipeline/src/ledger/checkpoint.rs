//! A checkpoint: what a balanced ledger counted of a partition up to a block's end, from which later ledgers go on. Pure.

use super::report::PartitionBooks;
use crate::money::Currency;
use crate::rollup::Sums;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was counted of one partition up to the end of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The identity of the topic.
    pub topic_id: String,
    /// The partition.
    pub partition: u32,
    /// The last offset.
    pub last: i64,
    /// Blocks.
    pub blocks: u64,
    /// Records that were duplicates.
    pub duplicates: u64,
    /// Records that were refused.
    pub dead: u64,
    /// Orders that count, by currency.
    pub sums: BTreeMap<Currency, Sums>,
    /// Orders of blocks that were taken at their word, whose currencies are not known.
    pub carried: Sums,
    /// Of the orders that count, those that the orders store has replaced by repeats beyond the window.
    pub replaced: BTreeMap<Currency, Sums>,
}

/// As it is kept: sums as texts, since JSON's numbers end before theirs do.
#[derive(Serialize, Deserialize)]
struct Kept {
    topic_id: String,
    partition: u32,
    last: i64,
    blocks: u64,
    duplicates: u64,
    dead: u64,
    sums: ByCurrency,
    carried: (u64, i64, String),
    #[serde(default)]
    replaced: ByCurrency,
}

type ByCurrency = BTreeMap<String, (u64, i64, String)>;

const fn parts(sums: Sums) -> (u64, i64, i128) {
    (sums.orders, sums.quantity, sums.total_minor)
}

fn kept(sums: Sums) -> (u64, i64, String) {
    let (orders, quantity, total) = parts(sums);
    (orders, quantity, total.to_string())
}

fn read((orders, quantity, total): (u64, i64, String)) -> Option<Sums> {
    Some(Sums { orders, quantity, total_minor: total.parse().ok()? })
}

impl Checkpoint {
    /// All orders that count.
    pub fn all(&self) -> Sums {
        let mut all = self.carried;
        self.sums.values().for_each(|sums| all.merge(*sums));
        all
    }

    /// The name under which it is kept. A partition has one of each block's end at most.
    pub fn name(&self) -> String {
        format!("{}-{}", self.partition, self.last)
    }

    /// The checkpoint as a text that [`Checkpoint::from_text`] reads.
    pub fn to_text(&self) -> String {
        let by_code = |all: &BTreeMap<Currency, Sums>| -> ByCurrency {
            all.iter().map(|(currency, sums)| (currency.code().to_owned(), kept(*sums))).collect()
        };
        let kept = Kept {
            topic_id: self.topic_id.clone(),
            partition: self.partition,
            last: self.last,
            blocks: self.blocks,
            duplicates: self.duplicates,
            dead: self.dead,
            sums: by_code(&self.sums),
            carried: kept(self.carried),
            replaced: by_code(&self.replaced),
        };
        serde_json::to_string(&kept).unwrap_or_default()
    }

    /// Reads what [`Checkpoint::to_text`] wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok()?;
        let by_currency = |all: ByCurrency| -> Option<BTreeMap<Currency, Sums>> {
            all.into_iter().map(|(code, sums)| Some((Currency::from_code(&code)?, read(sums)?))).collect()
        };
        Some(Self {
            topic_id: kept.topic_id,
            partition: kept.partition,
            last: kept.last,
            blocks: kept.blocks,
            duplicates: kept.duplicates,
            dead: kept.dead,
            sums: by_currency(kept.sums)?,
            carried: read(kept.carried)?,
            replaced: by_currency(kept.replaced)?,
        })
    }

    /// The books that go on from it.
    pub(super) fn books(&self) -> PartitionBooks {
        let all = self.all();
        PartitionBooks {
            partition: self.partition,
            log: all.orders + self.duplicates + self.dead,
            blocks: self.blocks,
            checkpoint: Some(self.last),
            orders: all.orders,
            duplicates: self.duplicates,
            dead: self.dead,
            quantity: all.quantity,
            total_minor: all.total_minor,
            ..PartitionBooks::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_that_was_written_and_read_is_the_same() {
        let sums = Sums { orders: 3, quantity: 4, total_minor: i128::from(i64::MAX) * 5 };
        let checkpoint = Checkpoint {
            topic_id: "t".into(),
            partition: 4,
            last: 17,
            blocks: 2,
            duplicates: 1,
            dead: 6,
            sums: [(Currency::from_code("JPY").unwrap(), sums)].into(),
            carried: Sums { orders: 1, quantity: 1, total_minor: 7 },
            replaced: [(
                Currency::from_code("USD").unwrap(),
                Sums { orders: 1, quantity: 1, total_minor: 2 },
            )]
            .into(),
        };
        assert_eq!(Checkpoint::from_text(&checkpoint.to_text()), Some(checkpoint.clone()));
        assert_eq!(checkpoint.name(), "4-17");
        assert_eq!(checkpoint.books().log, 4 + 1 + 6);
        assert!(Checkpoint::from_text("{}").is_none());
    }
}
