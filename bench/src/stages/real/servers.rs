//! The stages on servers that the environment names.

use anyhow::{Context, Result, ensure};
use pipeline::block::Block;
use pipeline::config::{Config, Layers};
use pipeline::log::kafka;
use pipeline::observe::manage::Observed;
use pipeline::observe::metrics::Metrics;
use pipeline::observe::stores::Store;
use pipeline::store::cassandra::{self, CassandraOrders};
use pipeline::store::clickhouse::{self, ClickHouseRollups};
use tokio::runtime::Runtime;

use super::{Log, renumber, runtime};
use crate::floors::kafka::delete_topics;
use crate::stages::{Digest, Orders, Stage};

/// The settings of the environment, with names of this process's own.
fn config() -> Result<Config> {
    let name = format!("real_{}", std::process::id());
    let own = ["kafka.topic", "cassandra.keyspace", "clickhouse.database"]
        .map(|key| (key.to_owned(), name.clone()));
    let dead = [("kafka.dead_topic".to_owned(), format!("{name}.dead"))];
    Ok(Config::read(&Layers::load(None, None, std::env::vars(), &[own.as_slice(), &dead].concat())?)?)
}

pub(super) fn log(orders: &Orders) -> Result<Box<dyn Stage>> {
    let config = config()?;
    runtime()?.block_on(kafka::apply(&config.kafka, &config.log))?;
    // Its thread ends when the log is dropped.
    let log = kafka::start(&config.kafka, &config.log, &Observed::default())?.log;
    log.connect(config.kafka.timeout)?;
    Log::of(log, orders.records(), Topics(config))
}

/// Topics that are deleted at the end.
struct Topics(Config);

impl Drop for Topics {
    fn drop(&mut self) {
        if let Err(error) = runtime().and_then(|runtime| runtime.block_on(delete_topics(&self.0))) {
            tell(&error);
        }
    }
}

struct Cassandra {
    runtime: Runtime,
    store: CassandraOrders,
    config: Config,
    block: Block,
    number: usize,
    stored: usize,
}

pub(super) fn cassandra(orders: &Orders) -> Result<Box<dyn Stage>> {
    let (config, runtime) = (config()?, runtime()?);
    let partitions = config.log.partitions;
    runtime.block_on(cassandra::apply(&config.cassandra, partitions))?;
    let metrics = Metrics::default().stores.of(Store::Orders);
    let store = runtime.block_on(CassandraOrders::connect(&config.cassandra, partitions, metrics))?;
    Ok(Box::new(Cassandra { runtime, store, config, block: orders.block()?, number: 0, stored: 0 }))
}

impl Stage for Cassandra {
    fn prepare(&mut self) -> Result<()> {
        self.number += 1;
        renumber(&mut self.block, self.number)
    }

    fn run(&mut self) -> Result<()> {
        self.runtime.block_on(self.store.put(&self.block))?;
        self.stored = self.block.orders.len();
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.stored as i128).finish())
    }
}

impl Drop for Cassandra {
    fn drop(&mut self) {
        if let Err(error) =
            self.runtime.block_on(crate::floors::cassandra::drop_keyspace(&self.config.cassandra))
        {
            tell(&error);
        }
    }
}

struct ClickHouse {
    runtime: Runtime,
    store: ClickHouseRollups,
    config: Config,
    block: Block,
    number: usize,
    stored: u64,
}

pub(super) fn clickhouse(orders: &Orders) -> Result<Box<dyn Stage>> {
    let (config, runtime) = (config()?, runtime()?);
    runtime.block_on(clickhouse::apply(&config.clickhouse, config.log.partitions))?;
    let store = ClickHouseRollups::new(&config.clickhouse, Metrics::default().stores.of(Store::Rollups));
    Ok(Box::new(ClickHouse { runtime, store, config, block: orders.block()?, number: 0, stored: 0 }))
}

impl Stage for ClickHouse {
    fn prepare(&mut self) -> Result<()> {
        self.number += 1;
        renumber(&mut self.block, self.number)
    }

    fn run(&mut self) -> Result<()> {
        let Self { runtime, store, block, .. } = self;
        let found = runtime.block_on(async {
            ensure!(store.find(&block.row).await?.is_none(), "the block is there already");
            store.insert(block, 0).await?;
            store.find(&block.row).await?.context("the block is not there")
        })?;
        self.stored = found.orders;
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        Ok(Digest::default().number(self.stored.into()).finish())
    }
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        if let Err(error) =
            self.runtime.block_on(crate::floors::clickhouse::drop_database(&self.config.clickhouse))
        {
            tell(&error);
        }
    }
}

/// What was not taken away is told, since nobody can be handed an error at an end.
#[expect(clippy::print_stderr, reason = "benches are command lines")]
fn tell(error: &anyhow::Error) {
    eprintln!("left behind on the server: {error:#}");
}
