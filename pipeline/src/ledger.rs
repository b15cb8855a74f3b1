//! The ledger: whether the books balance. Each partition of the log is read again and counted anew, block by block, and
//! compared with what each block says of itself, with the orders store, and with the rollups.
//!
//! It is a check on data and not on code that ran: it trusts nothing but the log.

mod report;
mod told;

pub use report::{Difference, Ids, Ledger, PartitionBooks};

use crate::block::{BlockRow, Builder, Recipe, Recipes};
use crate::enrich::Customers;
use crate::log::{LogError, ReadPartition, scan};
use crate::money::Currency;
use crate::parse::Parser;
use crate::rollup::Sums;
use crate::store::{Books, Ends, SalesKey, StoreError};
use crate::window::Window;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use told::Told;

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stores cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The outcome file cannot be read.
    #[error("the outcome file cannot be read: {0}")]
    Outcomes(#[from] std::io::Error),
}

/// Draws up the ledger of a log and its books. With an outcome file, the ids in it are compared with those in the log.
///
/// # Errors
/// Where something cannot be read. That something does not balance is no error but a [`Difference`].
pub async fn draw_up<R: ReadPartition>(
    readers: Vec<R>,
    books: &impl Books,
    recipe: &Arc<Recipe>,
    outcomes: Option<&Path>,
) -> Result<Ledger, LedgerError> {
    // The stores are read before the log, so that what they hold is in the log by then, also while both grow.
    let blocks = books.blocks().await?;
    let recipes = Recipes::of(recipe, &books.recipes().await?);
    let mut ends = Ends::new();
    for block in &blocks {
        let end = ends.entry(block.partition).or_insert(block.last);
        *end = block.last.max(*end);
    }
    let stored = books.orders(&ends).await?;
    let sales = books.sales().await?;
    let mut ledger = Ledger::default();
    let mut ids = outcomes.map(Told::read).transpose()?;
    let mut all: BTreeMap<Currency, Sums> = BTreeMap::new();
    for mut reader in readers {
        let partition = reader.partition();
        let own: Vec<_> = blocks.iter().filter(|block| block.partition == partition).cloned().collect();
        let mut recount = Recount::new(&reader, own, recipe, recipes.clone());
        recount.run(&mut reader, ids.as_mut()).await?;
        for (currency, sums) in &recount.sums {
            all.entry(*currency).or_default().merge(*sums);
        }
        compare_stored(&mut recount, &stored);
        ledger.add(recount.books, recount.differences);
    }
    compare_sales(&mut ledger, &all, &sales);
    if let Some(ids) = ids {
        ids.compare(&mut ledger);
    }
    Ok(ledger)
}

/// One partition, counted anew.
struct Recount {
    books: PartitionBooks,
    blocks: std::vec::IntoIter<BlockRow>,
    builder: Builder,
    /// The recipe of today, and all by which blocks were stored.
    own: Arc<Recipe>,
    fingerprint: String,
    recipes: Recipes,
    parser: Parser,
    /// Orders that count, by currency.
    sums: BTreeMap<Currency, Sums>,
    differences: Vec<Difference>,
}

impl Recount {
    fn new(
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
            differences,
        }
    }

    /// Reads the whole partition and counts the range of each block; what lies behind the newest is pending.
    async fn run(
        &mut self,
        reader: &mut impl ReadPartition,
        mut ids: Option<&mut Told>,
    ) -> Result<(), LedgerError> {
        let bounds = reader.bounds().await?;
        let customers = Customers::default();
        let mut block = self.next_block();
        let mut growing = self.builder.begin(bounds.first);
        scan(reader, bounds.first, bounds.end, |record| {
            self.books.log += 1;
            if let Some(ids) = ids.as_deref_mut() {
                ids.see(&record, &mut self.parser, &self.own.rules);
            }
            self.builder.add(&mut growing, &record, &customers);
            match &block {
                None => self.books.pending += 1,
                Some(row) if row.last == record.offset => {
                    let next = self.builder.begin(record.offset + 1);
                    let done = std::mem::replace(&mut growing, next).finish();
                    for order in &done.orders {
                        let sums = self.sums.entry(order.currency).or_default();
                        sums.add(order.quantity, order.total_minor);
                    }
                    self.compare_block(row, &done.row);
                    block = self.next_block();
                }
                Some(_) => {}
            }
        })
        .await?;
        if let Some(row) = block.into_iter().chain(self.blocks.by_ref()).next() {
            let range = (row.first, row.last);
            let missing =
                Difference::of(self.books.partition, range, "end of the log", row.last + 1, bounds.end);
            self.differences.push(missing);
        }
        Ok(())
    }

    /// The next block, by whose rules the records are counted from here on; behind the newest, by those of today.
    fn next_block(&mut self) -> Option<BlockRow> {
        let block = self.blocks.next();
        let known = block.as_ref().and_then(|block| self.recipes.get(&block.rules));
        self.builder.follow(known.unwrap_or(&self.own));
        self.books.unknown_rules += u64::from(block.is_some() && known.is_none());
        block
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
        self.books.other_rules += u64::from(row.rules != self.fingerprint);
        self.books.orders += row.orders;
        self.books.duplicates += row.duplicates;
        self.books.dead += row.dead;
        self.books.quantity += row.quantity;
        self.books.total_minor += row.total_minor;
    }
}

/// The orders store against the orders that count, of one partition.
fn compare_stored(recount: &mut Recount, stored: &BTreeMap<(u32, Currency), Sums>) {
    let partition = recount.books.partition;
    let mut currencies: Vec<_> = recount.sums.keys().copied().collect();
    currencies
        .extend(stored.keys().filter(|(number, _)| *number == partition).map(|(_, currency)| *currency));
    currencies.sort_unstable();
    currencies.dedup();
    for currency in currencies {
        let expected = recount.sums.get(&currency).copied().unwrap_or_default();
        let found = stored.get(&(partition, currency)).copied().unwrap_or_default();
        recount.books.stored_orders += found.orders;
        recount.books.stored_total_minor += found.total_minor;
        for (what, expected, found) in pairs(expected, found) {
            if expected != found {
                let what = format!("{what} in the orders store, {}", currency.code());
                recount.differences.push(Difference::of_partition(partition, what, expected, found));
            }
        }
    }
}

/// The rollups against the orders that count, of all partitions.
fn compare_sales(ledger: &mut Ledger, expected: &BTreeMap<Currency, Sums>, sales: &BTreeMap<SalesKey, Sums>) {
    let mut found: BTreeMap<Currency, Sums> = BTreeMap::new();
    for (key, sums) in sales {
        found.entry(key.currency).or_default().merge(*sums);
    }
    let currencies: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for currency in currencies {
        let expected = expected.get(currency).copied().unwrap_or_default();
        let found = found.get(currency).copied().unwrap_or_default();
        ledger.rollup_orders += found.orders;
        ledger.rollup_quantity += found.quantity;
        ledger.rollup_total_minor += found.total_minor;
        for (what, expected, found) in pairs(expected, found) {
            if expected != found {
                let what = format!("{what} in the rollups, {}", currency.code());
                ledger.differences.push(Difference::whole(what, expected, found));
            }
        }
    }
}

fn pairs(expected: Sums, found: Sums) -> [(&'static str, i128, i128); 3] {
    [
        ("orders", expected.orders.into(), found.orders.into()),
        ("quantity", expected.quantity.into(), found.quantity.into()),
        ("total", expected.total_minor, found.total_minor),
    ]
}
