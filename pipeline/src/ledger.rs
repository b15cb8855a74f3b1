//! The ledger: whether the books balance. Each partition of the log is read again and counted anew, block by block, and
//! compared with what each block says of itself, with the orders store, and with the rollups.
//!
//! It is a check on data and not on code that ran: it trusts nothing but the log.

mod checkpoint;
mod difference;
mod recount;
mod repeats;
mod report;
mod told;

pub use checkpoint::Checkpoint;
pub use difference::Difference;
pub use report::{Ids, Ledger, PartitionBooks};

use crate::block::{BlockRow, Recipe, Recipes};
use crate::log::{Bounds, LogError, ReadPartition};
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::{Books, SalesKey, StoreError};
use recount::Recount;
use repeats::Repeats;
use std::collections::{BTreeMap, BTreeSet};
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

/// What a ledger is drawn up with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// An outcome file, whose ids are compared with those in the log.
    pub outcomes: Option<&'a Path>,
    /// Whether to count all that can still be counted, also where a checkpoint would spare it. With an outcome file that is
    /// so in any case: its ids may lie anywhere.
    pub full: bool,
    /// Whether orders, and sums, are deleted when they are old: then a store may hold less than was counted, never more.
    pub expires: Expires,
}

/// What is deleted when it is old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expires {
    /// Orders.
    pub orders: bool,
    /// Sums.
    pub rollups: bool,
}

/// Draws up the ledger of a log and its books.
///
/// # Errors
/// Where something cannot be read. That something does not balance is no error but a [`Difference`].
pub async fn draw_up<R: ReadPartition>(
    readers: Vec<R>,
    books: &impl Books,
    recipe: &Arc<Recipe>,
    ask: Ask<'_>,
) -> Result<Ledger, LedgerError> {
    // The stores are read before the log, so that what they hold is in the log by then, also while both grow. What they
    // get meanwhile lies behind these ends and is left out everywhere: to the ledger it is still to be stored.
    let (sales, ends) = books.sales_and_ends().await?;
    let mut blocks = books.blocks().await?;
    blocks.retain(|block| ends.get(&block.partition).is_some_and(|end| block.last <= *end));
    let recipes = Recipes::of(recipe, &books.recipes().await?);
    let stored = books.orders(&ends).await?;
    let kept = books.checkpoints().await?;
    let kept: Vec<_> = kept.values().filter_map(|text| Checkpoint::from_text(text)).collect();
    let mut ledger = Ledger::default();
    let mut ids = ask.outcomes.map(Told::read).transpose()?;
    let (mut all, mut carried): (BTreeMap<Currency, Sums>, _) = (BTreeMap::new(), Sums::default());
    for mut reader in readers {
        let partition = reader.partition();
        let own: Vec<_> = blocks.iter().filter(|block| block.partition == partition).cloned().collect();
        let bounds = reader.bounds().await?;
        let place = (reader.topic_id(), partition, ends.get(&partition).copied());
        let from = start(&kept, place, &own, bounds, ask.full || ask.outcomes.is_some());
        let mut recount = Recount::new(&reader, own.clone(), recipe, recipes.clone(), from);
        recount.run(&mut reader, bounds, ids.as_mut()).await?;
        let found = found_in(&stored, partition);
        let number = |sums: &BTreeMap<_, Sums>| sums.values().map(|sums| sums.orders).sum::<u64>();
        // Only where orders are missing is it worth to look whether they repeat others.
        let missing = number(&found) + number(&recount.replaced) < number(&recount.sums);
        if missing && !ask.expires.orders {
            let place = (reader.topic_id(), partition, ends.get(&partition).copied());
            let from = start(&kept, place, &own, bounds, true);
            let mut replaced = from.map(|from| from.replaced.clone()).unwrap_or_default();
            let passes = repeats::passes(number(&recount.sums));
            for pass in 0..passes {
                let mut again = Recount::new(&reader, own.clone(), recipe, recipes.clone(), from);
                again.repeats = Some(Repeats::new(pass, passes, books.order_place()));
                again.run(&mut reader, bounds, None).await?;
                if let Some(repeats) = again.repeats {
                    repeats::merge(&mut replaced, &repeats.replaced);
                }
            }
            recount.replaced = replaced;
        }
        for (currency, sums) in &recount.sums {
            all.entry(*currency).or_default().merge(*sums);
        }
        carried.merge(recount.carried);
        compare_stored(&mut recount, &found, ask.expires.orders);
        ledger
            .checkpoints
            .extend(ends.get(&partition).map(|last| recount.checkpoint(reader.topic_id(), *last)));
        ledger.add(recount.books, recount.differences);
    }
    compare_sales(&mut ledger, &all, carried, &sales, ask.expires.rollups);
    ledger.expires = ask.expires;
    if let Some(ids) = ids {
        ids.compare(&mut ledger);
    }
    Ok(ledger)
}

