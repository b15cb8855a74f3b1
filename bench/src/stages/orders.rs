//! The orders that every stage is measured on: the same bytes on every machine, and in every run.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use loadgen::payload::{CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, Payload, generate};
use pipeline::block::{Block, Builder};
use pipeline::config::{Config, Layers};
use pipeline::enrich::{Customers, Dimension};
use pipeline::log::{LogRecord, Record};
use pipeline::wire;
use time::macros::date;

use super::ORDERS;

/// When they were received: 2026-01-16T00:00:00Z, in nanoseconds of Unix time.
pub const RECEIVED_AT: i64 = 1_768_521_600_000_000_000;
/// From one order to the next: a thousand of them a second.
const APART_NS: i64 = 1_000_000;
/// Any will do, as long as it stays.
const SEED: u64 = 7;

/// Orders and the settings that they are looked at by: the defaults of the product.
pub struct Orders {
    /// The settings.
    pub config: Config,
    /// Orders that say when they were created, as those of a shop's system do.
    pub dated: Payload,
    /// Orders that do not, as those of the tutorial's clients.
    live: Payload,
    customers: Arc<Customers>,
}

impl Orders {
    /// Draws them.
    ///
    /// # Errors
    /// Where the defaults cannot be read, or the orders do not fit into memory.
    pub fn new() -> Result<Self> {
        let draw = |created_at| {
            let run_id = "stage".to_owned();
            generate(&GenerateSpec {
                orders: ORDERS,
                seed: SEED,
                run_id,
                created_at,
                max_bytes: DEFAULT_MAX_BYTES,
            })
        };
        Ok(Self {
            config: Config::read(&Layers::load(Some("embedded"), None, [], &[])?)?,
            dated: draw(CreatedAt::Day(date!(2026 - 01 - 15)))?,
            live: draw(CreatedAt::Absent)?,
            customers: Dimension::open(None).map_err(anyhow::Error::msg)?.current(),
        })
    }

    /// The customers dimension.
    pub fn customers(&self) -> Arc<Customers> {
        Arc::clone(&self.customers)
    }

    /// Each dated order.
    pub fn values(&self) -> Vec<Bytes> {
        (0..self.dated.len()).filter_map(|at| self.dated.order(at)).collect()
    }

    /// The live orders as ingest hands them to the log.
    pub fn records(&self) -> Vec<Record> {
        let record = |(at, number): (usize, i64)| {
            let key = Bytes::copy_from_slice(self.live.order_id(at)?.as_bytes());
            let received_at = RECEIVED_AT + number * APART_NS;
            Some(Record { key, value: self.live.order(at)?, received_at, due_at: None })
        };
        (0..self.live.len()).zip(0..).filter_map(record).collect()
    }

    /// The live orders as the processor reads them from the log.
    pub fn log_records(&self) -> Vec<LogRecord> {
        let read = |(record, offset): (Record, i64)| {
            let Record { key, value, received_at, due_at } = record;
            LogRecord { offset, key: Some(key), value, received_at, due_at }
        };
        self.records().into_iter().zip(0..).map(read).collect()
    }

    /// What makes blocks of them.
    pub fn builder(&self) -> Builder {
        Builder::new(wire::recipe(&self.config), "stage", 0, 0)
    }

    /// The block that they come to.
    ///
    /// # Errors
    /// Where not all of them count.
    pub fn block(&self) -> Result<Block> {
        let mut builder = self.builder();
        let mut block = builder.begin(0);
        for record in &self.log_records() {
            builder.add(&mut block, record, &self.customers);
        }
        let block = block.finish();
        (block.orders.len() == ORDERS).then_some(block).context("some of the orders do not count")
    }
}
