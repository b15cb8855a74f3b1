//! Rebuilding a store from the log: each block is counted again, in the ranges of the ledger and by the rules of its time,
//! into tables beside those in force, and what would change is told before anything does.

mod change;

pub use change::{Change, Compared, Figures};

use crate::block::{Block, BlockRow, Builder, Recipe, RecipeTexts, Recipes};
use crate::enrich::Customers;
use crate::log::{Bounds, LogError, ReadPartition, scan};
use crate::store::{Ends, Rebuilding, StoreError};
use crate::window::Window;
use std::sync::Arc;

/// About how many records are read in one go. The orders of so many, and of one block more, are in memory at once.
const STRIDE: i64 = 50_000;

/// Why a store is not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stores cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is not in the log any more.
    #[error(
        "offsets {from} to {to} of partition {partition} are stored, but the log does not have them any more: a rebuild \
         would lose them, so nothing was done"
    )]
    LogTooShort {
        /// The partition.
        partition: u32,
        /// The first offset that the log lacks.
        from: i64,
        /// The last one.
        to: i64,
    },
    /// The ledger does not say what blocks these offsets were stored in.
    #[error(
        "no block says how offsets {from} to {to} of partition {partition} were stored: old block rows are deleted after \
         clickhouse.keep_blocks, and what was stored by them cannot be rebuilt; nothing was done"
    )]
    NoBlock {
        /// The partition.
        partition: u32,
        /// The first offset without a block.
        from: i64,
        /// The last one.
        to: i64,
    },
    /// Blocks that do not follow upon each other.
    #[error(
        "block {first} to {last} of partition {partition} overlaps the one before it; `pipeline ledger` says more"
    )]
    Overlap {
        /// The partition.
        partition: u32,
        /// The block's first offset.
        first: i64,
        /// Its last.
        last: i64,
    },
    /// The stores are of another topic.
    #[error("the stores hold blocks of topic {stores}, the log is topic {log}; nothing was done")]
    OtherTopic {
        /// The stores' topic id.
        stores: String,
        /// The log's.
        log: String,
    },
}

/// By which rules blocks are counted again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// By those of its time, each block: the result is what is stored, but for the dimension.
    #[default]
    Own,
    /// By those of today, all of them.
    Today,
}

/// What a rebuild reads.
pub struct Source<'s> {
    /// The blocks, by partition and first offset.
    pub blocks: Vec<BlockRow>,
    /// The recipes by which they were stored.
    pub recipes: RecipeTexts,
    /// That of today.
    pub own: &'s Arc<Recipe>,
    /// Which of them are followed.
    pub by: By,
    /// The dimension of today.
    pub customers: Arc<Customers>,
}

impl Source<'_> {
    /// How far each partition is stored.
    pub fn ends(&self) -> Ends {
        let mut ends = Ends::new();
        for block in &self.blocks {
            let end = ends.entry(block.partition).or_insert(block.last);
            *end = block.last.max(*end);
        }
        ends
    }

    /// Counts every block again, of every partition, and gives it to a store's new tables.
    ///
    /// # Errors
    /// What makes a rebuild impossible, with its range; it is looked for in all partitions before anything is counted.
    pub async fn count_again<R: ReadPartition>(
        &self,
        mut readers: Vec<R>,
        into: &mut impl Rebuilding,
    ) -> Result<Change, RebuildError> {
        let mut chains = Vec::new();
        for reader in &mut readers {
            let own = self.blocks.iter().filter(|block| block.partition == reader.partition()).cloned();
            let own = own.collect();
            let bounds = reader.bounds().await?;
            chains.push(chain(own, reader.topic_id(), bounds)?);
        }
        let mut change = Change::default();
        into.begin().await?;
        for (reader, blocks) in readers.iter_mut().zip(chains) {
            self.count_partition(reader, &blocks, into, &mut change).await?;
        }
        change.compared = into.compare(&self.ends()).await?;
        Ok(change)
    }

    async fn count_partition<R: ReadPartition>(
        &self,
        reader: &mut R,
        blocks: &[BlockRow],
        into: &mut impl Rebuilding,
        change: &mut Change,
    ) -> Result<(), RebuildError> {
        let recipes = match self.by {
            By::Own => Recipes::of(self.own, &self.recipes),
            By::Today => Recipes::of(self.own, &RecipeTexts::new()),
        };
        let window = Window::new(recipes.window(), 0);
        let mut builder =
            Builder::with_window(Arc::clone(self.own), reader.topic_id(), reader.partition(), window);
        let mut left = blocks;
        while let Some(first) = left.first() {
            let reached = |row: &BlockRow| row.last - first.first >= STRIDE;
            let count = left.iter().position(reached).map_or(left.len(), |at| at + 1);
            let (stride, rest) = left.split_at(count);
            for (block, kept) in self.count_stride(reader, stride, &recipes, &mut builder).await? {
                let follows = self.by == By::Today || recipes.get(&kept.rules).is_some();
                change.count(&block.row, kept, follows);
                into.put(block, kept).await?;
            }
            left = rest;
        }
        Ok(())
    }

    async fn count_stride<'b, R: ReadPartition>(
        &self,
        reader: &mut R,
        stride: &'b [BlockRow],
        recipes: &Recipes,
        builder: &mut Builder,
    ) -> Result<Vec<(Block, &'b BlockRow)>, RebuildError> {
        let mut done = Vec::new();
        let mut left = stride.iter();
        let mut open = |builder: &mut Builder, done: &mut Vec<(Block, &'b BlockRow)>| loop {
            let Some(kept) = left.next() else { break None };
            if kept.is_lost() {
                let lost = Block::lost(&kept.topic_id, kept.partition, (kept.first, kept.last));
                done.push((lost, kept));
                continue;
            }
            let known = if self.by == By::Own { recipes.get(&kept.rules) } else { None };
            builder.follow(known.unwrap_or(self.own));
            break Some((builder.begin(kept.first), kept));
        };
        let mut growing = open(builder, &mut done);
        let read = stride.iter().find(|row| !row.is_lost()).zip(stride.iter().rfind(|row| !row.is_lost()));
        let Some((first, last)) = read else { return Ok(done) };
        scan(reader, first.first, last.last + 1, |record| {
            let Some((block, kept)) = growing.as_mut() else { return };
            // What an operator accepted as lost stays so, also where the log has it again.
            if record.offset < kept.first {
                return;
            }
            builder.add(block, &record, &self.customers);
            if record.offset == kept.last
                && let Some((block, kept)) = growing.take()
            {
                done.push((block.finish(), kept));
                growing = open(builder, &mut done);
            }
        })
        .await?;
        match growing {
            None => Ok(done),
            Some((_, kept)) => {
                Err(RebuildError::LogTooShort { partition: kept.partition, from: kept.first, to: kept.last })
            }
        }
    }
}

