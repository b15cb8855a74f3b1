//! The rows of `sales_by_minute`, as they are written and as blocks are read back.

use crate::block::BlockRow;
use crate::rollup::{SumKey, Sums};
use clickhouse::Row;
use serde::{Deserialize, Serialize};

/// What finds the block rows by the primary key: all of it but the block.
pub(super) const BLOCK_ROWS: &str = "minute = toDateTime(0, 'UTC') AND currency = '' AND source = '' AND state = '' AND category = '' AND block != ''";

/// Selects blocks in the order of [`BlockLine`]; to be grouped by block. Rows that the engine has not put together yet
/// are alike but for the number of blocks, which is added up.
pub(super) const BLOCKS: &str = "SELECT toString(any(topic_id)) AS topic_id, any(partition) AS partition, \
     any(first) AS first, any(last) AS last, any(records) AS records, any(block_orders) AS block_orders, \
     any(duplicates) AS duplicates, any(dead) AS dead, any(block_quantity) AS block_quantity, \
     any(block_total_minor) AS block_total_minor, any(newest_created_at) AS newest_created_at, \
     any(newest_received_at) AS newest_received_at, any(inserted_at) AS inserted_at, toString(any(rules)) AS rules, \
     sum(blocks) AS blocks FROM sales_by_minute";

/// A row as it is written: sums, or a block.
#[derive(Debug, Default, Row, Serialize)]
pub(super) struct Line<'l> {
    /// Seconds of Unix time.
    minute: u32,
    currency: &'l str,
    source: &'l str,
    state: &'l str,
    category: &'l str,
    block: &'l str,
    orders: u64,
    quantity: i64,
    total_minor: i128,
    blocks: u64,
    topic_id: &'l str,
    partition: u32,
    first: i64,
    last: i64,
    records: u64,
    block_orders: u64,
    duplicates: u64,
    dead: u64,
    block_quantity: i64,
    block_total_minor: i128,
    newest_created_at: i64,
    newest_received_at: i64,
    inserted_at: i64,
    rules: &'l str,
}

impl<'l> Line<'l> {
    pub(super) fn sums(key: &'l SumKey, sums: Sums) -> Self {
        Self {
            // From 2000 on by the order's contract, and up to 2106 by ClickHouse's.
            minute: u32::try_from(key.minute.saturating_mul(60)).unwrap_or(u32::MAX),
            currency: key.currency.code(),
            source: &key.source,
            state: &key.state,
            category: &key.category,
            orders: sums.orders,
            quantity: sums.quantity,
            total_minor: sums.total_minor,
            ..Self::default()
        }
    }

    pub(super) fn block(row: &'l BlockRow, token: &'l str, inserted_at: i64) -> Self {
        Self {
            block: token,
            blocks: 1,
            topic_id: &row.topic_id,
            partition: row.partition,
            first: row.first,
            last: row.last,
            records: row.records,
            block_orders: row.orders,
            duplicates: row.duplicates,
            dead: row.dead,
            block_quantity: row.quantity,
            block_total_minor: row.total_minor,
            newest_created_at: row.newest_created_at,
            newest_received_at: row.newest_received_at,
            inserted_at,
            rules: &row.rules,
            ..Self::default()
        }
    }

    /// Its bytes in a request: its numbers, and each text with the byte of its length.
    pub(super) fn size(&self) -> usize {
        const NUMBERS: usize = 2 * 4 + 13 * 8 + 2 * 16;
        let texts =
            [self.currency, self.source, self.state, self.category, self.block, self.topic_id, self.rules];
        NUMBERS + texts.iter().map(|text| 1 + text.len()).sum::<usize>()
    }
}

/// A block as it is read.
#[derive(Debug, Row, Deserialize)]
pub(super) struct BlockLine {
    topic_id: String,
    partition: u32,
    first: i64,
    last: i64,
    records: u64,
    block_orders: u64,
    duplicates: u64,
    dead: u64,
    block_quantity: i64,
    block_total_minor: i128,
    newest_created_at: i64,
    newest_received_at: i64,
    inserted_at: i64,
    rules: String,
    /// How often it is there. It should be once.
    pub(super) blocks: u64,
}

impl From<BlockLine> for BlockRow {
    fn from(line: BlockLine) -> Self {
        Self {
            topic_id: line.topic_id,
            partition: line.partition,
            first: line.first,
            last: line.last,
            records: line.records,
            orders: line.block_orders,
            duplicates: line.duplicates,
            dead: line.dead,
            quantity: line.block_quantity,
            total_minor: line.block_total_minor,
            newest_created_at: line.newest_created_at,
            newest_received_at: line.newest_received_at,
            inserted_at: line.inserted_at,
            rules: line.rules,
        }
    }
}
