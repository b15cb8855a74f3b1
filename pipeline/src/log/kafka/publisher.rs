//! The writing side.

use super::native::{Header, Producer, Report, Shipment, Status, Told, Topic};
use super::statistics::Listener;
use super::{producer_config, unavailable};
use crate::config::{Kafka, Log};
use crate::log::dead::{MarkReplayed, Replayed};
use crate::log::{Completion, DeadLetter, Deliveries, Delivery, LogError, Publish, Record};
use crate::observe::manage::Observed;
use bytes::Bytes;
use rdkafka::error::RDKafkaErrorCode;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long the thread that serves delivery reports waits for a first one; it looks for its end as often.
const POLL: Duration = Duration::from_millis(100);

/// The writing side of the log in Kafka; clones share the producer. When the last one is dropped, what is not delivered
/// by then is given up.
#[derive(Clone)]
pub struct KafkaLog(Arc<Inner>);

struct Inner {
    orders: Topic<Pending, Listener>,
    dead: Topic<Pending, Listener>,
    orders_name: String,
    waiting: Arc<AtomicUsize>,
    queue_bytes: usize,
    stopped: Arc<AtomicBool>,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KafkaLog").field("waiting", &self.waiting_bytes()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// The log's writing side and the thread that serves its delivery reports.
#[derive(Debug)]
pub struct Started {
    /// The writing side.
    pub log: KafkaLog,
    /// The thread, to be joined after the last clone of `log` has gone.
    pub poller: thread::JoinHandle<()>,
}

/// Starts a producer. The broker need not be there yet: until it is, records wait, up to their limits.
///
/// # Errors
/// Where a setting is wrong.
pub fn start(kafka: &Kafka, log: &Log, observed: &Observed) -> Result<Started, LogError> {
    let refused = |error: rdkafka::error::KafkaError| LogError::Refused(format!("kafka.producer: {error}"));
    let listener = Listener::new("producer", observed);
    let producer = Producer::new(&producer_config(kafka, log)?, listener).map_err(refused)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let inner = Inner {
        orders: Topic::new(&producer, &kafka.topic).map_err(refused)?,
        dead: Topic::new(&producer, &kafka.dead_topic).map_err(refused)?,
        orders_name: kafka.topic.clone(),
        waiting: Arc::default(),
        queue_bytes: log.max_queue_bytes,
        stopped: Arc::clone(&stopped),
    };
    let poller = thread::Builder::new()
        .name("log".into())
        .spawn(move || serve(&producer, &stopped))
        .map_err(unavailable)?;
    Ok(Started { log: KafkaLog(Arc::new(inner)), poller })
}

/// Serves delivery reports until nobody can publish any more.
fn serve<T: Told>(producer: &Producer<Pending, T>, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        producer.poll(POLL);
    }
}

impl KafkaLog {
    /// Bytes that wait for the broker's acknowledgement now.
    pub fn waiting_bytes(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits until a broker has told where the topic's partitions are, so that the first order need not.
    ///
    /// # Errors
    /// Where none does in time. Orders are taken all the same: they wait for it, up to their own limit.
    pub fn connect(&self, timeout: Duration) -> Result<(), LogError> {
        self.0.orders.connect(timeout).map_err(unavailable)
    }

    /// Takes room for the records, or says that there is none, and hands them over one by one.
    fn ship(
        &self,
        records: Vec<Record>,
        mut produce: impl FnMut(&Arc<Shipment<Pending>>, usize) -> Result<(), RDKafkaErrorCode>,
    ) -> Completion {
        let bytes = records.iter().map(Record::size).sum();
        let waiting = &self.0.waiting;
        if waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > self.0.queue_bytes {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Completion::ready(Deliveries::All(Delivery::Failed("the log's queue is full")));
        }
        let (done, completion) = Completion::pending();
        let count = records.len();
        let pending = Pending {
            count,
            bytes,
            waiting: Arc::clone(waiting),
            failures: Mutex::default(),
            done: Some(done),
        };
        let shipment = Shipment::new(records, pending);
        for index in 0..count {
            if let Err(code) = produce(&shipment, index) {
                shipment.failed(index, Status::NotPersisted, code);
            }
        }
        completion
    }
}

impl Publish for KafkaLog {
    fn publish(&self, records: Vec<Record>) -> Completion {
        let topic = &self.0.orders;
        let (mut received, mut due) = (itoa::Buffer::new(), itoa::Buffer::new());
        self.ship(records, |shipment, index| {
            let Some(record) = shipment.records().get(index) else {
                return Err(RDKafkaErrorCode::InvalidArgument);
            };
            let headers: [Header<'_>; 3] = [
                (c"received_at", received.format(record.received_at).as_bytes()),
                (c"schema", crate::order::SCHEMA.as_bytes()),
                (c"due_at", due.format(record.due_at.unwrap_or_default()).as_bytes()),
            ];
            let used = if record.due_at.is_some() { headers.as_slice() } else { headers.split_at(2).0 };
            topic.produce(shipment, index, used)
        })
    }

