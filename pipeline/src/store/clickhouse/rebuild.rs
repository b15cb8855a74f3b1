//! The rollups counted again: a table beside the one in force, and the exchange of the two.

use super::lines::{BLOCK_ROWS, Line};
use super::{CHECKPOINT, INSERT_SETTINGS, SERVER, all, client, judged, within};
use crate::block::{Block, BlockRow};
use crate::config;
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::chain::{ATTEMPTS_WITHIN, token};
use crate::store::{Compared, Ends, Rebuilding, SalesKey, StoreError};
use crate::time;
use clickhouse::{Client, Row};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The table in force, the one that a rebuild fills, and the one that was in force before it.
const IN_FORCE: &str = "sales_by_minute";
const NEW: &str = "sales_by_minute_rebuilt";
const OLD: &str = "sales_by_minute_old";
/// Lines that go in one insert, about, where blocks may share one.
const LINES: usize = 20_000;
/// What a row of sums is known by.
const KEY: &str = "minute, toString(currency), toString(source), toString(state), toString(category)";

/// Fills and exchanges the table.
pub struct RebuiltRollups {
    client: Client,
    config: config::ClickHouse,
    /// The token of each block that is in force.
    tokens: HashMap<(u32, i64), String>,
    /// Blocks that wait to share an insert, and their lines.
    waiting: Vec<(Block, String, i64)>,
    lines: usize,
}

#[derive(Row, Deserialize)]
struct SalesLine {
    currency: String,
    source: String,
    state: String,
    rows: u64,
    orders: u64,
    quantity: i64,
    total_minor: i128,
}

impl RebuiltRollups {
    /// Those of a configuration.
    pub fn new(config: &config::ClickHouse) -> Self {
        Self {
            client: client(config),
            config: config.clone(),
            tokens: HashMap::new(),
            waiting: Vec::new(),
            lines: 0,
        }
    }

    /// Deletes the table that was in force before the last rebuild, and says whether there was one.
    ///
    /// # Errors
    /// What the server says.
    pub async fn drop_old(&self) -> Result<bool, StoreError> {
        let there = self.exists(OLD).await?;
        self.run(&format!("DROP TABLE IF EXISTS {OLD} SYNC")).await?;
        Ok(there)
    }

    async fn exists(&self, table: &str) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = '{}' AND name = '{table}'",
            self.config.database
        );
        Ok(all::<u64>(&self.client, &self.config, &sql).await? == [1])
    }

    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        within(&self.config, self.client.query(sql).execute()).await.map_err(judged)
    }

    async fn ends(&self, table: &str) -> Result<Ends, StoreError> {
        let sql = format!("SELECT partition, max(last) FROM {table} WHERE {BLOCK_ROWS} GROUP BY partition");
        let ends: Vec<(u32, i64)> = all(&self.client, &self.config, &sql).await?;
        Ok(ends.into_iter().collect())
    }

    /// Sends blocks as one insert, under the token of the first.
    async fn send(&self, blocks: &[(Block, String, i64)]) -> Result<(), StoreError> {
        let Some((_, name, _)) = blocks.first() else { return Ok(()) };
        let insert = within(&self.config, self.client.insert::<Line<'_>>(NEW)).await.map_err(judged)?;
        let mut insert = INSERT_SETTINGS
            .into_iter()
            .fold(insert, |insert, (setting, value)| insert.with_setting(setting, value))
            .with_setting("insert_deduplication_token", name)
            .with_timeouts(Some(self.config.send_timeout), Some(self.config.answer_timeout));
        for (block, name, inserted_at) in blocks {
            for (key, sums) in &block.sums {
                insert.write(&Line::sums(key, *sums)).await.map_err(judged)?;
            }
            insert.write(&Line::block(&block.row, name, *inserted_at)).await.map_err(judged)?;
        }
        insert.end().await.map_err(judged)
    }

    async fn send_waiting(&mut self) -> Result<(), StoreError> {
        self.lines = 0;
        let waiting = std::mem::take(&mut self.waiting);
        self.send(&waiting).await
    }

    async fn sums(&self, table: &str) -> Result<(u64, BTreeMap<SalesKey, Sums>), StoreError> {
        let sql = format!(
            "SELECT toString(currency) AS currency, toString(source) AS source, toString(state) AS state, \
             uniqExact(({KEY})) AS rows, sum({table}.orders) AS orders, sum({table}.quantity) AS quantity, \
             sum({table}.total_minor) AS total_minor FROM {table} WHERE block = '' GROUP BY currency, source, state"
        );
        let lines: Vec<SalesLine> = all(&self.client, &self.config, &sql).await?;
        let (mut rows, mut found) = (0, BTreeMap::new());
        for line in lines {
            let currency = Currency::from_code(&line.currency).ok_or_else(|| {
                StoreError::Refused(format!("the rollups have the currency {:?}", line.currency))
            })?;
            rows += line.rows;
            let (orders, quantity, total_minor) = (line.orders, line.quantity, line.total_minor);
            let key = SalesKey { currency, source: line.source, state: line.state };
            found.insert(key, Sums { orders, quantity, total_minor });
        }
        Ok((rows, found))
    }
}

