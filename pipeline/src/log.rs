//! The log: what ingest publishes to and processors read from, as the stages see it. Kafka and the embedded SQLite log
//! stand behind these traits; no stage knows which.
//!
//! A record's place is its partition and offset. Offsets of a partition are contiguous and never used twice.

pub mod dead;
pub mod kafka;
pub mod partitioner;
mod scan;
pub mod sqlite;
pub mod void;

pub use scan::scan;

use bytes::Bytes;
use std::future::Future;
use std::time::Duration;
use tokio::sync::oneshot;

/// A record on its way into the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// The order id: it decides the partition.
    pub key: Bytes,
    /// The client's bytes.
    pub value: Bytes,
    /// When the request was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// When a load generator's schedule wanted it sent, in nanoseconds of Unix time.
    pub due_at: Option<i64>,
}

impl Record {
    /// The bytes that the record holds in memory while it waits.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// What became of the records of one publish, all of which share it: a log takes a request's records as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The log has them durably.
    Durable,
    /// They are certainly not in the log; the text says why.
    Failed(&'static str),
    /// The log may have them.
    Unknown(&'static str),
}

/// Resolves once, when the deliveries of a publish are known, in the order of its records; a log that is gone before
/// that leaves all of them [`Delivery::Unknown`].
#[derive(Debug)]
pub struct Completion(oneshot::Receiver<Deliveries>);

/// The deliveries of one publish: mostly they are all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deliveries {
    /// Every record had this one.
    All(Delivery),
    /// Each record had its own.
    Each(Vec<Delivery>),
}

impl Completion {
    /// A completion and the end that a log resolves it by.
    pub fn pending() -> (oneshot::Sender<Deliveries>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// A completion that is known already.
    pub fn ready(deliveries: Deliveries) -> Self {
        let (sender, completion) = Self::pending();
        // The receiver is held right here, so the send cannot fail.
        let _ = sender.send(deliveries);
        completion
    }

    /// Waits for the deliveries.
    pub async fn wait(self) -> Deliveries {
        self.0.await.unwrap_or(Deliveries::All(Delivery::Unknown("the log stopped before it answered")))
    }
}

/// The writing side.
pub trait Publish: Send + Sync + 'static {
    /// Hands records over. It does not wait: a log whose queue is full answers [`Delivery::Failed`].
    fn publish(&self, records: Vec<Record>) -> Completion;

    /// Hands dead letters over. One that is already there, by its place in the log, changes nothing.
    fn publish_dead(&self, letters: Vec<DeadLetter>) -> Completion;
}

/// A record that the processor refuses, with all that is needed to look at it and to send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The identity of the topic that it lies in.
    pub topic_id: String,
    /// The partition that it lies in.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its bytes.
    pub value: Bytes,
    /// When it was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// The tag of the reason.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
}

/// A record read from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the partition.
    pub offset: i64,
    /// The key, which a foreign producer may leave out.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The header `received_at`, else the log's own time of the record, in nanoseconds of Unix time.
    pub received_at: i64,
    /// The header `due_at`.
    pub due_at: Option<i64>,
}

/// The offsets that a partition holds: from `first` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest offset still there.
    pub first: i64,
    /// The offset that the next record will get.
    pub end: i64,
}

/// How much one read brings at most. A first record is brought whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Records.
    pub records: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// Why the log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The data does not fit the configuration, or belongs to somebody else.
    #[error("{0}")]
    Refused(String),
    /// The offset that is wanted is not in the log any more, or not yet.
    #[error("offset {wanted} of partition {partition} is outside the log, which holds {bounds:?}")]
    OutOfRange {
        /// The partition.
        partition: u32,
        /// The offset that was asked for.
        wanted: i64,
        /// What there is.
        bounds: Bounds,
    },
    /// Input or output failed; it may work when tried again.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
}

/// A processor's membership in the group that reads the log.
pub trait Consume: Send + 'static {
    /// What reads one partition.
    type Reader: ReadPartition;

    /// Waits for the next change of the partitions that are this processor's to read.
    fn next(&mut self) -> impl Future<Output = Result<Assignment<Self::Reader>, LogError>> + Send;
}

/// A change of the partitions to read.
#[derive(Debug)]
pub enum Assignment<R> {
    /// These are this processor's from now on.
    Assigned(Vec<R>),
    /// These are not any more.
    Revoked(Vec<u32>),
}

/// Reads one partition.
pub trait ReadPartition: Send + 'static {
    /// The partition's number.
    fn partition(&self) -> u32;

    /// The identity of the topic, which a new topic of the same name does not share.
    fn topic_id(&self) -> &str;

    /// What the partition holds now.
    fn bounds(&mut self) -> impl Future<Output = Result<Bounds, LogError>> + Send;

    /// The partition's end as it was last heard of, without asking: for showing how far behind the reader is.
    fn known_end(&self) -> Option<i64>;

    /// The position last committed: the offset to read next. `None` if there never was one.
    fn committed(&mut self) -> impl Future<Output = Result<Option<i64>, LogError>> + Send;

    /// Reads the records from an offset on, as many as there are and fit, and waits up to `wait` for a first one.
    fn read(
        &mut self,
        from: i64,
        limit: ReadLimit,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<LogRecord>, LogError>> + Send;

    /// The first offset of a record that came at an instant or later, by the log's own times; `None` where there is none.
    fn offset_at(&mut self, _instant: i64) -> impl Future<Output = Result<Option<i64>, LogError>> + Send {
        async { Ok(None) }
    }

    /// Whether the last read found the log's end, with nothing before it that is still to come. A log that cannot tell
    /// says no.
    fn at_end(&self) -> bool {
        false
    }

    /// Commits a position: for lag, and for the check that nothing was lost, never for correctness.
    fn commit(&mut self, next: i64) -> impl Future<Output = Result<(), LogError>> + Send;
}
