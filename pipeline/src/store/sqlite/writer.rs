//! The one thread that writes the embedded stores.

use super::{join, recipes, split, unavailable};
use crate::block::{Block, BlockRow, RecipeTexts, StoredOrder};
use crate::rollup::{SumKey, Sums};
use crate::store::{StoreError, Stored};
use crate::time;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Statement, params};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many blocks share a transaction at most.
const GROUP: usize = 16;

/// The columns of `blocks`, in the order of [`block_row`].
pub(super) const BLOCK_COLUMNS: &str = "topic_id, partition, first, last, records, orders, duplicates, dead, quantity, \
     total_high, total_low, newest_created_at, newest_received_at, inserted_at, rules";

pub(super) const UPSERT_ORDER: &str =
    "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
     ON CONFLICT (order_id) DO UPDATE SET
        customer_id = excluded.customer_id, source = excluded.source, quantity = excluded.quantity,
        total_minor = excluded.total_minor, currency = excluded.currency, state = excluded.state,
        store_id = excluded.store_id, product_id = excluded.product_id, category = excluded.category,
        created_at = excluded.created_at, received_at = excluded.received_at, partition = excluded.partition,
        offset = excluded.offset
     WHERE excluded.received_at >= orders.received_at";

pub(super) const ADD_SUMS: &str = "INSERT INTO sales_by_minute VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
     ON CONFLICT (minute, currency, source, state, category) DO UPDATE SET
        orders = orders + excluded.orders, quantity = quantity + excluded.quantity,
        total_high = total_high + excluded.total_high + (total_low + excluded.total_low) / 1000000000000,
        total_low = (total_low + excluded.total_low) % 1000000000000";

type OtherRulesDone = oneshot::Sender<Result<(Vec<BlockRow>, RecipeTexts), StoreError>>;
type PutDone = oneshot::Sender<Result<Stored, StoreError>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Newest { partition: u32, done: oneshot::Sender<Result<Option<BlockRow>, StoreError>> },
    OtherRules { partition: u32, from: i64, rules: String, done: OtherRulesDone },
    Put { block: Arc<Block>, done: PutDone },
}

/// Serves until every sender is gone.
pub(super) fn run(connection: &Connection, mut inbox: mpsc::Receiver<Command>) {
    while let Some(first) = inbox.blocking_recv() {
        let mut puts = Vec::new();
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                // Who asked and does not wait any more has gone away with its partition.
                Command::Newest { partition, done } => drop(done.send(newest(connection, partition))),
                Command::OtherRules { partition, from, rules, done } => {
                    drop(done.send(other_rules(connection, partition, from, &rules).map_err(unavailable)));
                }
                Command::Put { block, done } => puts.push((block, done)),
            }
            next = if puts.len() < GROUP { inbox.try_recv().ok() } else { None };
        }
        if !puts.is_empty() {
            store(connection, puts);
        }
    }
}

/// Stores blocks in one transaction: all of them, or none.
fn store(connection: &Connection, puts: Vec<(Arc<Block>, PutDone)>) {
    let written = connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
        let rows: Vec<_> = puts.iter().map(|(block, _)| put(connection, block)).collect::<Result<_, _>>()?;
        connection.execute_batch("COMMIT")?;
        Ok(rows)
    });
    match written {
        Ok(rows) => {
            let now = time::now();
            for ((_, done), row) in puts.into_iter().zip(rows) {
                drop(done.send(Ok(Stored { row, orders_at: now, rollup_at: now })));
            }
        }
        Err(error) => {
            if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                tracing::error!("a transaction of the stores could not be rolled back");
            }
            let error = match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
                    StoreError::Refused(error.to_string())
                }
                _ => StoreError::Unavailable(error.to_string()),
            };
            // A commit that failed may have been made all the same; trying again finds its block row then.
            for (_, done) in puts {
                drop(done.send(Err(error.clone())));
            }
        }
    }
}

