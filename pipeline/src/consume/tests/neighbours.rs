//! A log of one partition, a topic of dead letters and the stores, in memory, which fail as a script says. What they are
//! asked to do, they check.

use crate::block::{Block, BlockRow, RecipeTexts};
use crate::log::{
    Bounds, Completion, DeadLetter, Deliveries, Delivery, LogError, LogRecord, Publish, ReadLimit,
    ReadPartition, Record,
};
use crate::store::{StoreError, Stored, Stores};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub(super) const PARTITION: u32 = 3;
/// How long everything takes, so that a partition can be taken away before and after each effect.
const SOON: Duration = Duration::from_millis(1);

/// What fails, and how: a generator of numbers (SplitMix64).
pub(super) struct Script {
    state: u64,
    /// So many of a hundred calls fail.
    failing: u8,
}

impl Script {
    pub(super) fn new(seed: u64, failing: u8) -> Self {
        Self { state: seed, failing }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn fails(&mut self) -> bool {
        self.below(100) < u64::from(self.failing)
    }
}

/// All of them. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Neighbours(Arc<Mutex<State>>);

struct State {
    script: Script,
    log: Vec<LogRecord>,
    most_records: usize,
    blocks: Vec<BlockRow>,
    orders: u64,
    dead: BTreeSet<i64>,
    committed: Option<i64>,
    puts: usize,
    refused: (i64, StoreError),
    /// When an offset from the one on is read, the log begins at the other.
    cut: (i64, i64),
    first: i64,
}

/// Every fourth record is no order, and every seventh repeats the one before the last.
fn value(offset: i64) -> String {
    let id = if offset % 7 == 6 { offset - 2 } else { offset };
    match offset % 4 {
        1 => "nonsense".to_owned(),
        _ => format!(r#"{{"order_id":"{id}","customer_id":3,"source":"Online","quantity":2}}"#),
    }
}

impl Neighbours {
    pub(super) fn new(records: i64, most_records: usize, script: Script) -> Self {
        let record = |offset| LogRecord {
            offset,
            key: None,
            value: value(offset).into(),
            received_at: 1_000,
            due_at: None,
        };
        let log = (0..records).map(record).collect();
        let (blocks, dead) = (Vec::new(), BTreeSet::new());
        let refused = (i64::MAX, StoreError::Refused(String::new()));
        let (orders, committed, puts, cut, first) = (0, None, 0, (i64::MAX, 0), 0);
        let state =
            State { script, log, most_records, blocks, orders, dead, committed, puts, refused, cut, first };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Refuses the blocks that begin at an offset or behind it.
    pub(super) fn refuse_from(&self, first: i64, error: StoreError) {
        self.state().refused = (first, error);
    }

    /// Deletes what lies before `first` as soon as an offset from `at` on is read.
    pub(super) fn cut(&self, at: i64, first: i64) {
        self.state().cut = (at, first);
    }

    pub(super) fn puts(&self) -> usize {
        self.state().puts
    }

    /// The offset behind all blocks.
    pub(super) fn stored_to(&self) -> i64 {
        self.state().stored_to()
    }

    /// Each record is in a block, each dead one in the dead letters, and no more is committed than there is.
    pub(super) fn assert_all_stored(&self) {
        let state = self.state();
        let end = i64::try_from(state.log.len()).unwrap();
        assert_eq!(state.stored_to(), end);
        assert_eq!(state.blocks.iter().map(|row| row.records).sum::<u64>(), end.unsigned_abs());
        assert_eq!(state.dead, (0..end).filter(|offset| offset % 4 == 1).collect());
        assert!(state.committed.is_none_or(|committed| committed <= end));
        let (mut orders, mut duplicates) = (0, 0);
        for row in &state.blocks {
            (orders, duplicates) = (orders + row.orders, duplicates + row.duplicates);
        }
        assert_eq!(orders + duplicates + state.dead.len() as u64, end.unsigned_abs());
        assert_eq!(orders, state.orders);
    }
}

impl State {
    fn bounds(&self) -> Bounds {
        Bounds { first: self.first, end: i64::try_from(self.log.len()).unwrap() }
    }

    fn stored_to(&self) -> i64 {
        self.blocks.last().map_or(0, |row| row.last + 1)
    }

    /// Stores a block as the stores do: whole, unless one is there already. Another processor may have been there first,
    /// with a block that ends elsewhere.
    fn store(&mut self, block: &Block) -> BlockRow {
        let row = &block.row;
        assert_eq!(row.records, (row.last - row.first + 1).unsigned_abs(), "none is skipped or taken twice");
        assert!(row.records <= self.most_records as u64, "{row:?} holds more than it may");
        for letter in &block.dead {
            assert!(self.dead.contains(&letter.offset), "offset {} is not buried", letter.offset);
        }
        if let Some(there) = self.blocks.iter().find(|there| there.first == row.first) {
            return there.clone();
        }
        assert_eq!(row.first, self.stored_to(), "blocks follow upon each other");
        let mut stored = row.clone();
        let mut orders = block.orders.iter().map(|order| order.offset).collect::<Vec<_>>();
        if self.script.fails() {
            stored.last = row.first + i64::try_from(self.script.below(row.records)).unwrap();
            orders.retain(|offset| *offset <= stored.last);
            let dead = |offset: &i64| offset % 4 == 1;
            let of_range = || row.first..=stored.last;
            self.dead.extend(of_range().filter(dead));
            stored.records = of_range().count() as u64;
            stored.dead = of_range().filter(dead).count() as u64;
            stored.orders = orders.len() as u64;
            stored.duplicates = stored.records - stored.dead - stored.orders;
        }
        self.orders += stored.orders;
        self.blocks.push(stored.clone());
        stored
    }
}

fn away() -> LogError {
    LogError::Unavailable("so the script says".into())
}

impl Stores for Neighbours {
    async fn newest_block(&self, _: u32) -> Result<Option<BlockRow>, StoreError> {
        tokio::time::sleep(SOON).await;
        let mut state = self.state();
        if state.script.fails() {
            return Err(StoreError::Unavailable("so the script says".into()));
        }
        Ok(state.blocks.last().cloned())
    }

    async fn other_rules(&self, _: u32, _: i64, _: &str) -> Result<(Vec<BlockRow>, RecipeTexts), StoreError> {
        tokio::time::sleep(SOON).await;
        if self.state().script.fails() {
            return Err(StoreError::Unavailable("so the script says".into()));
        }
        Ok((Vec::new(), RecipeTexts::new()))
    }

    async fn put(&self, block: Arc<Block>) -> Result<Stored, StoreError> {
        tokio::time::sleep(SOON).await;
        let (row, lost) = {
            let mut state = self.state();
            state.puts += 1;
            if block.row.first >= state.refused.0 {
                return Err(state.refused.1.clone());
            }
            if state.script.fails() {
                return Err(StoreError::Unavailable("so the script says".into()));
            }
            (state.store(&block), state.script.fails())
        };
        tokio::time::sleep(SOON).await;
        if lost {
            return Err(StoreError::Unavailable("the answer is lost".into()));
        }
        Ok(Stored { row, orders_at: 0, rollup_at: 0 })
    }
}

impl Publish for Neighbours {
    fn publish(&self, _: Vec<Record>) -> Completion {
        unreachable!("a processor publishes no orders")
    }

    fn publish_dead(&self, letters: Vec<DeadLetter>) -> Completion {
        let mut state = self.state();
        let taken = if state.script.fails() { letters.len() / 2 } else { letters.len() };
        state.dead.extend(letters.iter().take(taken).map(|letter| letter.offset));
        let delivery =
            |at| if at < taken { Delivery::Durable } else { Delivery::Unknown("so the script says") };
        Completion::ready(Deliveries::Each((0..letters.len()).map(delivery).collect()))
    }
}

impl ReadPartition for Neighbours {
    fn partition(&self) -> u32 {
        PARTITION
    }

    fn topic_id(&self) -> &str {
        "topic"
    }

    async fn bounds(&mut self) -> Result<Bounds, LogError> {
        tokio::time::sleep(SOON).await;
        let mut state = self.state();
        if state.script.fails() {
            return Err(away());
        }
        Ok(state.bounds())
    }

    fn known_end(&self) -> Option<i64> {
        i64::try_from(self.state().log.len()).ok()
    }

    async fn committed(&mut self) -> Result<Option<i64>, LogError> {
        tokio::time::sleep(SOON).await;
        Ok(self.state().committed)
    }

    /// A failing read may also bring records once more that were read before.
    async fn read(
        &mut self,
        from: i64,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<LogRecord>, LogError> {
        tokio::time::sleep(SOON).await;
        let found: Vec<_> = {
            let mut state = self.state();
            if from >= state.cut.0 {
                state.first = state.cut.1;
            }
            let again = if state.script.fails() { 2 } else { 0 };
            let outside = LogError::OutOfRange { partition: PARTITION, wanted: from, bounds: state.bounds() };
            match state.script.below(3) {
                _ if from < state.first => return Err(outside),
                0 if again > 0 => return Err(away()),
                // As where the log was cut between a look at its bounds and the reading.
                1 if again > 0 => return Err(outside),
                _ => {}
            }
            let fewer = if state.script.failing > 0 { state.script.below(limit.records as u64) } else { 0 };
            let most = limit.records - usize::try_from(fewer).unwrap();
            let from = usize::try_from(from).unwrap();
            state.log.iter().skip(from.saturating_sub(again)).take(most + again.min(from)).cloned().collect()
        };
        if found.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(found)
    }

    async fn commit(&mut self, next: i64) -> Result<(), LogError> {
        let mut state = self.state();
        assert!(next <= state.stored_to(), "{next} is committed and only {} stored", state.stored_to());
        if state.script.fails() {
            return Err(away());
        }
        state.committed = Some(next);
        Ok(())
    }
}
