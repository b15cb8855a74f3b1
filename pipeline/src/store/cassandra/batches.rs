//! Cutting a block's rows into batches of one Cassandra partition each. Pure.

use super::row::OrderRow;
use crate::block::{Block, BlockRow, StoredOrder};

/// The batches of a block: runs of rows of one Cassandra partition, of at most so many rows and bytes. A row that is
/// longer than that goes alone. Rows are made as batches are asked for, so that no more of them are in memory than are
/// under way.
pub(super) struct Batches<'b> {
    block: &'b BlockRow,
    buckets: u32,
    most_rows: usize,
    most_bytes: usize,
    /// In the order of their Cassandra partitions.
    left: std::vec::IntoIter<&'b StoredOrder>,
}

impl<'b> Batches<'b> {
    pub(super) fn of(block: &'b Block, buckets: u32, most_rows: usize, most_bytes: usize) -> Self {
        let mut sorted: Vec<&StoredOrder> = block.orders.iter().collect();
        // Most blocks lie within one hour and one bucket, and are in order already.
        sorted.sort_by_cached_key(|order| OrderRow::of(order, &block.row, buckets).partition_key());
        Self { block: &block.row, buckets, most_rows, most_bytes, left: sorted.into_iter() }
    }
}

impl<'b> Iterator for Batches<'b> {
    type Item = Vec<OrderRow<'b>>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = OrderRow::of(self.left.next()?, self.block, self.buckets);
        let (partition, mut bytes) = (first.partition_key(), first.size());
        let mut batch = Vec::with_capacity(self.most_rows.min(self.left.len() + 1));
        batch.push(first);
        while batch.len() < self.most_rows
            && let Some(order) = self.left.as_slice().first()
        {
            let row = OrderRow::of(order, self.block, self.buckets);
            bytes += row.size();
            if row.partition_key() != partition || bytes > self.most_bytes {
                break;
            }
            batch.push(row);
            self.left.next();
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{block_row, order, row_of};
    use super::*;
    use crate::block::Notes;

    #[test]
    fn a_batch_is_of_one_partition_and_within_both_limits() {
        let orders = (0..10).map(|n| order(&format!("id-{n}"), n / 7)).collect();
        let (row, sums, dead, notes) = (block_row().clone(), Vec::new(), Vec::new(), Notes::default());
        let block = Block { row, orders, sums, dead, notes };
        let size = row_of(&block.orders[0]).size();
        let lengths = |rows_most, bytes_most| -> Vec<_> {
            Batches::of(&block, 1, rows_most, bytes_most).map(|batch| batch.len()).collect()
        };
        assert_eq!(lengths(100, 1 << 20), [7, 3], "by hour");
        assert_eq!(lengths(3, 1 << 20), [3, 3, 1, 3], "by rows");
        assert_eq!(lengths(100, 2 * size), [2, 2, 2, 1, 2, 1], "by bytes");
        assert_eq!(lengths(100, 1), [1; 10], "a row that is too long goes alone");
    }
}
