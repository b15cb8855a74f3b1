//! The stages at work, each by itself, on the same orders every time: what the benches time, and of which `counts`
//! counts instructions and allocations. What is measured stands here once, so that both speak of the same work.
//!
//! A stage is given a thousand orders, drawn for a fixed seed. Whatever it makes of them comes to a digest, so that nobody
//! can measure work that is not done: a digest that changes means that something else was computed.

mod cassandra;
mod clickhouse;
mod digest;
mod ingest;
mod kafka;
mod orders;
mod process;
pub mod real;
mod receive;
mod sqlite;

pub use digest::Digest;
pub use kafka::Lending;
pub use orders::{Orders, RECEIVED_AT};

use anyhow::Result;

/// Orders of one run of a stage.
pub const ORDERS: usize = 1_000;

/// A stage with its orders.
pub trait Stage {
    /// Makes what the next run consumes. It is not measured.
    ///
    /// # Errors
    /// What keeps it from being made.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// Does the work on [`ORDERS`] orders, and keeps what it comes to. This is what is measured.
    ///
    /// # Errors
    /// Where the work fails.
    fn run(&mut self) -> Result<()>;

    /// What the last run came to, as a hash. It is the same after each run.
    ///
    /// # Errors
    /// Where the last run was not what it should be.
    fn digest(&mut self) -> Result<u64>;
}

/// A stage that can be measured.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The stage, and after a slash, in which form.
    pub name: &'static str,
    /// What measuring it answers.
    pub question: &'static str,
    /// Makes it.
    pub make: Make,
}

type Make = fn(&Orders) -> Result<Box<dyn Stage>>;

const fn entry(name: &'static str, question: &'static str, make: Make) -> Entry {
    Entry { name, question, make }
}

/// The stages that need nothing but this process, in the order of the flow: what stands behind each is an in-memory
/// connection, a void log, librdkafka's own mock broker, a void ClickHouse,
/// a SQLite file that is never committed to, or nothing.
pub const MOCKED: [Entry; 18] = [
    entry(
        "receive/single",
        "What does a request of one order cost, from its bytes to its answer's?",
        receive::single,
    ),
    entry("receive/ndjson", "What does an order cost in requests of a hundred?", receive::ndjson),
    entry("receive/gzip", "What does a compressed body add to that?", receive::gzip),
    entry("frame/ndjson", "What does it cost to find the lines of a body?", ingest::frame_ndjson),
    entry("frame/json", "What does it cost to find the elements of an array?", ingest::frame_json),
    entry("validate", "What does an order's verdict cost, with its id and its record?", ingest::validating),
    entry("publish/void", "What does publishing cost apart from the log?", ingest::publish_void),
    entry(
        "publish/kafka",
        "What does it cost to hand a record to librdkafka, uncopied, as we do it?",
        kafka::ours,
    ),
    entry("publish/bare", "And what by librdkafka alone, uncopied?", kafka::bare),
    entry("publish/copied", "And what by librdkafka alone, when it copies the value?", kafka::copied),
    entry("parse", "What does parsing an order cost?", process::parse),
    entry("enrich", "What do the names under which an order is counted cost?", process::enriching),
    entry("window", "What does it cost to know that an order is not there yet?", process::window),
    entry("rollup", "What do sums of a thousand orders cost, with their sorting?", process::rollup),
    entry("block", "What does a block cost: parse, window, enrich and roll up?", process::block),
    entry(
        "store/cassandra",
        "What do a block's rows cost on their way into the driver's batches?",
        cassandra::encode,
    ),
    entry("store/clickhouse", "What does a block's insert cost the client?", clickhouse::insert),
    entry(
        "store/sqlite",
        "What do a block's rows cost in SQLite, before they are committed?",
        sqlite::encode,
    ),
];

/// A stage, prepared and run once, so that its buffers have grown and its connections are open.
///
/// # Errors
/// Where it cannot be made or run.
pub fn warm(entry: &Entry, orders: &Orders) -> Result<Box<dyn Stage>> {
    let mut stage = (entry.make)(orders)?;
    stage.prepare()?;
    stage.run()?;
    stage.digest()?;
    Ok(stage)
}
