//! A block: what a contiguous range of one partition's records comes to. Pure, and a function of the range, the rules
//! and the customers dimension alone: processor and ledger both build blocks with this.

mod lost;
mod recipe;

pub use lost::LOST;
pub use recipe::{Recipe, RecipeTexts, Recipes};

use crate::enrich::{Customers, OTHER, UNKNOWN, enrich};
use crate::log::{DeadLetter, LogRecord};
use crate::money::Currency;
use crate::order::Order;
use crate::parse::Parser;
use crate::rollup::{Names, Rollup, SumKey, Sums};
use crate::time;
use crate::window::{Seen, Window};
use std::borrow::Cow;
use std::sync::Arc;

/// An order as the orders store keeps it: as it was sent, with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Order`")]
pub struct StoredOrder {
    pub order_id: Box<str>,
    pub customer_id: i64,
    pub source: Arc<str>,
    pub quantity: i64,
    pub total_minor: i64,
    pub currency: Currency,
    pub state: Option<Arc<str>>,
    pub store_id: Option<i64>,
    pub product_id: Option<i64>,
    pub category: Option<Arc<str>>,
    pub created_at: i64,
    pub received_at: i64,
    /// A load generator's due instant, which the store does not keep.
    pub due_at: Option<i64>,
    pub offset: i64,
}

/// The row that a block leaves in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockRow {
    /// The identity of the topic.
    pub topic_id: String,
    /// The partition.
    pub partition: u32,
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
    /// Records in the range.
    pub records: u64,
    /// Orders among them that count.
    pub orders: u64,
    /// Records whose id was in the window.
    pub duplicates: u64,
    /// Records that were refused.
    pub dead: u64,
    /// Pieces of the orders.
    pub quantity: i64,
    /// Minor units of the orders, whatever their currencies: a check sum.
    pub total_minor: i128,
    /// The newest `created_at` of the orders, in nanoseconds of Unix time; 0 if there is none.
    pub newest_created_at: i64,
    /// The newest `received_at` of the records, in nanoseconds of Unix time.
    pub newest_received_at: i64,
    /// When the block was stored, in nanoseconds of Unix time.
    pub inserted_at: i64,
    /// [`Recipe::fingerprint`].
    pub rules: String,
}

/// A finished block.
#[derive(Debug)]
pub struct Block {
    /// What is stored of it as a whole.
    pub row: BlockRow,
    /// The orders that count.
    pub orders: Vec<StoredOrder>,
    /// Their sums, in the order of their keys.
    pub sums: Vec<(SumKey, Sums)>,
    /// The records that were refused.
    pub dead: Vec<DeadLetter>,
    /// What the metrics want to know beside.
    pub notes: Notes,
}

/// What is counted of a block but not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Duplicates whose body differs from the first one's.
    pub conflicts: u64,
    /// Orders without a known state.
    pub unknown_states: u64,
    /// Orders of a category that is not listed.
    pub other_categories: u64,
}

/// What one partition's blocks are built with. It goes from offset to offset, and its window with it.
pub struct Builder {
    recipe: Arc<Recipe>,
    rules: String,
    parser: Parser,
    names: Names,
    window: Window,
    topic_id: String,
    partition: u32,
}

impl Builder {
    /// A builder whose window begins at offset `from`.
    pub fn new(recipe: Arc<Recipe>, topic_id: &str, partition: u32, from: i64) -> Self {
        let window = Window::new(recipe.window, from);
        Self::with_window(recipe, topic_id, partition, window)
    }

    /// A builder with a window that was made for more than one recipe.
    pub fn with_window(recipe: Arc<Recipe>, topic_id: &str, partition: u32, window: Window) -> Self {
        let rules = recipe.fingerprint();
        let (parser, names) = (Parser::default(), Names::default());
        Self { recipe, rules, parser, names, window, topic_id: topic_id.to_owned(), partition }
    }

    /// The window.
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// Goes on by another recipe, as somebody does who counts blocks again that were made by different ones.
    pub fn follow(&mut self, recipe: &Arc<Recipe>) {
        if !Arc::ptr_eq(recipe, &self.recipe) {
            (self.recipe, self.rules) = (Arc::clone(recipe), recipe.fingerprint());
        }
    }

    /// Takes a record into the window alone, as a rebuild after an assignment does. The rules are those by which the
    /// record was stored, or refused: one that was refused stands in nobody's way, also where it would be taken today.
    pub fn remember(&mut self, record: &LogRecord, recipe: &Recipe) {
        match self.parser.parse(&record.value, record.received_at, &recipe.rules) {
            Ok(order) => {
                let id =
                    identify(&order, record.key.as_deref(), (&self.topic_id, self.partition, record.offset));
                self.window.add(record.offset, id.as_bytes(), &record.value);
            }
            Err(_) => self.window.skip(record.offset),
        }
    }

