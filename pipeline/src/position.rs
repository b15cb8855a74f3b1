//! How far a partition has come, and where a processor goes on in it. Pure.

use crate::block::BlockRow;
use crate::log::Bounds;

/// Why a partition must not be gone on with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The stores are of another topic.
    #[error(
        "the stores hold blocks of topic {stores}, the log is topic {log}: the topic was made anew, or the stores belong \
         to another log; either bring that log back, or give this one stores of its own: another keyspace and database, or \
         another folder, as deploy/operations.md says"
    )]
    OtherTopic {
        /// The stores' topic id.
        stores: String,
        /// The log's.
        log: String,
    },
    /// The stores lack blocks that were there when the position was committed.
    #[error(
        "offsets {from} to {to} were stored once and are not any more: the stores were restored from an older state, or \
         wiped; `pipeline recover stored --partition {partition}` stores them again from the log"
    )]
    StoresWentBack {
        /// The partition.
        partition: u32,
        /// The first offset that is missing.
        from: i64,
        /// The last one.
        to: i64,
    },
    /// The log begins behind what is stored.
    #[error(
        "offsets {from} to {to} were deleted from the log before they were stored; `pipeline recover lost --partition \
         {partition} --from {from} --to {to}` accepts that and goes on behind them"
    )]
    LogWentOn {
        /// The partition.
        partition: u32,
        /// The first offset that is missing.
        from: i64,
        /// The last one.
        to: i64,
    },
    /// The log ends before what is stored.
    #[error(
        "the stores hold offsets up to {stored}, but the log ends before {end}: the log lost its end, or was wiped; \
         either bring the log back, or give this one stores of its own, as deploy/operations.md says"
    )]
    LogWentBack {
        /// The last offset stored.
        stored: i64,
        /// The offset that the log's next record would get.
        end: i64,
    },
}

/// How far a partition has come. What lies before `stored` is in both stores; what lies from there up to `taken` is held
/// in one block, which grows or is being stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    stored: i64,
    taken: i64,
}

impl Position {
    /// Where to go on: behind the newest block, whatever was committed. The committed position only serves to see that
    /// nothing was lost: a hole is an error with its range, never a silent jump. It is to be asked for before the newest
    /// block, and that before the log's bounds, or what happens in between would look like a loss.
    ///
    /// # Errors
    /// What was lost, and where.
    pub fn resume(
        (topic_id, partition): (&str, u32),
        newest: Option<&BlockRow>,
        committed: Option<i64>,
        log: Bounds,
    ) -> Result<Self, Lost> {
        let next = resume((topic_id, partition), newest, committed, log)?;
        Ok(Self { stored: next, taken: next })
    }

    /// The offset behind all that both stores have: what may be committed, and where the block that is held begins.
    pub const fn stored(&self) -> i64 {
        self.stored
    }

    /// The offset to be read next.
    pub const fn next(&self) -> i64 {
        self.taken
    }

    /// Takes the record at an offset into the block that is held, and says whether it belongs there: one that was taken
    /// already does not. Offsets that are passed over are not in the log.
    #[must_use]
    pub const fn take(&mut self, offset: i64) -> bool {
        let is_next = offset >= self.taken;
        if is_next {
            self.taken = offset + 1;
        }
        is_next
    }

    /// Goes on behind the block that the stores have, and says whether it is the one that is held. If it is another one,
    /// nothing changes: what is held does not follow upon what is stored, and the partition must be resumed anew.
    #[must_use]
    pub fn advance(&mut self, stored: &BlockRow) -> bool {
        let held = (stored.first, stored.last + 1) == (self.stored, self.taken);
        if held {
            self.stored = self.taken;
        }
        held
    }
}

fn resume(
    (topic_id, partition): (&str, u32),
    newest: Option<&BlockRow>,
    committed: Option<i64>,
    log: Bounds,
) -> Result<i64, Lost> {
    if let Some(block) = newest.filter(|block| block.topic_id != topic_id) {
        return Err(Lost::OtherTopic { stores: block.topic_id.clone(), log: topic_id.to_owned() });
    }
    let next = newest.map_or(0, |block| block.last + 1);
    match committed {
        Some(committed) if committed > next => {
            Err(Lost::StoresWentBack { partition, from: next, to: committed - 1 })
        }
        _ if log.first > next => Err(Lost::LogWentOn { partition, from: next, to: log.first - 1 }),
        _ if log.end < next => Err(Lost::LogWentBack { stored: next - 1, end: log.end }),
        _ => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(last: i64) -> BlockRow {
        BlockRow { topic_id: "t".into(), last, ..BlockRow::default() }
    }

    const LOG: Bounds = Bounds { first: 0, end: 100 };

    #[test]
    fn an_untouched_partition_begins_at_its_beginning() {
        assert_eq!(resume(("t", 3), None, None, LOG), Ok(0));
    }

    #[test]
    fn the_newest_block_decides_and_a_late_commit_does_not() {
        assert_eq!(resume(("t", 3), Some(&block(41)), Some(10), LOG), Ok(42));
        assert_eq!(resume(("t", 3), Some(&block(41)), None, LOG), Ok(42));
        assert_eq!(resume(("t", 3), Some(&block(99)), Some(100), LOG), Ok(100));
    }

    #[test]
    fn what_was_lost_is_named() {
        assert_eq!(
            resume(("u", 3), Some(&block(41)), None, LOG),
            Err(Lost::OtherTopic { stores: "t".into(), log: "u".into() })
        );
        assert_eq!(
            resume(("t", 3), None, Some(42), LOG),
            Err(Lost::StoresWentBack { partition: 3, from: 0, to: 41 })
        );
        assert_eq!(
            resume(("t", 3), Some(&block(9)), Some(42), LOG),
            Err(Lost::StoresWentBack { partition: 3, from: 10, to: 41 })
        );
        let log = Bounds { first: 50, end: 100 };
        assert_eq!(
            resume(("t", 3), Some(&block(41)), Some(42), log),
            Err(Lost::LogWentOn { partition: 3, from: 42, to: 49 })
        );
        let log = Bounds { first: 0, end: 10 };
        assert_eq!(
            resume(("t", 3), Some(&block(41)), None, log),
            Err(Lost::LogWentBack { stored: 41, end: 10 })
        );
    }
}
