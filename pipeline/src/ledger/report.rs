//! What the ledger says, as JSON and as a table for people.

use super::Expires;
use super::checkpoint::Checkpoint;
use super::difference::Difference;
use crate::outcomes::Outcome;
use serde::Serialize;
use std::fmt::{self, Display};

/// The books of all partitions, and every difference.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Each partition's books.
    pub partitions: Vec<PartitionBooks>,
    /// Orders in the rollups.
    pub rollup_orders: u64,
    /// Pieces in the rollups.
    pub rollup_quantity: i64,
    /// Minor units in the rollups, over all currencies.
    pub rollup_total_minor: i128,
    /// What does not balance.
    pub differences: Vec<Difference>,
    /// What senders were told, compared by id.
    pub ids: Option<Ids>,
    /// What is deleted when it is old, so that it was compared for being too much alone.
    #[serde(skip)]
    pub expires: Expires,
    /// What was counted of each partition up to its newest block, for later ledgers to go on from.
    #[serde(skip)]
    pub checkpoints: Vec<Checkpoint>,
}

/// The books of one partition.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct PartitionBooks {
    /// The partition.
    pub partition: u32,
    /// Records in the log, and those up to the checkpoint that were counted then.
    pub log: u64,
    /// Records in the log behind the newest block, which are still to be stored.
    pub pending: u64,
    /// Blocks.
    pub blocks: u64,
    /// The last offset of the checkpoint that the counting went on from; what lies up to there is not counted anew.
    pub checkpoint: Option<i64>,
    /// Blocks that were made by other rules than are in force now.
    pub other_rules: u64,
    /// Of them, blocks of rules that this build does not know, which were counted by those in force now.
    pub unknown_rules: u64,
    /// Blocks that are taken at their word, since the log does not reach back far enough to count them again.
    pub carried: u64,
    /// Ranges of offsets, first and last, whose records were deleted from the log before they were stored, which an
    /// operator has accepted.
    pub lost: Vec<(i64, i64)>,
    /// Orders that count.
    pub orders: u64,
    /// Records whose id was in the window.
    pub duplicates: u64,
    /// Records that were refused.
    pub dead: u64,
    /// Pieces.
    pub quantity: i64,
    /// Minor units, over all currencies.
    pub total_minor: i128,
    /// Orders in the orders store.
    pub stored_orders: u64,
    /// Minor units in the orders store.
    pub stored_total_minor: i128,
    /// Orders that count once more although they repeat an id, beyond the window, and that the orders store has only once.
    /// They are looked for where the orders store has fewer orders than count.
    pub beyond_window: u64,
}

/// What senders were told of their orders, against what the log has.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Ids {
    /// Ids that were acknowledged.
    pub accepted: u64,
    /// Ids that were rejected.
    pub rejected: u64,
    /// Ids reported as failed.
    pub failed: u64,
    /// Ids of unknown outcome.
    pub unknown: u64,
    /// Unknown ids that the log has.
    pub unknown_in_log: u64,
    /// Acknowledged ids that the log does not have. There must be none.
    pub lost: u64,
    /// Failed or rejected ids that the log has. There must be none.
    pub ghosts: u64,
    /// Records of the log whose ids the outcome file does not name.
    pub not_told: u64,
    /// Records that repeat such an id beyond the window, and so count once more. The orders store, which goes by the id,
    /// has them once.
    pub beyond_window: u64,
}

impl Ids {
    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }
}

impl Ledger {
    /// Adds a partition.
    pub(super) fn add(&mut self, books: PartitionBooks, differences: Vec<Difference>) {
        self.partitions.push(books);
        self.differences.extend(differences);
    }

    /// Whether nothing differs and nothing is pending.
    pub fn balanced(&self) -> bool {
        self.differences.is_empty() && self.total().pending == 0
    }

    /// The sum of all partitions.
    pub fn total(&self) -> PartitionBooks {
        let mut total = PartitionBooks::default();
        for books in &self.partitions {
            total.log += books.log;
            total.pending += books.pending;
            total.blocks += books.blocks;
            total.other_rules += books.other_rules;
            total.carried += books.carried;
            total.lost.extend(&books.lost);
            total.unknown_rules += books.unknown_rules;
            total.orders += books.orders;
            total.duplicates += books.duplicates;
            total.dead += books.dead;
            total.quantity += books.quantity;
            total.total_minor += books.total_minor;
            total.stored_orders += books.stored_orders;
            total.stored_total_minor += books.stored_total_minor;
            total.beyond_window += books.beyond_window;
        }
        total
    }