    /// Begins a block at an offset.
    pub fn begin(&self, first: i64) -> Growing {
        let row = BlockRow {
            topic_id: self.topic_id.clone(),
            partition: self.partition,
            first,
            last: first - 1,
            rules: self.rules.clone(),
            ..BlockRow::default()
        };
        Growing {
            row,
            orders: Vec::new(),
            rollup: Rollup::default(),
            dead: Vec::new(),
            notes: Notes::default(),
            bytes: 0,
        }
    }

    /// Adds the next record to a block.
    pub fn add(&mut self, block: &mut Growing, record: &LogRecord, customers: &Customers) {
        block.row.records += 1;
        block.row.last = record.offset;
        block.row.newest_received_at = block.row.newest_received_at.max(record.received_at);
        block.bytes += record.value.len();
        let order = match self.parser.parse(&record.value, record.received_at, &self.recipe.rules) {
            Ok(order) => order,
            Err(rejection) => {
                self.window.skip(record.offset);
                block.row.dead += 1;
                block.dead.push(DeadLetter {
                    topic_id: self.topic_id.clone(),
                    partition: self.partition,
                    offset: record.offset,
                    key: record.key.clone(),
                    value: record.value.clone(),
                    received_at: record.received_at,
                    reason: rejection.reason.tag(),
                    detail: rejection.to_string(),
                });
                return;
            }
        };
        let id = identify(&order, record.key.as_deref(), (&self.topic_id, self.partition, record.offset));
        match self.window.add_within(self.recipe.window, record.offset, id.as_bytes(), &record.value) {
            Seen::New => {}
            seen => {
                block.row.duplicates += 1;
                block.notes.conflicts += u64::from(seen == Seen::Conflict);
                return;
            }
        }
        let enriched = enrich(&order, customers, &self.recipe.categories);
        block.notes.unknown_states += u64::from(enriched.state == UNKNOWN && order.state.is_none());
        block.notes.other_categories +=
            u64::from(enriched.category == OTHER && order.category != Some(OTHER));
        let source = self.names.share(order.source);
        let key = SumKey {
            minute: time::minute(order.created_at),
            currency: order.currency,
            source: Arc::clone(&source),
            state: self.names.share(enriched.state),
            category: self.names.share(enriched.category),
        };
        block.rollup.add(key, order.quantity, order.total_minor);
        block.row.orders += 1;
        block.row.quantity += order.quantity;
        block.row.total_minor += i128::from(order.total_minor);
        block.row.newest_created_at = block.row.newest_created_at.max(order.created_at);
        block.orders.push(StoredOrder {
            order_id: id.into(),
            customer_id: order.customer_id,
            source,
            quantity: order.quantity,
            total_minor: order.total_minor,
            currency: order.currency,
            state: order.state.map(|state| self.names.share(state)),
            store_id: order.store_id,
            product_id: order.product_id,
            category: order.category.map(|category| self.names.share(category)),
            created_at: order.created_at,
            received_at: record.received_at,
            due_at: record.due_at,
            offset: record.offset,
        });
    }
}

/// The order's own id, else the record's key, else its place in the log, as the topic's id, partition and offset: never
/// anything random.
pub fn identify<'a>(order: &Order<'a>, key: Option<&'a [u8]>, place: (&str, u32, i64)) -> Cow<'a, str> {
    if let Some(id) = order.order_id {
        return Cow::Borrowed(id);
    }
    match key.map(std::str::from_utf8) {
        Some(Ok(key)) if crate::order::is_order_id(key) => Cow::Borrowed(key),
        _ => Cow::Owned(format!("{}-{}-{}", place.0, place.1, place.2)),
    }
}

/// A block that still grows.
#[derive(Debug)]
pub struct Growing {
    row: BlockRow,
    orders: Vec<StoredOrder>,
    rollup: Rollup,
    dead: Vec<DeadLetter>,
    notes: Notes,
    bytes: usize,
}

impl Growing {
    /// Makes room for so many orders at once; growing step by step would leave holes in the heap.
    pub fn reserve(&mut self, orders: usize) {
        self.orders.reserve(orders);
    }

    /// Records in it.
    pub const fn records(&self) -> u64 {
        self.row.records
    }

    /// Bytes of its records' values.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Orders in it that count.
    pub const fn orders(&self) -> u64 {
        self.row.orders
    }

    /// Ends it.
    pub fn finish(self) -> Block {
        let Self { row, orders, rollup, dead, notes, .. } = self;
        Block { row, orders, sums: rollup.finish(), dead, notes }
    }
}
