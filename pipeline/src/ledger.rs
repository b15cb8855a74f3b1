//! The ledger: whether the books balance. Each partition of the log is read again and counted anew, block by block, and
//! compared with what each block says of itself, with the orders store, and with the rollups.
//!
//! It is a check on data and not on code that ran: it trusts nothing but the log.

mod recount;
mod report;
mod told;

pub use report::{Difference, Ids, Ledger, PartitionBooks};

use crate::block::{Recipe, Recipes};
use crate::log::{LogError, ReadPartition};
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::{Books, SalesKey, StoreError};
use recount::Recount;
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
    // The stores are read before the log, so that what they hold is in the log by then, also while both grow. What they
    // get meanwhile lies behind these ends and is left out everywhere: to the ledger it is still to be stored.
    let (sales, ends) = books.sales_and_ends().await?;
    let mut blocks = books.blocks().await?;
    blocks.retain(|block| ends.get(&block.partition).is_some_and(|end| block.last <= *end));
    let recipes = Recipes::of(recipe, &books.recipes().await?);
    let stored = books.orders(&ends).await?;
    let mut ledger = Ledger::default();
    let mut ids = outcomes.map(Told::read).transpose()?;
    let (mut all, mut carried): (BTreeMap<Currency, Sums>, _) = (BTreeMap::new(), Sums::default());
    for mut reader in readers {
        let partition = reader.partition();
        let own: Vec<_> = blocks.iter().filter(|block| block.partition == partition).cloned().collect();
        let mut recount = Recount::new(&reader, own, recipe, recipes.clone());
        recount.run(&mut reader, ids.as_mut()).await?;
        for (currency, sums) in &recount.sums {
            all.entry(*currency).or_default().merge(*sums);
        }
        carried.merge(recount.carried);
        compare_stored(&mut recount, &stored);
        ledger.add(recount.books, recount.differences);
    }
    compare_sales(&mut ledger, &all, carried, &sales);
    if let Some(ids) = ids {
        ids.compare(&mut ledger);
    }
    Ok(ledger)
}

/// The orders store against the orders that count, of one partition.
fn compare_stored(recount: &mut Recount, stored: &BTreeMap<(u32, Currency), Sums>) {
    let partition = recount.books.partition;
    let own = stored.iter().filter(|((number, _), _)| *number == partition);
    let found: BTreeMap<_, _> = own.map(|((_, currency), sums)| (*currency, *sums)).collect();
    for sums in found.values() {
        recount.books.stored_orders += sums.orders;
        recount.books.stored_total_minor += sums.total_minor;
    }
    for (what, expected, found) in compare(&recount.sums, recount.carried, &found, "orders store") {
        recount.differences.push(Difference::of_partition(partition, what, expected, found));
    }
}

/// The rollups against the orders that count, of all partitions.
fn compare_sales(
    ledger: &mut Ledger,
    expected: &BTreeMap<Currency, Sums>,
    carried: Sums,
    sales: &BTreeMap<SalesKey, Sums>,
) {
    let mut found: BTreeMap<Currency, Sums> = BTreeMap::new();
    for (key, sums) in sales {
        found.entry(key.currency).or_default().merge(*sums);
        ledger.rollup_orders += sums.orders;
        ledger.rollup_quantity += sums.quantity;
        ledger.rollup_total_minor += sums.total_minor;
    }
    for (what, expected, found) in compare(expected, carried, &found, "rollups") {
        ledger.differences.push(Difference::whole(what, expected, found));
    }
}

/// What differs between sums by currency and those of a store. What was carried has no currencies, so that where there is
/// some, all of them are compared as one: a check sum.
fn compare(
    counted: &BTreeMap<Currency, Sums>,
    carried: Sums,
    found: &BTreeMap<Currency, Sums>,
    place: &str,
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
    named.filter(|(_, expected, found)| expected != found).collect()
}

fn pairs(expected: Sums, found: Sums) -> [(&'static str, i128, i128); 3] {
    [
        ("orders", expected.orders.into(), found.orders.into()),
        ("quantity", expected.quantity.into(), found.quantity.into()),
        ("total", expected.total_minor, found.total_minor),
    ]
}
