//! The rollups: sums per minute in ClickHouse, and with each block's sums a row that says which block it is.
//!
//! A block is one insert, and one insert is one part, so that it is there whole or not at all. Everything here is one
//! request with its deadline; what to do about the answers is decided by [`super::chain`].

mod books;
mod lines;
mod rebuild;
mod retention;
mod retry;
mod schema;

pub use books::ClickHouseBooks;
pub use rebuild::RebuiltRollups;
pub use schema::{apply, check};

use super::chain::{token, token_prefix};
use super::{Ends, StoreError};
use crate::block::{Block, BlockRow, LOST, Recipe};
use crate::config;
use crate::observe::stores::OneStore;
use crate::time;
use clickhouse::{Client, Compression, RowOwned, RowRead};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lines::{BLOCK_ROWS, BLOCKS, BlockLine, Line};
use std::time::{Duration, Instant};

/// The server's name in reports and errors.
const SERVER: &str = "ClickHouse";
/// Idle connections are given up before the server does so, which is after 3 seconds in its older versions.
const IDLE: Duration = Duration::from_secs(2);
/// How recent a block of other rules must be for its processor to count as running. The members of the own group are
/// known by the group; this is for one that stores here from another group, or has just been thrown out.
const SIDE_BY_SIDE_SECONDS: u32 = 10;
/// What the names of recipes begin with, before the fingerprint.
const RECIPE: &str = "recipe ";
/// What the names of checkpoints begin with, before partition and offset.
const CHECKPOINT: &str = "checkpoint ";

/// The writing side of the rollups.
pub struct ClickHouseRollups {
    client: Client,
    config: config::ClickHouse,
    metrics: OneStore,
}

impl ClickHouseRollups {
    /// The rollups of a configuration. Nothing is sent yet.
    pub fn new(config: &config::ClickHouse, metrics: OneStore) -> Self {
        Self { client: client(config), config: config.clone(), metrics }
    }

