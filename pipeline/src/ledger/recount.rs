//! One partition of the log, counted anew and compared with what each block says of itself.
//!
//! A block whose records were deleted from the log, or whose duplicates can no longer be told since the records before it
//! were, is taken at its word; so the sums of the stores are still compared when the log's beginning has gone.

use super::checkpoint::Checkpoint;
use super::repeats::{Repeats, Replaced};
use super::told::Told;
use super::{Difference, LedgerError, PartitionBooks};
use crate::block::{BlockRow, Builder, Recipe, Recipes};
use crate::enrich::Customers;
use crate::log::{Bounds, ReadPartition, scan};
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
    /// The first offset to be counted, behind a checkpoint.
    from: i64,
    /// The blocks before it whose rows are still there, for the rules of the records in the window.
    past: Vec<BlockRow>,
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
    /// What the orders store has replaced by repeats beyond the window, as far as that was looked for.
    pub(super) replaced: Replaced,
    /// What looks for that.
    pub(super) repeats: Option<Repeats>,
    pub(super) differences: Vec<Difference>,
}

impl Recount {
    pub(super) fn new(
        reader: &impl ReadPartition,
        mut blocks: Vec<BlockRow>,
        recipe: &Arc<Recipe>,
        recipes: Recipes,
        checkpoint: Option<&Checkpoint>,
    ) -> Self {
        let partition = reader.partition();
        let mut differences = Vec::new();
        let mut books = checkpoint
            .map_or_else(|| PartitionBooks { partition, ..PartitionBooks::default() }, Checkpoint::books);
        let from = checkpoint.map_or(0, |checkpoint| checkpoint.last + 1);
        let behind = blocks.partition_point(|block| block.last < from);
        // What the checkpoint has counted; only losses are told for ever.
        let past: Vec<_> = blocks.drain(..behind).collect();
        let lost = past.iter().filter(|block| block.is_lost());
        books.lost = lost.map(|block| (block.first, block.last)).collect();
        if let Some(first) = blocks.first().map(|block| block.first).filter(|first| *first != from) {
            let what = "offsets without a block row and without a checkpoint, from there";
            differences.push(Difference::of(
                partition,
                (from.min(first), from.max(first) - 1),
                what,
                from,
                first,
            ));
        }
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
            books: PartitionBooks { blocks: books.blocks + blocks.len() as u64, ..books },
            blocks: blocks.into_iter(),
            from,
            past,
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
            sums: checkpoint.map(|checkpoint| checkpoint.sums.clone()).unwrap_or_default(),
            carried: checkpoint.map(|checkpoint| checkpoint.carried).unwrap_or_default(),
            replaced: checkpoint.map(|checkpoint| checkpoint.replaced.clone()).unwrap_or_default(),
            repeats: None,
            differences,
        }
    }

    /// Reads the whole partition and counts the range of each block; what lies behind the newest is pending.
    pub(super) async fn run(
        &mut self,
        reader: &mut impl ReadPartition,
        bounds: Bounds,
        mut ids: Option<&mut Told>,
    ) -> Result<(), LedgerError> {
        let customers = Customers::default();
        // Where the log's beginning was deleted, what was deleted with it may be what makes a record a duplicate.
        let window = i64::try_from(self.recipes.window()).unwrap_or(i64::MAX);
        let countable = if bounds.first == 0 { 0 } else { bounds.first.saturating_add(window) };
        let mut block = self.next_block();
        while let Some(row) = block.take_if(|row| row.last < bounds.first) {
            self.carry(&row);
            block = self.next_block();
        }
        let from = self.from.max(bounds.first);
        self.fill_window(reader, bounds.first.max(from.saturating_sub(window)), from).await?;
        let mut growing = self.builder.begin(from);
        scan(reader, from, bounds.end, |record| {
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
                            if let Some(repeats) = self.repeats.as_mut() {
                                repeats.see(order);
                            }
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

    /// Takes the records before the first that is counted into the window.
    async fn fill_window(
        &mut self,
        reader: &mut impl ReadPartition,
        first: i64,
        from: i64,
    ) -> Result<(), LedgerError> {
        let Self { builder, own, past, recipes, .. } = self;
        scan(reader, first, from, |record| {
            let at = past.partition_point(|block| block.last < record.offset);
            let known = past.get(at).and_then(|block| recipes.get(&block.rules));
            builder.remember(&record, known.unwrap_or(own));
        })
        .await?;
        Ok(())
    }

    /// What was counted up to the end of the newest block.
    pub(super) fn checkpoint(&self, topic_id: &str, last: i64) -> Checkpoint {
        Checkpoint {
            topic_id: topic_id.to_owned(),
            partition: self.books.partition,
            last,
            blocks: self.books.blocks,
            duplicates: self.books.duplicates,
            dead: self.books.dead,
            sums: self.sums.clone(),
            carried: self.carried,
            replaced: self.replaced.clone(),
        }
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
