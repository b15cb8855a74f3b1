//! What the rollups hold, added up without waiting for the engine to merge.

use super::lines::{BLOCK_ROWS, BLOCKS, BlockLine};
use super::{RECIPE, all, client};
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
    currency: String,
    source: String,
    state: String,
    orders: u64,
    quantity: i64,
    total_minor: i128,
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
        let sql = format!(
            "SELECT substring(name, {}), any(value) FROM schema_values WHERE startsWith(name, '{RECIPE}') GROUP BY name",
            RECIPE.len() + 1
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
        let sql = "SELECT toString(currency) AS currency, toString(source) AS source, toString(state) AS state, \
                   sum(sales_by_minute.orders) AS orders, sum(sales_by_minute.quantity) AS quantity, \
                   sum(sales_by_minute.total_minor) AS total_minor FROM sales_by_minute WHERE block = '' \
                   GROUP BY currency, source, state";
        let lines: Vec<SalesLine> = all(&self.client, &self.config, sql).await?;
        lines
            .into_iter()
            .map(|line| {
                let currency = Currency::from_code(&line.currency).ok_or_else(|| {
                    StoreError::Refused(format!("the rollups have the currency {:?}", line.currency))
                })?;
                let key = SalesKey { currency, source: line.source, state: line.state };
                let (orders, quantity, total_minor) = (line.orders, line.quantity, line.total_minor);
                Ok((key, Sums { orders, quantity, total_minor }))
            })
            .collect()
    }
}