    /// Reads the table's columns, which the driver keeps: later no insert has to wait for them between the look for its
    /// block and its sending.
    ///
    /// # Errors
    /// What the server says, or that the columns are others.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let insert = within(&self.config, self.client.insert::<Line<'_>>("sales_by_minute")).await;
        insert.map(drop).map_err(|error| self.judged(&error))
    }

    /// What the ledger reads.
    pub fn books(&self) -> ClickHouseBooks {
        ClickHouseBooks::of(self.client.clone(), &self.config)
    }

    /// The block with the greatest last offset of a partition.
    ///
    /// # Errors
    /// What the server says.
    pub async fn newest(&self, partition: u32) -> Result<Option<BlockRow>, StoreError> {
        let sql = format!(
            "{BLOCKS} WHERE {BLOCK_ROWS} AND sales_by_minute.partition = {partition} AND sales_by_minute.last = (SELECT \
             max(last) FROM sales_by_minute WHERE {BLOCK_ROWS} AND partition = {partition}) GROUP BY block LIMIT 1"
        );
        self.block(&sql).await
    }

    /// The block that begins at an offset, whichever attempt it came by.
    ///
    /// # Errors
    /// What the server says.
    pub async fn find(&self, row: &BlockRow) -> Result<Option<BlockRow>, StoreError> {
        let from = token_prefix(&row.topic_id, row.partition, row.first);
        // The character behind '-' is '.', so that these are all tokens with the prefix, and the primary key finds them.
        let to = format!("{}.", from.trim_end_matches('-'));
        let sql = format!(
            "{BLOCKS} WHERE {BLOCK_ROWS} AND block >= ? AND block < ? GROUP BY block ORDER BY block LIMIT 1"
        );
        // One thread finds one row sooner than several that must be begun.
        let query = self.client.query(&sql).bind(from).bind(to).with_setting("max_threads", "1");
        let found = within(&self.config, query.fetch_optional::<BlockLine>()).await;
        Ok(found.map_err(|error| self.judged(&error))?.map(BlockRow::from))
    }

    async fn block(&self, sql: &str) -> Result<Option<BlockRow>, StoreError> {
        let found = within(&self.config, self.client.query(sql).fetch_optional::<BlockLine>()).await;
        Ok(found.map_err(|error| self.judged(&error))?.map(BlockRow::from))
    }

    /// Sends a block with the token of an attempt. An error leaves open whether the block is stored, but for
    /// [`StoreError::Refused`].
    ///
    /// # Errors
    /// What the server says, or that it does not answer in time.
    pub async fn insert(&self, block: &Block, attempt: u32) -> Result<(), StoreError> {
        let _under_way = self.metrics.requests_in_flight();
        let sent = Instant::now();
        let sent_bytes = self.send(block, attempt).await.map_err(|error| self.judged(&error))?;
        self.metrics.request_seconds.observe(sent.elapsed().as_secs_f64());
        self.metrics.sent_bytes.inc_by(sent_bytes as u64);
        self.metrics.rows.inc_by(block.sums.len() as u64 + 1);
        Ok(())
    }

    async fn send(&self, block: &Block, attempt: u32) -> Result<usize, clickhouse::error::Error> {
        let row = &block.row;
        let token = token(&row.topic_id, row.partition, row.first, attempt);
        // The columns' names and types go with the data, so that a table of another layout refuses it; the client reads
        // them once and keeps them.
        let insert = within(&self.config, self.client.insert::<Line<'_>>("sales_by_minute")).await?;
        let mut insert = INSERT_SETTINGS
            .into_iter()
            .fold(insert, |insert, (name, value)| insert.with_setting(name, value))
            .with_setting("insert_deduplication_token", &token)
            .with_setting("query_id", &token)
            .with_timeouts(Some(self.config.send_timeout), Some(self.config.answer_timeout));
        let mut bytes = 0;
        for (key, sums) in &block.sums {
            let line = Line::sums(key, *sums);
            bytes += line.size();
            insert.write(&line).await?;
        }
        let line = Line::block(row, &token, time::now());
        bytes += line.size();
        insert.write(&line).await?;
        insert.end().await?;
        Ok(bytes)
    }

    /// Another fingerprint of rules by which a block was stored just now, if there is one.
    ///
    /// # Errors
    /// What the server says.
    pub async fn other_rules(&self, rules: &str) -> Result<Option<String>, StoreError> {
        let sql = format!(
            "SELECT rules FROM sales_by_minute WHERE {BLOCK_ROWS} AND rules NOT IN (?, '{LOST}') AND inserted_at > now64(9) - INTERVAL \
             {SIDE_BY_SIDE_SECONDS} SECOND ORDER BY inserted_at DESC LIMIT 1"
        );
        let query = self.client.query(&sql).bind(rules);
        within(&self.config, query.fetch_optional::<String>()).await.map_err(|error| self.judged(&error))
    }

    /// The blocks of a partition that reach to an offset or further and were made by other rules.
    ///
    /// # Errors
    /// What the server says.
    pub async fn of_other_rules(
        &self,
        partition: u32,
        from: i64,
        rules: &str,
    ) -> Result<Vec<BlockRow>, StoreError> {
        let sql = format!(
            "{BLOCKS} WHERE {BLOCK_ROWS} AND sales_by_minute.partition = {partition} AND sales_by_minute.last >= {from} \
             AND sales_by_minute.rules != ? GROUP BY block"
        );
        let query = self.client.query(&sql).bind(rules);
        let found = within(&self.config, query.fetch_all::<BlockLine>()).await;
        Ok(found.map_err(|error| self.judged(&error))?.into_iter().map(BlockRow::from).collect())
    }

    /// Notes the recipe by which blocks are stored from now on.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keep_recipe(&self, recipe: &Recipe) -> Result<(), StoreError> {
        let name = recipe.fingerprint();
        if self.books().recipes().await?.contains_key(&name) {
            return Ok(());
        }
        let query = self.client.query("INSERT INTO schema_values VALUES (?, ?)");
        let query = query.bind(format!("{RECIPE}{name}")).bind(recipe.to_text());
        within(&self.config, query.execute()).await.map_err(|error| self.judged(&error))
    }

    /// Deletes the block rows that were stored before an instant and are counted in a checkpoint, but for the newest of each
    /// partition, and for those that stand for a loss. Without a checkpoint the ledger could not do without them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn forget(&self, before: i64) -> Result<(), StoreError> {
        let newest =
            format!("SELECT partition, max(last) FROM sales_by_minute WHERE {BLOCK_ROWS} GROUP BY partition");
        let newest: Vec<(u32, i64)> = within(&self.config, self.client.query(&newest).fetch_all())
            .await
            .map_err(|error| self.judged(&error))?;
        let kept: Vec<_> = newest.iter().map(|(partition, last)| format!("({partition}, {last})")).collect();
        let mut checkpoints = Ends::new();
        for (partition, last) in self.books().checkpoints().await?.keys().filter_map(|name| place(name)) {
            let newest = checkpoints.entry(partition).or_insert(last);
            *newest = last.max(*newest);
        }
        let counted = checkpoints
            .iter()
            .map(|(partition, last)| format!("(partition = {partition} AND last <= {last})"));
        let counted: Vec<_> = counted.collect();
        if kept.is_empty() || counted.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "ALTER TABLE sales_by_minute DELETE WHERE {BLOCK_ROWS} AND inserted_at < fromUnixTimestamp64Nano(toInt64({before}), 'UTC') \
             AND rules != '{LOST}' AND ({}) AND (partition, last) NOT IN ({}) SETTINGS mutations_sync = 1",
            counted.join(" OR "),
            kept.join(", ")
        );
        within(&self.config, self.client.query(&sql).execute()).await.map_err(|error| self.judged(&error))
    }

    fn judged(&self, error: &clickhouse::error::Error) -> StoreError {
        let (refused, kind) = retry::judge(error);
        self.metrics.errors(kind);
        as_store_error(refused, error)
    }
}

