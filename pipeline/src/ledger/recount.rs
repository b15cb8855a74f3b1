//! One partition of the log, counted anew and compared with what each block says of itself.
//!
//! A block whose records were deleted from the log, or whose duplicates can no longer be told since the records before it
//! were, is taken at its word; so the sums of the stores are still compared when the log's beginning has gone.

use super::told::Told;
use super::{Difference, LedgerError, PartitionBooks};
use crate::block::{BlockRow, Builder, Recipe, Recipes};
use crate::enrich::Customers;
use crate::log::{ReadPartition, scan};
use crate::money::Currency;
use crate::parse::Parser;
use crate::rollup::Sums;
use crate::window::Window;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One partition, counted anew.
pub(super) struct Recount {
    pub(super) books: PartitionBooks,
    blocks: std::vec::IntoIter<BlockRow>,
    builder: Builder,
    /// The recipe of today, and all by which blocks were stored.
    own: Arc<Recipe>,
    fingerprint: String,
    recipes: Recipes,
    parser: Parser,
    /// Orders that count, by currency.
    pub(super) sums: BTreeMap<Currency, Sums>,
    /// What the blocks say themselves whose records, or whose window, are not in the log any more.
    pub(super) carried: Sums,
    pub(super) differences: Vec<Difference>,
}

impl Recount {
    pub(super) fn new(
        reader: &impl ReadPartition,
        mut blocks: Vec<BlockRow>,
        recipe: &Arc<Recipe>,
        recipes: Recipes,
    ) -> Self {
        let partition = reader.partition();
        let mut differences = Vec::new();
        blocks.dedup_by(|again, block| {
            let range = (block.first, block.last);
            let doubled = range == (again.first, again.last);
            if doubled {
                differences.push(Difference::of(partition, range, "times a block is stored", 1, 2));
            }
            doubled
        });
        for pair in blocks.windows(2) {
            if let [before, after] = pair
                && after.first != before.last + 1
            {
                let what =
                    if after.first > before.last + 1 { "a gap between blocks" } else { "blocks overlap" };
                let range = (before.last.min(after.first), before.last.max(after.first));
                differences.push(Difference::of(partition, range, what, before.last + 1, after.first));
            }
        }
        if let Some(other) = blocks.iter().find(|block| block.topic_id != reader.topic_id()) {
            let range = (other.first, other.last);
            differences.push(Difference::of(partition, range, "topic", reader.topic_id(), &other.topic_id));
        }
        Self {
            books: PartitionBooks { partition, blocks: blocks.len() as u64, ..PartitionBooks::default() },
            blocks: blocks.into_iter(),
            builder: Builder::with_window(
                Arc::clone(recipe),
                reader.topic_id(),
                partition,
                Window::new(recipes.window(), 0),
            ),
            own: Arc::clone(recipe),
            fingerprint: recipe.fingerprint(),
            recipes,
            parser: Parser::default(),
            sums: BTreeMap::new(),
            carried: Sums::default(),
            differences,
        }
    }

    /// Reads the whole partition and counts the range of each block; what lies behind the newest is pending.
    pub(super) async fn run(
        &mut self,
        reader: &mut impl ReadPartition,
        mut ids: Option<&mut Told>,
    ) -> Result<(), LedgerError> {
        let bounds = reader.bounds().await?;
        let customers = Customers::default();
        // Where the log's beginning was deleted, what was deleted with it may be what makes a record a duplicate.
        let window = i64::try_from(self.recipes.window()).unwrap_or(i64::MAX);
        let countable = if bounds.first == 0 { 0 } else { bounds.first.saturating_add(window) };
        let mut block = self.next_block();
        while let Some(row) = block.take_if(|row| row.last < bounds.first) {
            self.carry(&row);
            block = self.next_block();
        }
        let mut growing = self.builder.begin(bounds.first);
        scan(reader, bounds.first, bounds.end, |record| {
            self.books.log += 1;
            let mut repeats = false;
            if let Some(ids) = ids.as_deref_mut() {
                repeats = ids.see(&record, &mut self.parser, &self.own.rules);
            }
            let orders = growing.orders();
            self.builder.add(&mut growing, &record, &customers);
            if let Some(ids) = ids.as_deref_mut().filter(|_| repeats && growing.orders() > orders) {
                ids.repeated();
            }
            match &block {
                None => self.books.pending += 1,
                Some(row) if row.last == record.offset => {
                    let next = self.builder.begin(record.offset + 1);
                    let done = std::mem::replace(&mut growing, next).finish();
                    if row.first < countable {
                        self.carry(row);
                    } else {
                        for order in &done.orders {
                            let sums = self.sums.entry(order.currency).or_default();
                            sums.add(order.quantity, order.total_minor);
                        }
                        self.compare_block(row, &done.row);
                    }
                    block = self.next_block();
                }
                Some(_) => {}
            }
        })
        .await?;
        if let Some(row) = block.or_else(|| self.next_block()) {
            let range = (row.first, row.last);
            let missing =
                Difference::of(self.books.partition, range, "end of the log", row.last + 1, bounds.end);
            self.differences.push(missing);
        }
        Ok(())
    }

    /// The next block, by whose rules the records are counted from here on; behind the newest, by those of today.
    fn next_block(&mut self) -> Option<BlockRow> {
        let block = loop {
            match self.blocks.next() {
                Some(lost) if lost.is_lost() => self.books.lost.push((lost.first, lost.last)),
                block => break block,
            }
        };
        let known = block.as_ref().and_then(|block| self.recipes.get(&block.rules));
        self.builder.follow(known.unwrap_or(&self.own));
        self.books.unknown_rules += u64::from(block.is_some() && known.is_none());
        block
    }

    /// Takes a block at its word.
    fn carry(&mut self, row: &BlockRow) {
        self.books.carried += 1;
        let (orders, quantity, total_minor) = (row.orders, row.quantity, row.total_minor);
        self.carried.merge(Sums { orders, quantity, total_minor });
        self.enter(row);
    }

    fn compare_block(&mut self, row: &BlockRow, counted: &BlockRow) {
        let partition = row.partition;
        let range = (row.first, row.last);
        for (what, expected, found) in [
            ("first offset of a block", i128::from(counted.first), i128::from(row.first)),
            ("records of a block", counted.records.into(), row.records.into()),
            ("orders of a block", counted.orders.into(), row.orders.into()),
            ("duplicates of a block", counted.duplicates.into(), row.duplicates.into()),
            ("dead letters of a block", counted.dead.into(), row.dead.into()),
            ("quantity of a block", counted.quantity.into(), row.quantity.into()),
            ("total of a block", counted.total_minor, row.total_minor),
        ] {
            if expected != found {
                self.differences.push(Difference::of(partition, range, what, expected, found));
            }
        }
        self.enter(row);
    }

    fn enter(&mut self, row: &BlockRow) {
        self.books.other_rules += u64::from(row.rules != self.fingerprint);
        self.books.orders += row.orders;
        self.books.duplicates += row.duplicates;
        self.books.dead += row.dead;
        self.books.quantity += row.quantity;
        self.books.total_minor += row.total_minor;
    }
}
