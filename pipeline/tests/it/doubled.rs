//! The ledger on books in which a block is stored twice: it says so, and of nothing else.

use crate::corpus::rules;
use crate::support::block_on;
use pipeline::block::{BlockRow, Builder, Recipe, RecipeTexts};
use pipeline::enrich::Customers;
use pipeline::ledger::{self, Ask};
use pipeline::log::{Bounds, LogError, LogRecord, ReadLimit, ReadPartition};
use pipeline::money::Currency;
use pipeline::rollup::Sums;
use pipeline::store::{Books, Ends, SalesKey, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A partition of three orders.
struct Log(Vec<LogRecord>);

impl ReadPartition for Log {
    fn partition(&self) -> u32 {
        0
    }

    fn topic_id(&self) -> &str {
        "topic"
    }

    async fn bounds(&mut self) -> Result<Bounds, LogError> {
        Ok(Bounds { first: 0, end: 3 })
    }

    fn known_end(&self) -> Option<i64> {
        None
    }

    async fn committed(&mut self) -> Result<Option<i64>, LogError> {
        Ok(None)
    }

    async fn read(&mut self, from: i64, _: ReadLimit, _: Duration) -> Result<Vec<LogRecord>, LogError> {
        Ok(self.0.iter().filter(|record| record.offset >= from).cloned().collect())
    }

    async fn commit(&mut self, _: i64) -> Result<(), LogError> {
        Ok(())
    }
}

/// Books with these blocks, whose sums were added up as often as a block stands there.
struct Stored(Vec<BlockRow>);

impl Stored {
    fn sums(&self, blocks: &[BlockRow]) -> Sums {
        let mut all = Sums::default();
        for block in blocks {
            let (orders, quantity, total_minor) = (block.orders, block.quantity, block.total_minor);
            all.merge(Sums { orders, quantity, total_minor });
        }
        all
    }
}

impl Books for Stored {
    async fn blocks(&self) -> Result<Vec<BlockRow>, StoreError> {
        Ok(self.0.clone())
    }

    async fn sales_and_ends(&self) -> Result<(BTreeMap<SalesKey, Sums>, Ends), StoreError> {
        let ends = self.0.iter().map(|block| (block.partition, block.last)).collect();
        Ok((self.sales().await?, ends))
    }

    async fn recipes(&self) -> Result<RecipeTexts, StoreError> {
        Ok(RecipeTexts::new())
    }

    async fn orders(&self, _: &Ends) -> Result<BTreeMap<(u32, Currency), Sums>, StoreError> {
        let mut once = self.0.clone();
        once.dedup();
        Ok([((0, Currency::from_code("USD").unwrap()), self.sums(&once))].into())
    }

    async fn sales(&self) -> Result<BTreeMap<SalesKey, Sums>, StoreError> {
        let currency = Currency::from_code("USD").unwrap();
        Ok([(SalesKey { currency, source: "Online".into(), state: "TX".into() }, self.sums(&self.0))].into())
    }
}

#[test]
fn a_block_that_is_stored_twice_is_named_and_the_rest_still_compared() {
    let record = |offset| {
        let value =
            format!(r#"{{"order_id":"{offset}","customer_id":3,"source":"Online","quantity":2,"total":10}}"#);
        LogRecord { offset, key: None, value: value.into(), received_at: 1, due_at: None }
    };
    let records: Vec<_> = (0..3).map(record).collect();
    let recipe = Arc::new(Recipe { rules: rules(), categories: None, window: 100 });
    let mut builder = Builder::new(Arc::clone(&recipe), "topic", 0, 0);
    let blocks: Vec<_> = records
        .iter()
        .map(|record| {
            let mut growing = builder.begin(record.offset);
            builder.add(&mut growing, record, &Customers::default());
            growing.finish().row
        })
        .collect();
    let draw_up = |blocks: Vec<BlockRow>| {
        block_on(ledger::draw_up(vec![Log(records.clone())], &Stored(blocks), &recipe, Ask::default()))
            .unwrap()
    };
    assert!(draw_up(blocks.clone()).balanced());
    let doubled = [&blocks[..2], &blocks[1..]].concat();
    let found = draw_up(doubled);
    let texts: Vec<_> = found.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "partition 0, offsets 1 to 1: times a block is stored: 1 expected, 2 found",
            "orders in the rollups, USD: 3 expected, 4 found",
            "quantity in the rollups, USD: 6 expected, 8 found",
            "total in the rollups, USD: 3000 expected, 4000 found",
        ]
    );
    assert_eq!((found.total().blocks, found.total().pending), (3, 0));
}
