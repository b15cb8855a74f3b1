//! The same stages with what really stands behind them: SQLite's files, flushed to the disk, and the servers of a stack
//! that is up. Each has a topic, keyspace or database of its own, which goes with it.

mod servers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pipeline::block::Block;
use pipeline::log::{Completion, Deliveries, Delivery, Publish, Record, sqlite as sqlite_log};
use pipeline::store::{Stores, sqlite as sqlite_store};
use pipeline::wire;
use tokio::runtime::Runtime;

use super::{Digest, Entry, ORDERS, Orders, Stage, entry};

/// What needs a disk and nothing else.
pub const EMBEDDED: [Entry; 2] = [
    entry(
        "real/log/sqlite",
        "How long until a thousand requests of one order are durable in the embedded log?",
        log,
    ),
    entry("real/store/sqlite", "How long until a block is durable in the embedded stores?", store),
];

/// What needs a server, and the setting in the environment that names it.
pub const SERVERS: [(Entry, &str); 3] = [
    (
        entry(
            "real/log/kafka",
            "How long until a thousand requests of one order are durable in Kafka?",
            servers::log,
        ),
        "PIPELINE_KAFKA_BROKERS",
    ),
    (
        entry("real/store/cassandra", "How long until Cassandra has a block's orders?", servers::cassandra),
        "PIPELINE_CASSANDRA_NODES",
    ),
    (
        entry(
            "real/store/clickhouse",
            "How long until ClickHouse has a block, with both looks?",
            servers::clickhouse,
        ),
        "PIPELINE_CLICKHOUSE_URL",
    ),
];

/// A folder under the build's own, on the disk that is to be measured.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let folder = target.join(format!("real-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A log, whatever it is, and a thousand requests of one order.
struct Log<L> {
    runtime: Runtime,
    log: L,
    records: Vec<Record>,
    next: Vec<Vec<Record>>,
    durable: usize,
    /// What must go with the log, and after it.
    _rest: Box<dyn std::any::Any>,
}

impl<L: Publish> Log<L> {
    fn of(log: L, records: Vec<Record>, rest: impl std::any::Any) -> Result<Box<dyn Stage>> {
        let (runtime, next, _rest) = (runtime()?, Vec::new(), Box::new(rest));
        Ok(Box::new(Self { runtime, log, records, next, durable: 0, _rest }))
    }
}

impl<L: Publish> Stage for Log<L> {
    fn prepare(&mut self) -> Result<()> {
        self.next = self.records.iter().map(|record| vec![record.clone()]).collect();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        self.durable = 0;
        let completions: Vec<Completion> =
            self.next.drain(..).map(|records| self.log.publish(records)).collect();
        for completion in completions {
            let delivered = self.runtime.block_on(completion.wait());
            ensure!(delivered == Deliveries::All(Delivery::Durable), "not durable: {delivered:?}");
            self.durable += 1;
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.durable as i128).finish())
    }
}

fn log(orders: &Orders) -> Result<Box<dyn Stage>> {
    let folder = Folder::new("log")?;
    let config = &orders.config;
    let file = wire::log_file(&folder.0);
    let opened = sqlite_log::open(&file, config.log.partitions, config.embedded.cache_bytes)?;
    // The writer's thread ends when the log is dropped.
    let started = sqlite_log::start(opened, wire::log_limits(config))?;
    Log::of(started.log, orders.records(), folder)
}

/// Makes a block another one, whose orders are not stored yet.
fn renumber(block: &mut Block, number: usize) -> Result<()> {
    let length = i64::try_from(ORDERS)?;
    block.row.first += length;
    block.row.last += length;
    for (order, at) in block.orders.iter_mut().zip(0..) {
        order.order_id = format!("real-{number}-{at}").into();
        order.offset = block.row.first + at;
    }
    Ok(())
}

struct Store {
    runtime: Runtime,
    stores: sqlite_store::SqliteStores,
    orders: Orders,
    number: usize,
    next: Option<Arc<Block>>,
    stored: u64,
    _folder: Folder,
}

fn store(orders: &Orders) -> Result<Box<dyn Stage>> {
    let folder = Folder::new("store")?;
    let (config, orders) = (&orders.config, Orders::new()?);
    let file = wire::stores_file(&folder.0);
    let stores = sqlite_store::start(&file, config.embedded.cache_bytes, &wire::recipe(config))?.stores;
    Ok(Box::new(Store {
        runtime: runtime()?,
        stores,
        orders,
        number: 0,
        next: None,
        stored: 0,
        _folder: folder,
    }))
}

impl Stage for Store {
    fn prepare(&mut self) -> Result<()> {
        self.number += 1;
        let mut block = self.orders.block()?;
        let before = i64::try_from(self.number * ORDERS)?;
        block.row.first += before;
        block.row.last += before;
        renumber(&mut block, self.number)?;
        self.next = Some(Arc::new(block));
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let block = self.next.take().context("the stage is not prepared")?;
        let first = block.row.first;
        let stored = self.runtime.block_on(self.stores.put(block))?;
        ensure!(stored.row.first == first, "another block was stored");
        self.stored = stored.row.orders;
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.stored.into()).finish())
    }
}