/// The blocks of a partition, each once, if they are one chain from the log's first offset on and the log has them all.
fn chain(mut blocks: Vec<BlockRow>, topic_id: &str, log: Bounds) -> Result<Vec<BlockRow>, RebuildError> {
    blocks.dedup_by_key(|block| (block.first, block.last));
    let mut next = 0;
    for block in &blocks {
        let BlockRow { partition, first, last, .. } = *block;
        if block.topic_id != topic_id {
            return Err(RebuildError::OtherTopic {
                stores: block.topic_id.clone(),
                log: topic_id.to_owned(),
            });
        }
        if first > next {
            return Err(RebuildError::NoBlock { partition, from: next, to: first - 1 });
        }
        if first < next {
            return Err(RebuildError::Overlap { partition, first, last });
        }
        if !block.is_lost() && (first < log.first || last >= log.end) {
            let (from, to) =
                if first < log.first { (first, log.first - 1) } else { (log.end.max(first), last) };
            return Err(RebuildError::LogTooShort { partition, from, to });
        }
        next = last + 1;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::LOST;

    fn block(first: i64, last: i64) -> BlockRow {
        BlockRow { topic_id: "t".into(), partition: 3, first, last, ..BlockRow::default() }
    }

    fn refusal(blocks: &[BlockRow], first: i64, end: i64) -> String {
        chain(blocks.to_vec(), "t", Bounds { first, end }).unwrap_err().to_string()
    }

    #[test]
    fn a_chain_from_the_beginning_is_counted_and_a_block_that_is_there_twice_once() {
        let blocks = vec![block(0, 4), block(5, 9), block(5, 9), block(10, 10)];
        let found = chain(blocks, "t", Bounds { first: 0, end: 11 }).unwrap();
        assert_eq!(found, [block(0, 4), block(5, 9), block(10, 10)]);
    }

    #[test]
    fn what_was_accepted_as_lost_need_not_be_in_the_log() {
        let blocks = vec![BlockRow { rules: LOST.into(), ..block(0, 4) }, block(5, 9)];
        assert!(chain(blocks, "t", Bounds { first: 5, end: 10 }).is_ok());
    }

    #[test]
    fn what_cannot_be_rebuilt_is_refused_with_its_range() {
        let whole = [block(0, 4), block(5, 9)];
        let lacks = |text: &str, range: &str| assert!(text.contains(range), "{text}");
        lacks(&refusal(&whole, 3, 10), "offsets 0 to 2 of partition 3");
        lacks(&refusal(&whole, 0, 8), "offsets 8 to 9 of partition 3");
        lacks(&refusal(&whole[1..], 0, 10), "how offsets 0 to 4 of partition 3 were stored");
        lacks(&refusal(&[block(0, 4), block(3, 9)], 0, 10), "block 3 to 9 of partition 3 overlaps");
        assert!(matches!(
            chain(whole.to_vec(), "u", Bounds { first: 0, end: 10 }),
            Err(RebuildError::OtherTopic { .. })
        ));
    }
}
