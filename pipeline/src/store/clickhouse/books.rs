//! What the rollups hold, added up without waiting for the engine to merge.

use super::lines::{BLOCK_ROWS, BLOCKS, BlockLine};
use super::{CHECKPOINT, RECIPE, all, client, judged, within};
use crate::block::{BlockRow, RecipeTexts};
use crate::config;
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::{Ends, SalesKey, StoreError};
use clickhouse::{Client, Row};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Reads the rollups.
pub struct ClickHouseBooks {
    client: Client,
    config: config::ClickHouse,
}

#[derive(Row, Deserialize)]
struct SalesLine {
    is_block: bool,
    currency: String,
    source: String,
    state: String,
    of_partition: u32,
    orders: u64,
    quantity: i64,
    total_minor: i128,
    last: i64,
}

impl ClickHouseBooks {
    /// The books of a configuration.
    pub fn new(config: &config::ClickHouse) -> Self {
        Self::of(client(config), config)
    }

    pub(super) fn of(client: Client, config: &config::ClickHouse) -> Self {
        Self { client, config: config.clone() }
    }

    /// All blocks, by partition and first offset. One that is there more than once stands there so often.
    ///
    /// # Errors
    /// What the server says.
    pub async fn blocks(&self) -> Result<Vec<BlockRow>, StoreError> {
        let sql = format!("{BLOCKS} WHERE {BLOCK_ROWS} GROUP BY block ORDER BY partition, first, last");
        let lines: Vec<BlockLine> = all(&self.client, &self.config, &sql).await?;
        // A count that is absurd must not fill the memory.
        let times = |line: &BlockLine| usize::try_from(line.blocks.clamp(1, 8)).unwrap_or(1);
        Ok(lines
            .into_iter()
            .map(|line| (times(&line), BlockRow::from(line)))
            .flat_map(|(times, row)| std::iter::repeat_n(row, times))
            .collect())
    }

    /// The recipes that were noted.
    ///
    /// # Errors
    /// What the server says.
    pub async fn recipes(&self) -> Result<RecipeTexts, StoreError> {
        self.texts(RECIPE).await
    }

    /// The checkpoints that were kept.
    ///
    /// # Errors
    /// What the server says.
    pub async fn checkpoints(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.texts(CHECKPOINT).await
    }

    /// Keeps checkpoints, as texts by their names.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keep_checkpoints(&self, checkpoints: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let there = self.checkpoints().await?;
        for (name, text) in checkpoints.iter().filter(|(name, _)| !there.contains_key(*name)) {
            let insert = self.client.query("INSERT INTO schema_values VALUES (?, ?)");
            let insert = insert.bind(format!("{CHECKPOINT}{name}")).bind(text);
            within(&self.config, insert.execute()).await.map_err(judged)?;
        }
        Ok(())
    }

    async fn texts(&self, prefix: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let sql = format!(
            "SELECT substring(name, {}), any(value) FROM schema_values WHERE startsWith(name, '{prefix}') GROUP BY name",
            prefix.len() + 1
        );
        let found: Vec<(String, String)> = all(&self.client, &self.config, &sql).await?;
        Ok(found.into_iter().collect())
    }

    /// The last offset of each partition's newest block.
    ///
    /// # Errors
    /// What the server says.
    pub async fn ends(&self) -> Result<Ends, StoreError> {
        let sql =
            format!("SELECT partition, max(last) FROM sales_by_minute WHERE {BLOCK_ROWS} GROUP BY partition");
        let ends: Vec<(u32, i64)> = all(&self.client, &self.config, &sql).await?;
        Ok(ends.into_iter().collect())
    }

    /// The sums by currency, source and state.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sales(&self) -> Result<BTreeMap<SalesKey, Sums>, StoreError> {
        Ok(self.sales_and_ends().await?.0)
    }

    /// The sums by currency, source and state, and the last offset of each partition's newest block. It is one look at one
    /// table, which the engine takes of one state of its parts.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sales_and_ends(&self) -> Result<(BTreeMap<SalesKey, Sums>, Ends), StoreError> {
        let sql = "SELECT block != '' AS is_block, toString(currency) AS currency, toString(source) AS source, \
                   toString(state) AS state, if(is_block, sales_by_minute.partition, 0) AS of_partition, \
                   sum(sales_by_minute.orders) AS orders, sum(sales_by_minute.quantity) AS quantity, \
                   sum(sales_by_minute.total_minor) AS total_minor, max(sales_by_minute.last) AS last \
                   FROM sales_by_minute GROUP BY is_block, currency, source, state, of_partition";
        let lines: Vec<SalesLine> = all(&self.client, &self.config, sql).await?;
        let (mut sales, mut ends) = (BTreeMap::new(), Ends::new());
        for line in lines {
            if line.is_block {
                ends.insert(line.of_partition, line.last);
                continue;
            }
            let currency = Currency::from_code(&line.currency).ok_or_else(|| {
                StoreError::Refused(format!("the rollups have the currency {:?}", line.currency))
            })?;
            let key = SalesKey { currency, source: line.source, state: line.state };
            let (orders, quantity, total_minor) = (line.orders, line.quantity, line.total_minor);
            sales.insert(key, Sums { orders, quantity, total_minor });
        }
        Ok((sales, ends))
    }
}
