//! The embedded log: one SQLite file, written by one thread, durable before it is acknowledged.
//!
//! Each partition is a table of its own whose rows are appended in the order of their offsets, SQLite's cheapest way of
//! writing. The writer commits in groups: whatever has come in while the last transaction was being made durable goes
//! into the next one, so the load decides how many requests share a disk flush.

mod dead;
mod file;
mod reader;
mod writer;

pub use dead::SqliteDead;
pub use file::{CHECKPOINT_PAGES, Opened, open, open_for_reading};
pub use reader::{SqliteConsumer, SqliteReader};

use super::dead::{MarkReplayed, Replayed};
use super::{Completion, DeadLetter, Deliveries, Delivery, LogError, Publish, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use writer::Command;

/// The limits of the embedded log.
#[derive(Clone, Copy, Debug)]
pub struct SqliteLogLimits {
    /// Rows of one transaction.
    pub commit_records: usize,
    /// The least time from the beginning of one transaction to that of the next.
    pub commit_interval: Duration,
    /// Bytes that wait for the writer.
    pub queue_bytes: usize,
    /// How long a record may wait for the writer.
    pub delivery_timeout: Duration,
}

/// The writing side of the embedded log; clones share the writer. The writer ends, having written what it was given,
/// when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct SqliteLog {
    commands: mpsc::Sender<Command>,
    waiting: Arc<AtomicUsize>,
    queue_bytes: usize,
}

/// The log's writer, its consumer and its thread.
#[derive(Debug)]
pub struct Started {
    /// The writing side.
    pub log: SqliteLog,
    /// The reading side.
    pub consumer: SqliteConsumer,
    /// The writer's thread, to be joined after the last clone of `log` has gone.
    pub writer: std::thread::JoinHandle<()>,
}

/// Starts the writer on an opened file.
///
/// # Errors
/// Where the thread cannot be started.
pub fn start(opened: Opened, limits: SqliteLogLimits) -> Result<Started, LogError> {
    let (commands, inbox) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let (ends, seen): (Vec<_>, Vec<_>) = opened.ends.iter().map(|end| watch::channel(*end)).unzip();
    let log = SqliteLog { commands, waiting: Arc::clone(&waiting), queue_bytes: limits.queue_bytes };
    let consumer = SqliteConsumer::new(opened.place.clone(), seen, log.clone());
    let writer = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || writer::run(opened, limits, &inbox, &waiting, &ends))
        .map_err(|error| LogError::Unavailable(error.to_string()))?;
    Ok(Started { log, consumer, writer })
}

impl SqliteLog {
    /// Bytes that wait for the writer now.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes room in the queue, or says that there is none.
    fn enqueue(
        &self,
        bytes: usize,
        command: impl FnOnce(oneshot::Sender<Deliveries>) -> Command,
    ) -> Completion {
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > self.queue_bytes {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Completion::ready(Deliveries::All(Delivery::Failed("the log's queue is full")));
        }
        let (done, completion) = Completion::pending();
        // If the writer is gone the command is dropped, and with it `done`; it was never written.
        match self.commands.send(command(done)) {
            Ok(()) => completion,
            Err(_) => Completion::ready(Deliveries::All(Delivery::Failed("the log has stopped"))),
        }
    }

    fn commit(&self, partition: u32, next: i64) -> Completion {
        self.enqueue(0, |done| Command::Commit { partition, next, done })
    }
}

impl Publish for SqliteLog {
    fn publish(&self, records: Vec<Record>) -> Completion {
        let bytes = records.iter().map(Record::size).sum();
        self.enqueue(bytes, |done| Command::Publish { records, bytes, since: Instant::now(), done })
    }

    fn publish_dead(&self, letters: Vec<DeadLetter>) -> Completion {
        let bytes = letters.iter().map(|letter| letter.value.len()).sum();
        self.enqueue(bytes, |done| Command::Dead { letters, bytes, done })
    }
}

impl MarkReplayed for SqliteLog {
    fn mark_replayed(&self, notes: Vec<Replayed>) -> Completion {
        self.enqueue(0, |done| Command::Mark { notes, done })
    }
}