    fn publish_dead(&self, letters: Vec<DeadLetter>) -> Completion {
        let topic = &self.0.dead;
        let record = |letter: &DeadLetter| Record {
            key: letter.key.clone().unwrap_or_default(),
            value: letter.value.clone(),
            received_at: letter.received_at,
            due_at: None,
        };
        let records = letters.iter().map(record).collect();
        self.ship(records, |shipment, index| {
            let letter = letters.get(index).ok_or(RDKafkaErrorCode::InvalidArgument)?;
            let (mut partition, mut offset, mut received) =
                (itoa::Buffer::new(), itoa::Buffer::new(), itoa::Buffer::new());
            topic.produce(
                shipment,
                index,
                &[
                    (c"topic", self.0.orders_name.as_bytes()),
                    (c"topic_id", letter.topic_id.as_bytes()),
                    (c"partition", partition.format(letter.partition).as_bytes()),
                    (c"offset", offset.format(letter.offset).as_bytes()),
                    (c"received_at", received.format(letter.received_at).as_bytes()),
                    (c"reason", letter.reason.as_bytes()),
                    (c"detail", letter.detail.as_bytes()),
                ],
            )
        })
    }
}

impl MarkReplayed for KafkaLog {
    fn mark_replayed(&self, notes: Vec<Replayed>) -> Completion {
        let topic = &self.0.dead;
        // The order's id as the value, since a record without one could not be told from its neighbours in a report.
        let record = |note: &Replayed| Record {
            key: Bytes::new(),
            value: Bytes::copy_from_slice(note.order_id.as_bytes()),
            received_at: note.at,
            due_at: None,
        };
        let records = notes.iter().map(record).collect();
        self.ship(records, |shipment, index| {
            let note = notes.get(index).ok_or(RDKafkaErrorCode::InvalidArgument)?;
            let (mut partition, mut offset, mut at) =
                (itoa::Buffer::new(), itoa::Buffer::new(), itoa::Buffer::new());
            topic.produce(
                shipment,
                index,
                &[
                    (c"topic", self.0.orders_name.as_bytes()),
                    (c"topic_id", note.place.topic_id.as_bytes()),
                    (c"partition", partition.format(note.place.partition).as_bytes()),
                    (c"offset", offset.format(note.place.offset).as_bytes()),
                    (c"replayed_at", at.format(note.at).as_bytes()),
                    (c"order_id", note.order_id.as_bytes()),
                    (c"outcome", note.outcome.as_bytes()),
                ],
            )
        })
    }
}

/// A publish whose delivery reports are awaited. When it is dropped, all of them are in.
struct Pending {
    count: usize,
    bytes: usize,
    waiting: Arc<AtomicUsize>,
    failures: Mutex<Vec<(usize, Delivery)>>,
    done: Option<oneshot::Sender<Deliveries>>,
}

impl Report for Pending {
    fn failed(&self, index: usize, status: Status, code: RDKafkaErrorCode) {
        let delivery = match status {
            Status::NotPersisted => Delivery::Failed(reason(code)),
            Status::PossiblyPersisted => Delivery::Unknown(reason(code)),
        };
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push((index, delivery));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
        let failures = std::mem::take(self.failures.get_mut().unwrap_or_else(PoisonError::into_inner));
        let Some(done) = self.done.take() else { return };
        // Nobody may be waiting any more, when the request's time was over.
        let _ = done.send(deliveries(self.count, failures));
    }
}

/// What became of each of so many records, of which these failed.
fn deliveries(count: usize, failures: Vec<(usize, Delivery)>) -> Deliveries {
    let Some((_, first)) = failures.first() else { return Deliveries::All(Delivery::Durable) };
    if failures.len() == count && failures.iter().all(|(_, delivery)| delivery == first) {
        return Deliveries::All(first.clone());
    }
    let mut each = vec![Delivery::Durable; count];
    for (index, delivery) in failures {
        // A report whose record cannot be told leaves none of them certain.
        match each.get_mut(index) {
            Some(slot) => *slot = delivery,
            None => return Deliveries::All(Delivery::Unknown("the log's answer could not be told apart")),
        }
    }
    Deliveries::Each(each)
}

/// Why a record is not in the log, in words for a client.
const fn reason(code: RDKafkaErrorCode) -> &'static str {
    match code {
        RDKafkaErrorCode::QueueFull => "the log's queue is full",
        RDKafkaErrorCode::MessageTimedOut => "the log did not take it within log.delivery_timeout",
        RDKafkaErrorCode::MessageSizeTooLarge => "the log takes no record of this size",
        RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition => {
            "the log's topic does not exist"
        }
        RDKafkaErrorCode::UnknownPartition => "the log's partition does not exist",
        RDKafkaErrorCode::NotEnoughReplicas | RDKafkaErrorCode::NotEnoughReplicasAfterAppend => {
            "the log has too few replicas in sync"
        }
        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight => "the log was stopped",
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            "the log refuses this client"
        }
        RDKafkaErrorCode::Fatal => "the log's producer has failed for good and must be restarted",
        _ => "the log did not take it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_of_a_request_gets_its_own_delivery() {
        let failed = || Delivery::Failed("x");
        assert_eq!(deliveries(2, vec![]), Deliveries::All(Delivery::Durable));
        assert_eq!(deliveries(2, vec![(1, failed()), (0, failed())]), Deliveries::All(failed()));
        assert_eq!(
            deliveries(3, vec![(1, failed()), (2, Delivery::Unknown("y"))]),
            Deliveries::Each(vec![Delivery::Durable, failed(), Delivery::Unknown("y")])
        );
        assert!(matches!(deliveries(2, vec![(usize::MAX, failed())]), Deliveries::All(Delivery::Unknown(_))));
    }
}
