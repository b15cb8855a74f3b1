//! The embedded stores: orders, sums and blocks in one SQLite file, written by one thread, a block a transaction.

mod books;
mod rebuild;
mod writer;

pub use books::SqliteBooks;
pub use rebuild::{Rebuilt, RebuiltFile};

use super::{StoreError, Stored, Stores};
use crate::block::{Block, BlockRow, Recipe, RecipeTexts};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use writer::Command;

/// The version of the file's layout.
const LAYOUT: &str = "1";

/// After how many pages of the write-ahead log SQLite copies them into the file.
pub const CHECKPOINT_PAGES: u32 = 2_000;

/// What the keys of recipes begin with, before the fingerprint.
const RECIPE: &str = "recipe ";

/// What the keys of checkpoints begin with, before partition and offset.
const CHECKPOINT: &str = "checkpoint ";

/// Sums of money are kept as two integers, total = high x 10^12 + low, because SQLite has none of 128 bits and turns a
/// sum that overflows 64 into a float.
const LOW: i128 = 1_000_000_000_000;

const META: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('layout', '1');";

const ORDERS: &str = "
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, customer_id INTEGER NOT NULL, source TEXT NOT NULL, quantity INTEGER NOT NULL,
    total_minor INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT, store_id INTEGER, product_id INTEGER,
    category TEXT, created_at INTEGER NOT NULL, received_at INTEGER NOT NULL, partition INTEGER NOT NULL,
    offset INTEGER NOT NULL);";

const ROLLUPS: &str = "
CREATE TABLE sales_by_minute (
    minute INTEGER NOT NULL, currency TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL, category TEXT NOT NULL,
    orders INTEGER NOT NULL, quantity INTEGER NOT NULL, total_high INTEGER NOT NULL, total_low INTEGER NOT NULL,
    PRIMARY KEY (minute, currency, source, state, category)) WITHOUT ROWID;
CREATE TABLE blocks (
    topic_id TEXT NOT NULL, partition INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    records INTEGER NOT NULL, orders INTEGER NOT NULL, duplicates INTEGER NOT NULL, dead INTEGER NOT NULL,
    quantity INTEGER NOT NULL, total_high INTEGER NOT NULL, total_low INTEGER NOT NULL,
    newest_created_at INTEGER NOT NULL, newest_received_at INTEGER NOT NULL, inserted_at INTEGER NOT NULL,
    rules TEXT NOT NULL, PRIMARY KEY (partition, first)) WITHOUT ROWID;";

const VIEWS: &str = "
CREATE VIEW sales AS
    SELECT datetime(minute * 60, 'unixepoch') AS minute, currency, source, state, category, orders, quantity,
           total_high * 1000000000000 + total_low AS total_minor FROM sales_by_minute;";

/// The writing side; clones share the writer, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct SqliteStores {
    commands: mpsc::Sender<Command>,
}

/// The stores and their writer's thread.
#[derive(Debug)]
pub struct Started {
    /// The stores.
    pub stores: SqliteStores,
    /// The writer's thread, to be joined after the last clone of `stores` has gone.
    pub writer: std::thread::JoinHandle<()>,
}

/// Opens the file, makes it if there is none, notes the recipe by which blocks are stored from now on, and starts its
/// writer.
///
/// # Errors
/// [`StoreError::Refused`] where the file has another layout; else what SQLite says.
pub fn start(path: &Path, cache_bytes: usize, recipe: &Recipe) -> Result<Started, StoreError> {
    let connection = Connection::open(path).map_err(unavailable)?;
    let cache = cache_bytes / 1024;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = -{cache}; PRAGMA busy_timeout = 10000;"
        ))
        .map_err(unavailable)?;
    if !connection.table_exists(None, "meta").map_err(unavailable)? {
        let schema = ["BEGIN;", META, ORDERS, ROLLUPS, VIEWS, "COMMIT;"].concat();
        connection.execute_batch(&schema).map_err(unavailable)?;
    }
    check_layout(&connection, path)?;
    let (name, text) = (format!("{RECIPE}{}", recipe.fingerprint()), recipe.to_text());
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", (name, text)).map_err(unavailable)?;
    // A partition has one block under way at most, so the queue is never long.
    let (commands, inbox) = mpsc::channel(64);
    let writer = std::thread::Builder::new()
        .name("stores".into())
        .spawn(move || writer::run(&connection, inbox))
        .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(Started { stores: SqliteStores { commands }, writer })
}

impl SqliteStores {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable("their writer has stopped".into());
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

impl Stores for SqliteStores {
    async fn newest_block(&self, partition: u32) -> Result<Option<BlockRow>, StoreError> {
        self.ask(|done| Command::Newest { partition, done }).await?
    }

    async fn other_rules(
        &self,
        partition: u32,
        from: i64,
        rules: &str,
    ) -> Result<(Vec<BlockRow>, RecipeTexts), StoreError> {
        let rules = rules.to_owned();
        self.ask(|done| Command::OtherRules { partition, from, rules, done }).await?
    }

    async fn put(&self, block: Arc<Block>) -> Result<Stored, StoreError> {
        self.ask(|done| Command::Put { block, done }).await?
    }
}

fn check_layout(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let layout: String =
        connection.query_row("SELECT value FROM meta WHERE key = 'layout'", [], |row| row.get(0)).map_err(
            |error| StoreError::Refused(format!("{} is no store of this program: {error}", path.display())),
        )?;
    if layout == LAYOUT {
        Ok(())
    } else {
        Err(StoreError::Refused(format!(
            "{}: its layout is {layout}, this build reads {LAYOUT}",
            path.display()
        )))
    }
}

/// The recipes that were noted.
fn recipes(connection: &Connection) -> rusqlite::Result<RecipeTexts> {
    texts(connection, RECIPE)
}

/// The texts whose names begin so, by the rest of their names.
fn texts(connection: &Connection, prefix: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut select = connection.prepare("SELECT key, value FROM meta WHERE key LIKE ?1")?;
    let rows = select.query_map([format!("{prefix}%")], |row| {
        Ok((row.get::<_, String>(0)?.trim_start_matches(prefix).to_owned(), row.get(1)?))
    })?;
    rows.collect()
}

/// Splits a total into its high and low part; totals are not negative.
fn split(total: i128) -> (i64, i64) {
    let part = |part: i128| i64::try_from(part).unwrap_or(i64::MAX);
    (part(total.div_euclid(LOW)), part(total.rem_euclid(LOW)))
}

fn join(high: i64, low: i64) -> i128 {
    i128::from(high) * LOW + i128::from(low)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can stand in map_err")]
fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
