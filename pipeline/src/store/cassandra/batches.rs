//! Cutting a block's rows into batches of one Cassandra partition each. Pure.

use super::row::OrderRow;

/// Cuts rows that are ordered by Cassandra partition into runs of one partition each, of at most so many rows and bytes.
/// A row that is longer than that goes alone.
pub(super) fn cut<'r, 'o>(
    rows: &'r [OrderRow<'o>],
    most_rows: usize,
    most_bytes: usize,
) -> impl Iterator<Item = &'r [OrderRow<'o>]> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let first = left.first()?;
        let mut bytes = 0;
        let fitting = left.iter().take(most_rows.max(1)).take_while(|row| {
            bytes += row.size();
            row.partition_key() == first.partition_key() && bytes <= most_bytes
        });
        let (batch, rest) = left.split_at(fitting.count().max(1));
        left = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::super::row::tests::{order, row_of};
    use super::*;

    #[test]
    fn a_batch_is_of_one_partition_and_within_both_limits() {
        let orders: Vec<_> = (0..10).map(|n| order(&format!("id-{n}"), n / 7)).collect();
        let rows: Vec<_> = orders.iter().map(row_of).collect();
        let lengths = |rows_most, bytes_most| -> Vec<_> {
            cut(&rows, rows_most, bytes_most).map(<[OrderRow<'_>]>::len).collect()
        };
        assert_eq!(lengths(100, 1 << 20), [7, 3], "by hour");
        assert_eq!(lengths(3, 1 << 20), [3, 3, 1, 3], "by rows");
        assert_eq!(lengths(100, 2 * rows[0].size()), [2, 2, 2, 1, 2, 1], "by bytes");
        assert_eq!(lengths(100, 1), [1; 10], "a row that is too long goes alone");
        assert_eq!(cut(&[], 3, 100).count(), 0);
    }
}
