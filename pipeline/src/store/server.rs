//! The two servers as the stores of the pipeline: a block's orders go to Cassandra, and when all of them are
//! acknowledged its sums go to ClickHouse, exactly once by [`super::chain`].

use super::cassandra::{CassandraBooks, CassandraOrders};
use super::chain::{Action, Chain, Event};
use super::clickhouse::{ClickHouseBooks, ClickHouseRollups};
use super::schema::Report;
use super::{Books, Ends, Found, Lookup, SalesKey, StoreError, Stored, Stores};
use crate::block::{Block, BlockRow, Recipe, RecipeTexts};
use crate::config::Config;
use crate::deadline::since_boot;
use crate::money::Currency;
use crate::observe::metrics::Metrics;
use crate::observe::stores::{OneStore, Store};
use crate::rollup::Sums;
use crate::time;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Over the server's limit for an insert, what its own clock may be late by.
const LATE: Duration = Duration::from_secs(1);
/// How often old block rows are deleted.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Cassandra and ClickHouse. Clones share them.
#[derive(Clone)]
pub struct ServerStores {
    shared: Arc<Shared>,
}

struct Shared {
    orders: CassandraOrders,
    rollups: ClickHouseRollups,
    /// How long an insert may be under way after it was acknowledged.
    wait: Duration,
    keep_blocks: Duration,
    /// How far the block of each partition had come when it last failed. It is a shortcut: who begins anew, as a process
    /// after a crash does, comes to the same.
    ways: Mutex<HashMap<u32, Way>>,
    metrics: OneStore,
}

/// How far a block has come.
struct Way {
    block: Weak<Block>,
    /// When its orders were acknowledged, once they are.
    orders_at: i64,
    chain: Chain,
}

/// Connects to both servers, and checks that their schema fits and that no processor of other rules is at work.
///
/// # Errors
/// [`StoreError::Unavailable`] where a server does not answer, else what does not fit.
pub async fn connect(
    config: &Config,
    recipe: &Recipe,
    metrics: &Metrics,
) -> Result<ServerStores, StoreError> {
    let rules = &recipe.fingerprint();
    check(config).await?.verdict()?;
    let own = metrics.stores.of(Store::Rollups);
    let rollups = ClickHouseRollups::new(&config.clickhouse, own.clone());
    if let Some(other) = rollups.other_rules(rules).await? {
        return Err(StoreError::Refused(format!(
            "a processor with the rules {other} stored a block within the last 10 seconds; this one has {rules}, \
             and processors of different rules do not run side by side: stop the others, and wait for so long"
        )));
    }
    rollups.keep_recipe(recipe).await?;
    rollups.prepare().await?;
    let orders = metrics.stores.of(Store::Orders);
    let orders = CassandraOrders::connect(&config.cassandra, config.log.partitions, orders).await?;
    Ok(ServerStores {
        shared: Arc::new(Shared {
            orders,
            rollups,
            wait: config.clickhouse.max_execution_time + LATE,
            keep_blocks: config.clickhouse.keep_blocks,
            ways: Mutex::default(),
            metrics: own,
        }),
    })
}

/// Makes what is missing of both servers' schema. Applying twice changes nothing.
///
/// # Errors
/// What the servers say. What does not fit the data is no error but wrong in the report.
pub async fn apply(config: &Config) -> Result<Report, StoreError> {
    let mut report = super::cassandra::apply(&config.cassandra, config.log.partitions).await?;
    report.merge(super::clickhouse::apply(&config.clickhouse, config.log.partitions).await?);
    Ok(report)
}

/// Compares both servers' schema with what this build and this configuration want.
///
/// # Errors
/// Where a server does not answer.
pub async fn check(config: &Config) -> Result<Report, StoreError> {
    let mut report = super::cassandra::check(&config.cassandra, config.log.partitions).await?;
    report.merge(super::clickhouse::check(&config.clickhouse, config.log.partitions).await?);
    Ok(report)
}

impl ServerStores {
    /// Deletes old block rows, once a day. Runs until it is dropped.
    pub async fn forget_old_blocks(self) {
        loop {
            let age = i64::try_from(self.shared.keep_blocks.as_nanos()).unwrap_or(i64::MAX);
            if let Err(error) = self.forget_before(time::now().saturating_sub(age)).await {
                tracing::warn!(%error, "old block rows were not deleted; that is tried again tomorrow");
            }
            tokio::time::sleep(FORGET_EVERY).await;
        }
    }

    /// Deletes the block rows that were stored before an instant and are counted in a checkpoint, but for the newest of each
    /// partition.
    ///
    /// # Errors
    /// What ClickHouse says.
    pub async fn forget_before(&self, instant: i64) -> Result<(), StoreError> {
        self.shared.rollups.forget(instant).await
    }

    /// Looks again whether orders are written to the table in force, as a processor does that has just joined its group:
    /// from then on a rebuild sees it and leaves the table alone.
    ///
    /// # Errors
    /// Where they are not, or Cassandra does not answer.
    pub async fn check_table(&self) -> Result<(), StoreError> {
        self.shared.orders.check_table().await
    }

