//! The floor of the embedded log and stores: a bare loop over SQLite that writes the same rows into the same tables, in
//! transactions of the same size, from memory, on one thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use loadgen::payload::Payload;
use pipeline::block::{Block, Builder};
use pipeline::config::{Config, Layers};
use pipeline::consume::{self, Shared, Until};
use pipeline::enrich::Dimension;
use pipeline::log::sqlite as sqlite_log;
use pipeline::log::{LogRecord, Publish, Record, partitioner};
use pipeline::observe::manage::Observed;
use pipeline::store::sqlite as sqlite_store;
use pipeline::{time, wire};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use super::settle;

/// Orders a transaction of the log, and a publish: what the load generator's batches come to under load.
const COMMIT: usize = 2_000;
/// Publishes that wait for the log at once.
const UNDER_WAY: usize = 8;

/// The orders of a measurement.
#[derive(Debug)]
pub struct Orders {
    config: Config,
    records: Vec<Record>,
}

impl Orders {
    /// Makes records of a payload.
    ///
    /// # Errors
    /// Where the default configuration cannot be read.
    pub fn of(payload: &Payload) -> Result<Self> {
        let config = Config::read(&Layers::load(Some("embedded"), None, [], &[])?)?;
        let received_at = time::now();
        let records = (0..payload.len())
            .filter_map(|at| {
                let key = Bytes::copy_from_slice(payload.order_id(at)?.as_bytes());
                Some(Record { key, value: payload.order(at)?, received_at, due_at: None })
            })
            .collect();
        Ok(Self { config, records })
    }

    /// The same orders in blocks of so many records.
    #[must_use]
    pub fn with_block_records(mut self, records: usize) -> Self {
        self.config.process.block_records = records;
        self
    }

    /// Orders a second of the bare loop.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn bare(&self, folder: &Path) -> Result<f64> {
        let (log, stores) = self.files(folder)?;
        let blocks = self.blocks()?;
        let partitions = self.config.log.partitions;
        let started = Instant::now();
        let mut ends = vec![0_i64; partitions as usize];
        {
            let mut inserts = (0..partitions)
                .map(|n| log.prepare(&format!("INSERT INTO orders_{n} VALUES (?1, ?2, ?3, ?4, ?5)")))
                .collect::<Result<Vec<_>, _>>()?;
            for records in self.records.chunks(COMMIT) {
                log.execute_batch("BEGIN IMMEDIATE")?;
                for record in records {
                    let partition = partitioner::partition(&record.key, partitions) as usize;
                    let (Some(insert), Some(end)) = (inserts.get_mut(partition), ends.get_mut(partition))
                    else {
                        bail!("there is no partition {partition}");
                    };
                    let key = std::str::from_utf8(&record.key)?;
                    insert.execute(params![
                        *end,
                        key,
                        &record.value[..],
                        record.received_at,
                        record.due_at
                    ])?;
                    *end += 1;
                }
                log.execute_batch("COMMIT")?;
            }
        }
        for block in &blocks {
            stores.execute_batch("BEGIN IMMEDIATE")?;
            insert_block(&stores, block)?;
            stores.execute_batch("COMMIT")?;
        }
        Ok(self.records.len() as f64 / started.elapsed().as_secs_f64())
    }

    /// Orders a second of the product's log, processor and stores: until all are acknowledged and stored.
    ///
    /// # Errors
    /// Where an order is not taken, or not stored in time.
    pub fn ours(&self, folder: &Path) -> Result<f64> {
        let config = &self.config;
        let cache = config.embedded.cache_bytes;
        let opened = sqlite_log::open(&wire::log_file(folder), config.log.partitions, cache)?;
        let log = sqlite_log::start(opened, wire::log_limits(config))?;
        let stores = sqlite_store::start(&wire::stores_file(folder), cache, &wire::recipe(config))?;
        let observed = Observed::default();
        let metrics = Arc::clone(&observed.metrics);
        let (until, follow) = watch::channel(Until::Stopped);
        let shared = Arc::new(Shared {
            log: log.log.clone(),
            stores: stores.stores,
            recipe: wire::recipe(config),
            dimension: Arc::new(Dimension::open(None).map_err(anyhow::Error::msg)?),
            limits: config.process.clone(),
            observed,
        });
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (publishing, processing) = (runtime()?, runtime()?);
        let processor =
            std::thread::spawn(move || processing.block_on(consume::run(log.consumer, shared, follow)));
        let started = Instant::now();
        publishing.block_on(self.publish(&log.log))?;
        let all = self.records.len() as u64;
        while metrics.store_orders.get() < all {
            if started.elapsed() > Duration::from_secs(300) {
                bail!("{} of {all} orders were stored", metrics.store_orders.get());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let rate = all as f64 / started.elapsed().as_secs_f64();
        until.send_replace(Until::Drained);
        drop(log.log);
        processor.join().ok().context("the processor failed")??;
        for writer in [log.writer, stores.writer] {
            writer.join().ok().context("a writer failed")?;
        }
        Ok(rate)
    }

    async fn publish(&self, log: &impl Publish) -> Result<()> {
        let mut under_way = std::collections::VecDeque::new();
        for records in self.records.chunks(COMMIT) {
            if under_way.len() == UNDER_WAY {
                settle(under_way.pop_front()).await?;
            }
            under_way.push_back(log.publish(records.to_vec()));
        }
        while !under_way.is_empty() {
            settle(under_way.pop_front()).await?;
        }
        Ok(())
    }

    /// Makes the files with their tables, and opens them as the product does.
    fn files(&self, folder: &Path) -> Result<(Connection, Connection)> {
        let (log, stores) = (wire::log_file(folder), wire::stores_file(folder));
        let cache = self.config.embedded.cache_bytes;
        drop(sqlite_log::open(&log, self.config.log.partitions, cache)?);
        let started = sqlite_store::start(&stores, cache, &wire::recipe(&self.config))?;
        drop(started.stores);
        started.writer.join().ok().context("a writer failed")?;
        let open = |path: &Path, checkpoint: u32| -> Result<Connection> {
            let connection = Connection::open(path)?;
            connection.execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {checkpoint};
                 PRAGMA cache_size = -{};",
                cache / 1024
            ))?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        Ok((open(&log, sqlite_log::CHECKPOINT_PAGES)?, open(&stores, sqlite_store::CHECKPOINT_PAGES)?))
    }

    /// What the records come to, in blocks as large as they may get; made before the clock starts.
    ///
    /// # Errors
    /// Where the dimension cannot be read.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let recipe = wire::recipe(&self.config);
        let dimension = Dimension::open(None).map_err(anyhow::Error::msg)?;
        let customers = dimension.current();
        let mut partitions: BTreeMap<u32, (Builder, Option<_>, i64)> = BTreeMap::new();
        let mut blocks = Vec::new();
        for record in &self.records {
            let partition = partitioner::partition(&record.key, self.config.log.partitions);
            let (builder, growing, offset) = partitions
                .entry(partition)
                .or_insert_with(|| (Builder::new(Arc::clone(&recipe), "floor", partition, 0), None, 0));
            let mut block = growing.take().unwrap_or_else(|| builder.begin(*offset));
            let record = LogRecord {
                offset: *offset,
                key: Some(record.key.clone()),
                value: record.value.clone(),
                received_at: record.received_at,
                due_at: None,
            };
            builder.add(&mut block, &record, &customers);
            *offset += 1;
            let full = block.records() >= self.config.process.block_records as u64
                || block.bytes() >= self.config.process.block_bytes;
            if full {
                blocks.push(block.finish());
            } else {
                *growing = Some(block);
            }
        }
        blocks.extend(partitions.into_values().filter_map(|(_, growing, _)| Some(growing?.finish())));
        Ok(blocks)
    }
}

