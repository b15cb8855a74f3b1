//! Storing: every order, and the sums, of one block after the other. The stores stand behind this trait; the embedded
//! ones take a block in one transaction.

pub mod cassandra;
pub mod chain;
pub mod clickhouse;
pub mod schema;
pub mod server;
pub mod sqlite;

use crate::block::{Block, BlockRow, RecipeTexts};
use crate::money::Currency;
use crate::rollup::Sums;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// What the stores say of a block.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The block that is there now at the first offset: this one, or another's that was there before.
    pub row: BlockRow,
    /// When the orders were acknowledged, in nanoseconds of Unix time.
    pub orders_at: i64,
    /// When the sums were acknowledged, in nanoseconds of Unix time.
    pub rollup_at: i64,
}

/// Why a block is not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store does not answer, or not now. Trying again is right.
    #[error("the stores cannot be reached: {0}")]
    Unavailable(String),
    /// The store refuses what it was given, and would again.
    #[error("the stores refuse it: {0}")]
    Refused(String),
}

/// Orders store and rollups store together.
pub trait Stores: Send + Sync + 'static {
    /// The block with the greatest last offset of a partition.
    fn newest_block(
        &self,
        partition: u32,
    ) -> impl Future<Output = Result<Option<BlockRow>, StoreError>> + Send;

    /// The blocks of a partition that reach to an offset or further and were made by other rules, and the recipes that
    /// were kept.
    fn other_rules(
        &self,
        partition: u32,
        from: i64,
        rules: &str,
    ) -> impl Future<Output = Result<(Vec<BlockRow>, RecipeTexts), StoreError>> + Send;

    /// Stores a block whole, unless one with its first offset is there already: then that one is left as it is.
    fn put(&self, block: Arc<Block>) -> impl Future<Output = Result<Stored, StoreError>> + Send;
}

/// What the books hold, for the ledger to compare.
pub trait Books {
    /// All blocks, by partition and first offset. One that is stored twice stands there twice.
    fn blocks(&self) -> impl Future<Output = Result<Vec<BlockRow>, StoreError>> + Send;

    /// The recipes by which blocks were ever stored.
    fn recipes(&self) -> impl Future<Output = Result<RecipeTexts, StoreError>> + Send;

    /// The checkpoints of earlier ledgers, as texts by their names.
    fn checkpoints(&self) -> impl Future<Output = Result<BTreeMap<String, String>, StoreError>> {
        async { Ok(BTreeMap::new()) }
    }

    /// Keeps checkpoints, as texts by their names. One that is kept under the same name stays as it is.
    fn keep_checkpoints(
        &self,
        _checkpoints: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), StoreError>> {
        async { Err(StoreError::Refused("no checkpoints are kept here".into())) }
    }

    /// What the orders store holds of each partition, by currency, up to these ends. Orders behind them belong to blocks
    /// under way, whose sums are not stored yet.
    fn orders(
        &self,
        ends: &Ends,
    ) -> impl Future<Output = Result<BTreeMap<(u32, Currency), Sums>, StoreError>> + Send;

    /// What tells two rows of one order id apart in the orders store, by `created_at`. Where the id alone is the key, nothing.
    fn order_place(&self) -> fn(i64) -> i64 {
        |_| 0
    }

    /// What the rollups hold, and the last offset of each partition's newest block, both at one instant: while blocks are
    /// stored, two looks would not fit each other.
    fn sales_and_ends(
        &self,
    ) -> impl Future<Output = Result<(BTreeMap<SalesKey, Sums>, Ends), StoreError>> + Send;

    /// What the rollups hold, by currency, source and state.
    fn sales(&self) -> impl Future<Output = Result<BTreeMap<SalesKey, Sums>, StoreError>> + Send;
}

/// New tables of one store beside those in force, which the log is counted into again.
pub trait Rebuilding {
    /// Makes them, empty, whatever a rebuild before this one has left.
    fn begin(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a block, and the row that it had, whose place, name and time it keeps.
    fn put(&mut self, block: Block, kept: &BlockRow) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Compares them with those in force, up to these ends.
    fn compare(&mut self, ends: &Ends) -> impl Future<Output = Result<Compared, StoreError>> + Send;

    /// Puts them in force, where those in force still end there. The old ones are kept under another name.
    fn swap(&mut self, ends: &Ends) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts back what was in force before [`Rebuilding::swap`].
    fn swap_back(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes them away again, and leaves everything as it was.
    fn discard(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What is in force, against what the log comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows in force.
    pub rows_before: u64,
    /// Rows that there would be.
    pub rows_after: u64,
    /// Rows that one of them has and the other has not, or has otherwise.
    pub rows_changed: u64,
    /// The sums in force. Those of orders have no source and no state.
    pub before: BTreeMap<SalesKey, Sums>,
    /// The sums that there would be.
    pub after: BTreeMap<SalesKey, Sums>,
}

impl Compared {
    /// Adds what another part of the tables came to.
    pub fn merge(&mut self, other: Self) {
        self.rows_before += other.rows_before;
        self.rows_after += other.rows_after;
        self.rows_changed += other.rows_changed;
        for (own, others) in [(&mut self.before, other.before), (&mut self.after, other.after)] {
            for (key, sums) in others {
                own.entry(key).or_default().merge(sums);
            }
        }
    }
}

/// Looks single things up.
pub trait Lookup {
    /// An order, looked for wherever it may be; `about` is when it was created, where that is known.
    fn order(
        &self,
        order_id: &str,
        about: Option<i64>,
    ) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// An order that was created at this instant. One of the same id and another instant may not be found.
    fn order_at(
        &self,
        order_id: &str,
        created_at: i64,
    ) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// How far each partition is stored. One of which nothing is stored is not there.
    fn ends(&self) -> impl Future<Output = Result<Ends, StoreError>> + Send;
}

/// An order as it stands in a store: each column's name and value.
pub type Found = Vec<(String, String)>;

/// The last offset of each partition's newest block.
pub type Ends = BTreeMap<u32, i64>;

/// How sales are broken down for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SalesKey {
    /// The currency.
    pub currency: Currency,
    /// The sales channel.
    pub source: String,
    /// The state.
    pub state: String,
}
