//! The embedded stores in this process: a block is stored whole and once, whoever sends it and however often.

use crate::corpus::rules;
use crate::support::block_on;
use pipeline::block::{Block, Builder, Recipe};
use pipeline::enrich::Customers;
use pipeline::log::LogRecord;
use pipeline::money::Currency;
use pipeline::rollup::Sums;
use pipeline::store::sqlite::{self, SqliteBooks};
use pipeline::store::{Books, Lookup, Stores};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn recipe() -> Recipe {
    Recipe { rules: rules(), categories: None, window: 100 }
}

fn start(dir: &Path) -> (sqlite::SqliteStores, SqliteBooks) {
    let path: PathBuf = dir.join("stores.db");
    (sqlite::start(&path, 1 << 20, &recipe()).unwrap().stores, SqliteBooks::new(&path))
}

/// A block of partition 3 with an order of 10.00 for each id, the first one at offset `first`.
fn block(first: i64, ids: &[&str], received_at: i64) -> Arc<Block> {
    let mut builder = Builder::new(Arc::new(recipe()), "topic", 3, first);
    let mut growing = builder.begin(first);
    for (id, offset) in ids.iter().zip(first..) {
        let value =
            format!(r#"{{"order_id":"{id}","customer_id":3,"source":"Online","quantity":2,"total":10}}"#);
        let record = LogRecord { offset, key: None, value: value.into(), received_at, due_at: None };
        builder.add(&mut growing, &record, &Customers::default());
    }
    Arc::new(growing.finish())
}

/// Orders and total of the orders store, and of the rollups.
fn totals(books: &SqliteBooks) -> [(u64, i128); 2] {
    let sums = |all: Vec<Sums>| {
        all.iter().fold((0, 0), |(orders, total), sums| (orders + sums.orders, total + sums.total_minor))
    };
    let orders = block_on(books.orders(&(0..6).map(|partition| (partition, i64::MAX)).collect()))
        .unwrap()
        .into_values()
        .collect();
    let sales = block_on(books.sales()).unwrap().into_values().collect();
    [sums(orders), sums(sales)]
}

#[test]
fn a_block_that_is_put_twice_is_stored_once_and_answers_with_the_first_row() {
    let dir = tempfile::tempdir().unwrap();
    let (stores, books) = start(dir.path());
    let block = block(0, &["a", "b", "c"], 1);
    let first = block_on(stores.put(Arc::clone(&block))).unwrap();
    let second = block_on(stores.put(Arc::clone(&block))).unwrap();
    assert!(first.row.inserted_at > 0);
    assert_eq!(first.row, second.row);
    assert_eq!(totals(&books), [(3, 3_000), (3, 3_000)]);
    assert_eq!(block_on(books.blocks()).unwrap(), [first.row]);
}

#[test]
fn of_two_blocks_at_the_same_offset_the_first_wins_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (stores, books) = start(dir.path());
    let won = block_on(stores.put(block(0, &["a", "b"], 1))).unwrap();
    let longer = block_on(stores.put(block(0, &["a", "b", "c", "d"], 1))).unwrap();
    let shorter = block_on(stores.put(block(0, &["x"], 1))).unwrap();
    assert_eq!((won.row.first, won.row.last), (0, 1));
    assert_eq!((&longer.row, &shorter.row), (&won.row, &won.row), "both learn of the one that is there");
    assert_eq!(totals(&books), [(2, 2_000), (2, 2_000)]);
    for absent in ["c", "d", "x"] {
        assert!(block_on(books.order(absent, None)).unwrap().is_none(), "{absent}");
    }
}

#[test]
fn the_newest_block_of_a_partition_is_the_one_with_the_last_offset() {
    let dir = tempfile::tempdir().unwrap();
    let (stores, _) = start(dir.path());
    assert!(block_on(stores.newest_block(3)).unwrap().is_none());
    for first in [0, 2, 4] {
        block_on(stores.put(block(first, &["a", "b"], 1))).unwrap();
    }
    assert_eq!(block_on(stores.newest_block(3)).unwrap().unwrap().last, 5);
    assert!(block_on(stores.newest_block(2)).unwrap().is_none());
}

#[test]
fn an_order_that_comes_again_late_does_not_go_over_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let (stores, books) = start(dir.path());
    block_on(stores.put(block(0, &["a"], 2_000))).unwrap();
    block_on(stores.put(block(1, &["a"], 1_000))).unwrap();
    let found = block_on(books.order("a", None)).unwrap().unwrap();
    assert!(found.contains(&("received_at".into(), "2000".into())), "{found:?}");
    assert!(found.contains(&("offset".into(), "0".into())), "{found:?}");
}

#[test]
fn sums_that_64_bits_cannot_hold_stay_exact() {
    let dir = tempfile::tempdir().unwrap();
    let (stores, books) = start(dir.path());
    let most = 9_223_372_036_854_775_807_i128;
    for (first, id) in [(0, "a"), (1, "b"), (2, "c")] {
        let mut block = Arc::into_inner(block(first, &[id], 1)).unwrap();
        block.sums[0].1.total_minor = most;
        block_on(stores.put(Arc::new(block))).unwrap();
    }
    let sales = block_on(books.sales()).unwrap();
    assert_eq!(sales.values().next().unwrap().total_minor, 3 * most);
    assert!(sales.keys().all(|key| key.currency == Currency::from_code("USD").unwrap()));
}