    /// The ledger as JSON, with the totals and the verdict.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "tillflow.ledger.v1",
            "balanced": self.balanced(),
            "total": self.total(),
            "rollup": {
                "orders": self.rollup_orders,
                "quantity": self.rollup_quantity,
                "total_minor": self.rollup_total_minor,
            },
            "partitions": self.partitions,
            "expires": { "orders": self.expires.orders, "rollups": self.expires.rollups },
            "ids": self.ids,
            "differences": self.differences,
        })
    }
}

impl Display for Ledger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |out: &mut fmt::Formatter<'_>, name: &str, books: &PartitionBooks| {
            writeln!(
                out,
                "{name:>9} {:>12} {:>12} {:>10} {:>10} {:>10} {:>8} {:>18} {:>12} {:>18}",
                books.log,
                books.orders,
                books.duplicates,
                books.dead,
                books.pending,
                books.blocks,
                books.total_minor,
                books.stored_orders,
                books.stored_total_minor
            )
        };
        writeln!(
            out,
            "{:>9} {:>12} {:>12} {:>10} {:>10} {:>10} {:>8} {:>18} {:>12} {:>18}",
            "partition",
            "log",
            "orders",
            "duplicates",
            "dead",
            "pending",
            "blocks",
            "total",
            "in store",
            "total in store"
        )?;
        for books in &self.partitions {
            line(out, &books.partition.to_string(), books)?;
        }
        let total = self.total();
        line(out, "all", &total)?;
        writeln!(out, "\nrollups: {} orders, total {}", self.rollup_orders, self.rollup_total_minor)?;
        if let Some(ids) = &self.ids {
            writeln!(
                out,
                "by id: {} acknowledged, {} lost; {} unknown, {} of them in the log; {} failed and {} rejected, {} of \
                 them in the log; {} records of others",
                ids.accepted,
                ids.lost,
                ids.unknown,
                ids.unknown_in_log,
                ids.failed,
                ids.rejected,
                ids.ghosts,
                ids.not_told
            )?;
        }
        if let Some(repeats) = self.ids.as_ref().map(|ids| ids.beyond_window).filter(|repeats| *repeats > 0) {
            writeln!(out, "{repeats} records repeat an id beyond the window and count once more")?;
        }
        if total.beyond_window > 0 {
            writeln!(
                out,
                "{} orders repeat an id beyond the window: the sums count them again, the orders store has the later one",
                total.beyond_window
            )?;
        }
        if total.other_rules > 0 {
            writeln!(
                out,
                "{} blocks were made by other rules than are in force now, and counted by theirs; {} by rules that this \
                 build does not know, and counted by those in force",
                total.other_rules, total.unknown_rules
            )?;
        }
        let from: Vec<_> =
            self.partitions.iter().filter_map(|books| Some((books.partition, books.checkpoint?))).collect();
        if !from.is_empty() {
            let places: Vec<_> = from.iter().map(|(partition, last)| format!("{partition}:{last}")).collect();
            writeln!(
                out,
                "counted from checkpoints on, at {}; --full counts from the log's beginning",
                places.join(", ")
            )?;
        }
        for (what, expires) in [("orders", self.expires.orders), ("sums", self.expires.rollups)] {
            if expires {
                writeln!(
                    out,
                    "old {what} are deleted, so that the store may hold less than was counted, never more"
                )?;
            }
        }
        if total.carried > 0 {
            writeln!(
                out,
                "{} blocks are taken at their word: the log does not reach back far enough to count them again",
                total.carried
            )?;
        }
        for books in &self.partitions {
            for (first, last) in &books.lost {
                writeln!(
                    out,
                    "LOST partition {}, offsets {first} to {last}: accepted by an operator",
                    books.partition
                )?;
            }
        }
        for difference in &self.differences {
            writeln!(out, "DIFFERENCE {difference}")?;
        }
        match (self.differences.len(), total.pending) {
            (0, 0) => writeln!(
                out,
                "balanced: log = orders + duplicates + dead; orders and totals agree everywhere"
            ),
            (0, pending) => writeln!(out, "not balanced yet: {pending} records are still to be stored"),
            (count, _) => writeln!(out, "NOT BALANCED: {count} difference(s)"),
        }
    }
}
