//! The floor of the rollups: a bare insert of the same rows by the driver, without a token and without a look. The
//! product looks for the block before and after, and that is what this compares.

use std::time::Instant;

use anyhow::{Context, Result};
use clickhouse::{Client, Compression, Row};
use pipeline::block::Block;
use pipeline::config::{self, Config};
use pipeline::observe::metrics::Metrics;
use pipeline::observe::stores::Store;
use pipeline::store::clickhouse::{self as rollups, ClickHouseRollups};
use serde::Serialize;
use tokio::runtime::Runtime;

/// A database of its own, with both ways of writing to it.
pub struct Floor {
    runtime: Runtime,
    config: Config,
    blocks: Vec<Block>,
    product: ClickHouseRollups,
    client: Client,
}

#[derive(Row, Serialize)]
struct Line<'b> {
    minute: u32,
    currency: &'b str,
    source: &'b str,
    state: &'b str,
    category: &'b str,
    orders: u64,
    quantity: i64,
    total_minor: i128,
}

impl Floor {
    /// Makes the database that the configuration names.
    ///
    /// # Errors
    /// What the server says.
    pub fn new(config: Config, blocks: Vec<Block>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(rollups::apply(&config.clickhouse, config.log.partitions))?;
        let metrics = Metrics::default().stores.of(Store::Rollups);
        let product = ClickHouseRollups::new(&config.clickhouse, metrics);
        let client = client(&config.clickhouse)
            .with_database(&config.clickhouse.database)
            .with_compression(Compression::None)
            .with_validation(false)
            .with_setting("async_insert", "0");
        Ok(Self { runtime, config, blocks, product, client })
    }

    /// Milliseconds a block of the product: look, insert, look.
    ///
    /// # Errors
    /// What the server says.
    pub fn ours(&mut self) -> Result<f64> {
        let started = Instant::now();
        for block in &mut self.blocks {
            // Each run's blocks are others.
            block.row.first += 1_000_000_000;
            block.row.last += 1_000_000_000;
            self.runtime.block_on(async {
                self.product.find(&block.row).await?;
                self.product.insert(block, 0).await?;
                self.product.find(&block.row).await?.context("the block is not there")
            })?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e3 / self.blocks.len() as f64)
    }

    /// Milliseconds a block of the bare insert.
    ///
    /// # Errors
    /// What the server says.
    pub fn bare(&self) -> Result<f64> {
        let started = Instant::now();
        for block in &self.blocks {
            self.runtime.block_on(async {
                let mut insert = self.client.insert::<Line<'_>>("sales_by_minute").await?;
                for (key, sums) in &block.sums {
                    let line = Line {
                        minute: u32::try_from(key.minute * 60)?,
                        currency: key.currency.code(),
                        source: &key.source,
                        state: &key.state,
                        category: &key.category,
                        orders: sums.orders,
                        quantity: sums.quantity,
                        total_minor: sums.total_minor,
                    };
                    insert.write(&line).await?;
                }
                anyhow::Ok(insert.end().await?)
            })?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e3 / self.blocks.len() as f64)
    }

    /// Deletes the database.
    ///
    /// # Errors
    /// What the server says.
    pub fn drop_database(self) -> Result<()> {
        self.runtime.block_on(drop_database(&self.config.clickhouse))
    }
}

/// A client of the driver by a configuration.
fn client(config: &config::ClickHouse) -> Client {
    Client::default().with_url(&config.url).with_user(&config.user).with_password(config.password.expose())
}

/// Deletes the database of a configuration.
///
/// # Errors
/// What the server says.
pub async fn drop_database(config: &config::ClickHouse) -> Result<()> {
    let sql = format!("DROP DATABASE {} SYNC", config.database);
    client(config).query(&sql).execute().await.context("failed to drop the database")
}