/// What each insert asks for, beside its token. Asynchronous inserts, which the server defaults to, would be gathered
/// with others and lose their token. Since 26.x deduplicate_insert decides whether a token counts, and the other only where
/// it leaves the choice.
const INSERT_SETTINGS: [(&str, &str); 3] =
    [("async_insert", "0"), ("insert_deduplicate", "1"), ("deduplicate_insert", "enable")];

fn as_store_error(refused: bool, error: &clickhouse::error::Error) -> StoreError {
    let text = format!("{SERVER}: {error}");
    if refused { StoreError::Refused(text) } else { StoreError::Unavailable(text) }
}

/// The partition and the last offset that a checkpoint is named by.
fn place(name: &str) -> Option<(u32, i64)> {
    let (partition, last) = name.split_once('-')?;
    Some((partition.parse().ok()?, last.parse().ok()?))
}

fn judged(error: clickhouse::error::Error) -> StoreError {
    as_store_error(retry::judge(&error).0, &error)
}

fn client(config: &config::ClickHouse) -> Client {
    client_without_database(config).with_database(&config.database)
}

fn client_without_database(config: &config::ClickHouse) -> Client {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(config.connect_timeout));
    connector.set_nodelay(true);
    let mut http = HttpClient::builder(TokioExecutor::new());
    http.pool_idle_timeout(IDLE);
    let client = match &config.authorities {
        None => Client::with_http_client(http.build(connector)),
        Some(authorities) => {
            connector.enforce_http(false);
            let tls = HttpsConnectorBuilder::new()
                .with_tls_config(authorities.client().as_ref().clone())
                .https_only()
                .enable_http1();
            Client::with_http_client(http.build(tls.wrap_connector(connector)))
        }
    };
    client
        .with_url(&config.url)
        .with_user(&config.user)
        .with_password(config.password.expose())
        .with_compression(Compression::None)
        .with_setting("max_execution_time", config.max_execution_time.as_secs().to_string())
}

/// Waits for an answer as long as the configuration says.
async fn within<T>(
    config: &config::ClickHouse,
    answer: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, clickhouse::error::Error> {
    let limit = config.connect_timeout + config.answer_timeout;
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(clickhouse::error::Error::TimedOut))
}

async fn all<T: RowOwned + RowRead>(
    client: &Client,
    config: &config::ClickHouse,
    sql: &str,
) -> Result<Vec<T>, StoreError> {
    within(config, client.query(sql).fetch_all::<T>()).await.map_err(judged)
}