impl Rebuilding for RebuiltRollups {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run(&format!("DROP TABLE IF EXISTS {NEW} SYNC")).await?;
        // Engine, order and settings go with it.
        self.run(&format!("CREATE TABLE {NEW} AS {IN_FORCE}")).await?;
        let sql = format!(
            "SELECT any(partition), any(first), block FROM {IN_FORCE} WHERE {BLOCK_ROWS} GROUP BY block \
             ORDER BY block DESC"
        );
        let tokens: Vec<(u32, i64, String)> = all(&self.client, &self.config, &sql).await?;
        self.tokens = tokens.into_iter().map(|(partition, first, name)| ((partition, first), name)).collect();
        Ok(())
    }

    async fn put(&mut self, block: Block, kept: &BlockRow) -> Result<(), StoreError> {
        let place = (kept.partition, kept.first);
        let name = self.tokens.get(&place).cloned();
        let name = name.unwrap_or_else(|| token(&kept.topic_id, kept.partition, kept.first, 0));
        let block = (block, name, kept.inserted_at);
        // The token of a young block must be known to the new table as it is to the old one: a processor that was asleep
        // may yet send that block again. Older ones it looks for first, so that they may share an insert.
        let age = u128::try_from(time::now().saturating_sub(kept.inserted_at)).unwrap_or(0);
        if age < ATTEMPTS_WITHIN.as_nanos() {
            return self.send(&[block]).await;
        }
        self.lines += block.0.sums.len() + 1;
        self.waiting.push(block);
        if self.lines >= LINES { self.send_waiting().await } else { Ok(()) }
    }

    async fn compare(&mut self, _: &Ends) -> Result<Compared, StoreError> {
        self.send_waiting().await?;
        let (rows_before, before) = self.sums(IN_FORCE).await?;
        let (rows_after, after) = self.sums(NEW).await?;
        let side = |table: &str, sign: &str| {
            format!(
                "SELECT ({KEY}) AS key, {sign}toInt64({table}.orders) AS orders, {sign}{table}.quantity AS quantity, \
                 {sign}{table}.total_minor AS total FROM {table} WHERE block = ''"
            )
        };
        let sql = format!(
            "SELECT count() FROM (SELECT key FROM ({} UNION ALL {}) GROUP BY key \
             HAVING sum(orders) != 0 OR sum(quantity) != 0 OR sum(total) != 0)",
            side(IN_FORCE, ""),
            side(NEW, "-")
        );
        let rows_changed = all::<u64>(&self.client, &self.config, &sql).await?.first().copied().unwrap_or(0);
        Ok(Compared { rows_before, rows_after, rows_changed, before, after })
    }

    async fn swap(&mut self, ends: &Ends) -> Result<(), StoreError> {
        let refused = || {
            let text = "a block was stored meanwhile: a processor is at work; nothing was changed";
            StoreError::Refused(format!("{SERVER}: {text}"))
        };
        if self.ends(IN_FORCE).await? != *ends {
            return Err(refused());
        }
        self.run(&format!("DROP TABLE IF EXISTS {OLD} SYNC")).await?;
        // Checkpoints were counted against what was in force; a rebuild has all blocks from the first on, and
        // its ledger needs none. They go first: without them the ledger is right at every step.
        self.run(&format!(
            "ALTER TABLE schema_values DELETE WHERE startsWith(name, '{CHECKPOINT}') SETTINGS mutations_sync = 1"
        ))
        .await?;
        self.run(&format!("EXCHANGE TABLES {IN_FORCE} AND {NEW}")).await?;
        // What was stored between the look and the exchange is in the old one alone.
        if self.ends(NEW).await? != *ends {
            self.run(&format!("EXCHANGE TABLES {IN_FORCE} AND {NEW}")).await?;
            return Err(refused());
        }
        self.run(&format!("RENAME TABLE {NEW} TO {OLD}")).await
    }

    async fn swap_back(&mut self) -> Result<(), StoreError> {
        self.run(&format!("EXCHANGE TABLES {IN_FORCE} AND {OLD}")).await
    }

    async fn discard(&mut self) -> Result<(), StoreError> {
        self.run(&format!("DROP TABLE IF EXISTS {NEW} SYNC")).await
    }
}