/// The rows of a block with nothing around them: no look for an earlier block, no order that might be there already.
fn insert_block(stores: &Connection, block: &Block) -> Result<()> {
    let mut order = stores.prepare_cached(&format!("INSERT INTO orders VALUES ({})", marks(14)))?;
    for row in &block.orders {
        order.execute(params![
            &*row.order_id,
            row.customer_id,
            &*row.source,
            row.quantity,
            row.total_minor,
            row.currency.code(),
            row.state.as_deref(),
            row.store_id,
            row.product_id,
            row.category.as_deref(),
            row.created_at,
            row.received_at,
            block.row.partition,
            row.offset
        ])?;
    }
    let mut add = stores.prepare_cached(&format!(
        "INSERT INTO sales_by_minute VALUES ({}) ON CONFLICT DO UPDATE SET orders = orders + excluded.orders,
         quantity = quantity + excluded.quantity, total_low = total_low + excluded.total_low",
        marks(9)
    ))?;
    for (key, sums) in &block.sums {
        let total = i64::try_from(sums.total_minor)?;
        let orders = i64::try_from(sums.orders)?;
        add.execute(params![
            key.minute,
            key.currency.code(),
            &*key.source,
            &*key.state,
            &*key.category,
            orders,
            sums.quantity,
            0,
            total
        ])?;
    }
    let row = &block.row;
    let (records, orders) = (i64::try_from(row.records)?, i64::try_from(row.orders)?);
    let total = i64::try_from(row.total_minor)?;
    stores.prepare_cached(&format!("INSERT INTO blocks VALUES ({})", marks(15)))?.execute(params![
        row.topic_id,
        row.partition,
        row.first,
        row.last,
        records,
        orders,
        0,
        0,
        row.quantity,
        0,
        total,
        row.newest_created_at,
        row.newest_received_at,
        row.inserted_at,
        row.rules
    ])?;
    Ok(())
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