fn put(connection: &Connection, block: &Block) -> rusqlite::Result<BlockRow> {
    let sql = format!("SELECT {BLOCK_COLUMNS} FROM blocks WHERE partition = ?1 AND first = ?2");
    let mut find = connection.prepare_cached(&sql)?;
    if let Some(row) = find.query_row(params![block.row.partition, block.row.first], block_row).optional()? {
        return Ok(row);
    }
    let mut upsert = connection.prepare_cached(UPSERT_ORDER)?;
    for order in &block.orders {
        upsert_order(&mut upsert, block.row.partition, order)?;
    }
    let mut add = connection.prepare_cached(ADD_SUMS)?;
    for (key, sums) in &block.sums {
        add_sums(&mut add, key, sums)?;
    }
    let row = BlockRow { inserted_at: time::now(), ..block.row.clone() };
    insert_block(connection, &row)?;
    Ok(row)
}

pub(super) fn upsert_order(
    upsert: &mut Statement<'_>,
    partition: u32,
    order: &StoredOrder,
) -> rusqlite::Result<usize> {
    upsert.execute(params![
        &*order.order_id,
        order.customer_id,
        &*order.source,
        order.quantity,
        order.total_minor,
        order.currency.code(),
        order.state.as_deref(),
        order.store_id,
        order.product_id,
        order.category.as_deref(),
        order.created_at,
        order.received_at,
        partition,
        order.offset
    ])
}

pub(super) fn add_sums(add: &mut Statement<'_>, key: &SumKey, sums: &Sums) -> rusqlite::Result<usize> {
    let (high, low) = split(sums.total_minor);
    add.execute(params![
        key.minute,
        key.currency.code(),
        &*key.source,
        &*key.state,
        &*key.category,
        sums.orders.cast_signed(),
        sums.quantity,
        high,
        low
    ])
}

pub(super) fn insert_block(connection: &Connection, row: &BlockRow) -> rusqlite::Result<usize> {
    let (high, low) = split(row.total_minor);
    let sql = format!(
        "INSERT INTO blocks ({BLOCK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        row.topic_id,
        row.partition,
        row.first,
        row.last,
        row.records.cast_signed(),
        row.orders.cast_signed(),
        row.duplicates.cast_signed(),
        row.dead.cast_signed(),
        row.quantity,
        high,
        low,
        row.newest_created_at,
        row.newest_received_at,
        row.inserted_at,
        row.rules
    ])
}

fn newest(connection: &Connection, partition: u32) -> Result<Option<BlockRow>, StoreError> {
    let sql = format!("SELECT {BLOCK_COLUMNS} FROM blocks WHERE partition = ?1 ORDER BY first DESC LIMIT 1");
    connection.query_row(&sql, [partition], block_row).optional().map_err(unavailable)
}

fn other_rules(
    connection: &Connection,
    partition: u32,
    from: i64,
    rules: &str,
) -> rusqlite::Result<(Vec<BlockRow>, RecipeTexts)> {
    let sql =
        format!("SELECT {BLOCK_COLUMNS} FROM blocks WHERE partition = ?1 AND last >= ?2 AND rules != ?3");
    let mut select = connection.prepare(&sql)?;
    let blocks = select.query_map(params![partition, from, rules], block_row)?.collect::<Result<_, _>>()?;
    Ok((blocks, recipes(connection)?))
}

/// Reads a row of [`BLOCK_COLUMNS`].
pub(super) fn block_row(row: &Row<'_>) -> rusqlite::Result<BlockRow> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(BlockRow {
        topic_id: row.get(0)?,
        partition: row.get(1)?,
        first: row.get(2)?,
        last: row.get(3)?,
        records: count(4)?,
        orders: count(5)?,
        duplicates: count(6)?,
        dead: count(7)?,
        quantity: row.get(8)?,
        total_minor: join(row.get(9)?, row.get(10)?),
        newest_created_at: row.get(11)?,
        newest_received_at: row.get(12)?,
        inserted_at: row.get(13)?,
        rules: row.get(14)?,
    })
}