    /// What the servers hold, over the same connections.
    ///
    /// # Errors
    /// What Cassandra says.
    pub async fn books(&self) -> Result<ServerBooks, StoreError> {
        Ok(ServerBooks { orders: self.shared.orders.books().await?, rollups: self.shared.rollups.books() })
    }
}

impl Shared {
    fn take_way(&self, block: &Arc<Block>) -> Way {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.remove(&block.row.partition)
            .filter(|way| std::ptr::eq(way.block.as_ptr(), Arc::as_ptr(block)))
            .unwrap_or_else(|| Way {
                block: Arc::downgrade(block),
                orders_at: 0,
                chain: Chain::new(self.wait),
            })
    }

    fn keep_way(&self, partition: u32, way: Way) {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, way);
    }

    /// Does what the way says, until the block is there or something fails: then whoever asked waits a little, and asks
    /// again, and it goes on from where it was.
    async fn put(&self, block: &Block, way: &mut Way) -> Result<Stored, StoreError> {
        loop {
            let event = match way.chain.next(since_boot()) {
                Action::Write => self.orders.put(block).await.map(|()| {
                    way.orders_at = time::now();
                    Event::Written
                }),
                Action::Look => {
                    self.rollups.find(&block.row).await.map(|found| found.map_or(Event::Absent, Event::Found))
                }
                Action::Send { attempt } => {
                    let sent = self.rollups.insert(block, attempt).await;
                    if matches!(sent, Err(StoreError::Unavailable(_))) {
                        self.metrics.request_retries.inc();
                    }
                    sent.map(|()| Event::Acknowledged)
                }
                Action::Wait(long) => {
                    let row = &block.row;
                    tracing::warn!(row.partition, row.first, "acknowledged but not there: waits for it");
                    self.metrics.burned.inc();
                    tokio::time::sleep(long).await;
                    Ok(Event::Waited)
                }
                Action::Done(row) => {
                    return Ok(Stored { row, orders_at: way.orders_at, rollup_at: time::now() });
                }
            };
            match event {
                Ok(event) => way.chain.on(event),
                Err(error) => {
                    way.chain.on(Event::Failed);
                    return Err(error);
                }
            }
        }
    }
}

impl Stores for ServerStores {
    async fn newest_block(&self, partition: u32) -> Result<Option<BlockRow>, StoreError> {
        self.shared.rollups.newest(partition).await
    }

    async fn other_rules(
        &self,
        partition: u32,
        from: i64,
        rules: &str,
    ) -> Result<(Vec<BlockRow>, RecipeTexts), StoreError> {
        let blocks = self.shared.rollups.of_other_rules(partition, from, rules).await?;
        // Mostly there are none, and then no recipe is wanted.
        let recipes = if blocks.is_empty() {
            RecipeTexts::new()
        } else {
            self.shared.rollups.books().recipes().await?
        };
        Ok((blocks, recipes))
    }

    async fn put(&self, block: Arc<Block>) -> Result<Stored, StoreError> {
        let mut way = self.shared.take_way(&block);
        let stored = self.shared.put(&block, &mut way).await;
        if stored.is_err() {
            self.shared.keep_way(block.row.partition, way);
        }
        stored
    }
}

/// Reads both servers.
pub struct ServerBooks {
    orders: CassandraBooks,
    rollups: ClickHouseBooks,
}

impl ServerBooks {
    /// Connects for reading alone.
    ///
    /// # Errors
    /// What the servers say.
    pub async fn connect(config: &Config) -> Result<Self, StoreError> {
        let orders = CassandraBooks::connect(&config.cassandra, config.log.partitions).await?;
        Ok(Self { orders, rollups: ClickHouseBooks::new(&config.clickhouse) })
    }
}

impl Lookup for ServerBooks {
    async fn order(&self, order_id: &str, about: Option<i64>) -> Result<Option<Found>, StoreError> {
        self.orders.order(order_id, about).await
    }

    async fn order_at(&self, order_id: &str, created_at: i64) -> Result<Option<Found>, StoreError> {
        self.orders.order_at(order_id, created_at).await
    }

    async fn ends(&self) -> Result<Ends, StoreError> {
        self.rollups.ends().await
    }
}

impl Books for ServerBooks {
    async fn blocks(&self) -> Result<Vec<BlockRow>, StoreError> {
        self.rollups.blocks().await
    }

    async fn recipes(&self) -> Result<RecipeTexts, StoreError> {
        self.rollups.recipes().await
    }

    async fn checkpoints(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.rollups.checkpoints().await
    }

    async fn keep_checkpoints(&self, checkpoints: &BTreeMap<String, String>) -> Result<(), StoreError> {
        self.rollups.keep_checkpoints(checkpoints).await
    }

    async fn orders(&self, ends: &Ends) -> Result<BTreeMap<(u32, Currency), Sums>, StoreError> {
        self.orders.sums(ends).await
    }

    fn order_place(&self) -> fn(i64) -> i64 {
        super::cassandra::hour
    }

    async fn sales_and_ends(&self) -> Result<(BTreeMap<SalesKey, Sums>, Ends), StoreError> {
        self.rollups.sales_and_ends().await
    }

    async fn sales(&self) -> Result<BTreeMap<SalesKey, Sums>, StoreError> {
        self.rollups.sales().await
    }
}
