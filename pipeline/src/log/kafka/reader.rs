//! Reads one partition from its own queue.

mod batch;

use super::native::{PartitionQueue, known_end};
use super::rebalance::Group;
use super::unavailable;
use crate::log::{Bounds, LogError, LogRecord, ReadLimit, ReadPartition};
use batch::Batch;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use std::ffi::CString;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait before a partition that is only just being assigned is sought again.
const SETTLING: Duration = Duration::from_millis(20);

/// Which topic is read, and how long its broker may take to answer.
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) name: CString,
    pub(super) id: String,
    pub(super) timeout: Duration,
}

/// Reads one partition.
pub struct KafkaReader {
    queue: PartitionQueue<Group>,
    place: Arc<Place>,
    partition: i32,
    /// The offset behind the last record that was read, unless none was or the queue brought an error.
    position: Option<i64>,
    /// Offsets that were passed over, up to the first one behind them. Found again after a seek to its beginning, a hole
    /// is really in the log: transactions of foreign producers leave such.
    hole: Option<Range<i64>>,
    /// Whether the last thing that the queue brought was the partition's end, which only readers for a look are told.
    at_end: bool,
    /// Since when nothing comes although the log is known to go on.
    stalled: Option<Instant>,
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KafkaReader").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl KafkaReader {
    pub(super) fn new(queue: PartitionQueue<Group>, place: Arc<Place>, partition: i32) -> Self {
        Self { queue, place, partition, position: None, hole: None, at_end: false, stalled: None }
    }

    /// Makes a call to librdkafka that waits for the broker, on the runtime's threads for such calls.
    async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&BaseConsumer<Group>, &Place, i32) -> KafkaResult<T> + Send + 'static,
    ) -> Result<KafkaResult<T>, LogError> {
        let (consumer, place) = (Arc::clone(self.queue.consumer()), Arc::clone(&self.place));
        let partition = self.partition;
        tokio::task::spawn_blocking(move || call(&consumer, &place, partition)).await.map_err(unavailable)
    }

    /// Goes to an offset, whatever is read ahead, and lets messages come.
    async fn seek(&mut self, to: i64) -> Result<(), LogError> {
        (self.position, self.at_end) = (None, false);
        let started = Instant::now();
        loop {
            let sought = self
                .ask(move |consumer, place, partition| {
                    let list = at(place, partition, Offset::Offset(to))?;
                    let sought = consumer.seek_partitions(list, place.timeout)?;
                    sought.elements().iter().try_for_each(|element| element.error())?;
                    consumer.resume(&sought)
                })
                .await?;
            match sought {
                Ok(()) => break,
                // The assignment is told before librdkafka has followed it.
                Err(error)
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::State)
                        && started.elapsed() < self.place.timeout =>
                {
                    tokio::time::sleep(SETTLING).await;
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
        self.position = Some(to);
        Ok(())
    }

    /// Sees to it that records which are known to be there come: a broker has its time to send them, and then they are
    /// sought again.
    fn watch(&mut self, from: i64) {
        if self.known_end().is_none_or(|end| end <= from) {
            self.stalled = None;
        } else if self.stalled.get_or_insert_with(Instant::now).elapsed() > self.place.timeout {
            tracing::warn!(
                self.partition,
                from,
                "no record comes, though the log goes on: it is sought again"
            );
            (self.position, self.stalled) = (None, None);
        }
    }

    /// What an error that came instead of a record means.
    async fn failed(&mut self, code: RDKafkaErrorCode, wanted: i64) -> LogError {
        self.position = None;
        if matches!(code, RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) {
            return match self.bounds().await {
                Ok(bounds) => {
                    let partition = self.partition();
                    LogError::OutOfRange { partition, wanted, bounds }
                }
                Err(error) => error,
            };
        }
        unavailable(KafkaError::MessageConsumption(code))
    }
}

/// A list of one partition at an offset.
fn at(place: &Place, partition: i32, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&place.topic, partition, offset)?;
    Ok(list)
}

impl ReadPartition for KafkaReader {
    fn partition(&self) -> u32 {
        self.partition.unsigned_abs()
    }

    fn topic_id(&self) -> &str {
        &self.place.id
    }

    async fn bounds(&mut self) -> Result<Bounds, LogError> {
        let asked = self.ask(|consumer, place, partition| {
            consumer.fetch_watermarks(&place.topic, partition, place.timeout)
        });
        let (first, end) = asked.await?.map_err(unavailable)?;
        Ok(Bounds { first, end })
    }

    fn known_end(&self) -> Option<i64> {
        known_end(self.queue.consumer(), &self.place.name, self.partition)
    }

    async fn committed(&mut self) -> Result<Option<i64>, LogError> {
        let asked = self.ask(|consumer, place, partition| {
            consumer.committed_offsets(at(place, partition, Offset::Invalid)?, place.timeout)
        });
        let found = asked.await?.map_err(unavailable)?;
        let offset = found.elements().first().map(|element| element.offset());
        Ok(offset.and_then(|offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None }))
    }

    async fn read(
        &mut self,
        from: i64,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<LogRecord>, LogError> {
        if self.position != Some(from) {
            self.seek(from).await?;
        }
        let until = tokio::time::Instant::now() + wait;
        let mut batch = Batch::from(from, self.hole.clone());
        loop {
            while batch.has_room(limit) {
                let room = limit.records - batch.rows.len();
                if self.queue.read(room, |message| batch.add(&message)) == 0 {
                    break;
                }
            }
            if batch.at_end || !batch.rows.is_empty() {
                self.at_end = batch.at_end;
            }
            if let Some(hole) = batch.hole.take() {
                // Nothing is jumped over because of a position that librdkafka has wrong: what is missing is asked for.
                tracing::warn!(self.partition, ?hole, "offsets were passed over and are sought again");
                self.position = None;
                self.hole = Some(hole);
                return Ok(batch.finish());
            }
            match (batch.rows.is_empty(), batch.failed) {
                (true, Some(code)) => return Err(self.failed(code, from).await),
                // What came before the error is good; the error shows again at the next read, from there on.
                (false, Some(_)) => self.position = None,
                (false, None) => {
                    self.position = batch.rows.last().map(|row| row.offset + 1);
                    self.stalled = None;
                }
                (true, None) if self.at_end => {}
                (true, None) => {
                    if tokio::time::timeout_at(until, self.queue.filled()).await.is_ok() {
                        continue;
                    }
                    self.watch(from);
                }
            }
            return Ok(batch.finish());
        }
    }

    async fn offset_at(&mut self, instant: i64) -> Result<Option<i64>, LogError> {
        let asked = self.ask(move |consumer, place, partition| {
            let list = at(place, partition, Offset::Offset(instant / 1_000_000))?;
            consumer.offsets_for_times(list, place.timeout)
        });
        let found = asked.await?.map_err(unavailable)?;
        let offset = found.elements().first().map(|element| element.offset());
        Ok(offset.and_then(|offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None }))
    }

    fn at_end(&self) -> bool {
        self.at_end
    }

    async fn commit(&mut self, next: i64) -> Result<(), LogError> {
        let list = at(&self.place, self.partition, Offset::Offset(next)).map_err(unavailable)?;
        // The answer comes to the group's callback.
        self.queue.consumer().commit(&list, CommitMode::Async).map_err(unavailable)
    }
}