/// The checkpoint that a partition is counted from: the newest one; or, to count as much as can be, the oldest behind all
/// that cannot be counted any more since its records or its block rows were deleted, if anything was.
fn start<'c>(
    kept: &'c [Checkpoint],
    (topic_id, partition, end): (&str, u32, Option<i64>),
    blocks: &[BlockRow],
    log: Bounds,
    full: bool,
) -> Option<&'c Checkpoint> {
    let first = blocks.iter().find(|block| !block.is_lost()).map_or(0, |block| block.first);
    let gone = first.max(log.first);
    let own = kept.iter().filter(|one| one.topic_id == topic_id && one.partition == partition);
    // Behind the newest block, it is of stores that were restored from an older state since.
    let own = own.filter(|one| end.is_some_and(|end| one.last <= end));
    let newest = own.clone().max_by_key(|one| one.last);
    match (full, gone) {
        (false, _) => newest,
        (true, 0) => None,
        (true, _) => own.filter(|one| one.last + 1 >= gone).min_by_key(|one| one.last).or(newest),
    }
}

/// What the orders store holds of a partition.
fn found_in(stored: &BTreeMap<(u32, Currency), Sums>, partition: u32) -> BTreeMap<Currency, Sums> {
    let own = stored.iter().filter(|((number, _), _)| *number == partition);
    own.map(|((_, currency), sums)| (*currency, *sums)).collect()
}

/// The orders store against the orders that count, of one partition.
fn compare_stored(recount: &mut Recount, found: &BTreeMap<Currency, Sums>, expires: bool) {
    let partition = recount.books.partition;
    recount.books.beyond_window = recount.replaced.values().map(|sums| sums.orders).sum();
    let expected = repeats::without(&recount.sums, &recount.replaced);
    for sums in found.values() {
        recount.books.stored_orders += sums.orders;
        recount.books.stored_total_minor += sums.total_minor;
    }
    for (what, expected, found) in compare(&expected, recount.carried, found, ("orders store", expires)) {
        recount.differences.push(Difference::of_partition(partition, what, expected, found));
    }
}

/// The rollups against the orders that count, of all partitions.
fn compare_sales(
    ledger: &mut Ledger,
    expected: &BTreeMap<Currency, Sums>,
    carried: Sums,
    sales: &BTreeMap<SalesKey, Sums>,
    expires: bool,
) {
    let mut found: BTreeMap<Currency, Sums> = BTreeMap::new();
    for (key, sums) in sales {
        found.entry(key.currency).or_default().merge(*sums);
        ledger.rollup_orders += sums.orders;
        ledger.rollup_quantity += sums.quantity;
        ledger.rollup_total_minor += sums.total_minor;
    }
    for (what, expected, found) in compare(expected, carried, &found, ("rollups", expires)) {
        ledger.differences.push(Difference::whole(what, expected, found));
    }
}

/// What differs between sums by currency and those of a store. What was carried has no currencies, so that where there is
/// some, all of them are compared as one: a check sum.
fn compare(
    counted: &BTreeMap<Currency, Sums>,
    carried: Sums,
    found: &BTreeMap<Currency, Sums>,
    (place, expires): (&str, bool),
) -> Vec<(String, i128, i128)> {
    let all = |sums: &BTreeMap<Currency, Sums>, mut all: Sums| {
        sums.values().for_each(|sums| all.merge(*sums));
        all
    };
    let sides: Vec<(&str, Sums, Sums)> = if carried == Sums::default() {
        let currencies: BTreeSet<_> = counted.keys().chain(found.keys()).collect();
        let of = |sums: &BTreeMap<Currency, Sums>, currency| sums.get(currency).copied().unwrap_or_default();
        currencies.into_iter().map(|code| (code.code(), of(counted, code), of(found, code))).collect()
    } else {
        vec![("all currencies", all(counted, carried), all(found, Sums::default()))]
    };
    let named = sides.into_iter().flat_map(|(code, expected, found)| {
        pairs(expected, found)
            .map(|(what, expected, found)| (format!("{what} in the {place}, {code}"), expected, found))
    });
    named.filter(|(_, expected, found)| if expires { found > expected } else { found != expected }).collect()
}

fn pairs(expected: Sums, found: Sums) -> [(&'static str, i128, i128); 3] {
    [
        ("orders", expected.orders.into(), found.orders.into()),
        ("quantity", expected.quantity.into(), found.quantity.into()),
        ("total", expected.total_minor, found.total_minor),
    ]
}
