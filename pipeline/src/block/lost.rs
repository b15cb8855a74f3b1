//! The block that stands for records which were lost.

use super::{Block, BlockRow, Notes};

/// What stands in place of rules in the row of a range that was lost: see [`Block::lost`].
pub const LOST: &str = "lost";

impl BlockRow {
    /// Whether it stands for a range whose records were lost, which an operator has accepted.
    pub fn is_lost(&self) -> bool {
        self.rules == LOST
    }
}

impl Block {
    /// A block without records, for a range of offsets that was deleted from the log before it was stored. It closes the
    /// gap in the chain, and stays in the ledger for ever as what it is.
    pub fn lost(topic_id: &str, partition: u32, (first, last): (i64, i64)) -> Self {
        let row = BlockRow {
            topic_id: topic_id.to_owned(),
            partition,
            first,
            last,
            rules: LOST.to_owned(),
            ..BlockRow::default()
        };
        Self { row, orders: Vec::new(), sums: Vec::new(), dead: Vec::new(), notes: Notes::default() }
    }
}
