//! The topic of dead letters, read from its beginning to its end.

use super::{consumer_config, unavailable};
use crate::config::Kafka;
use crate::log::LogError;
use crate::log::dead::{DeadLetters, DeadPlace, DeadRecord, Letter, Replayed};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(200);
/// How long the broker may bring nothing, before the end.
const PATIENCE: u32 = 6;

/// Reads the topic of dead letters.
#[derive(Clone, Debug)]
pub struct KafkaDead {
    kafka: Kafka,
}

impl KafkaDead {
    /// The dead letters of a configuration. Nothing is asked yet.
    pub fn new(kafka: &Kafka) -> Self {
        Self { kafka: kafka.clone() }
    }

    fn open(&self) -> Result<(BaseConsumer, usize), LogError> {
        let (kafka, topic) = (&self.kafka, &self.kafka.dead_topic);
        let mut settings = consumer_config(kafka)?;
        settings.set("enable.partition.eof", "true");
        let consumer: BaseConsumer =
            settings.create().map_err(|error| LogError::Refused(format!("kafka.consumer: {error}")))?;
        let metadata = consumer.fetch_metadata(Some(topic), kafka.timeout).map_err(unavailable)?;
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning).map_err(unavailable)?;
        }
        if all.count() == 0 {
            return Err(LogError::Refused(format!(
                "there is no topic {topic}; `pipeline schema apply` makes it"
            )));
        }
        consumer.assign(&all).map_err(unavailable)?;
        Ok((consumer, all.count()))
    }
}

impl DeadLetters for KafkaDead {
    fn read(&self, each: &mut dyn FnMut(DeadRecord) -> ControlFlow<()>) -> Result<(), LogError> {
        let (consumer, mut left) = self.open()?;
        let mut progress = Instant::now();
        while left > 0 {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    progress = Instant::now();
                    if each(record(&message)).is_break() {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    return Err(unavailable(error));
                }
                // What passes is librdkafka's to repeat, within the time that there is.
                Some(Err(_)) | None if progress.elapsed() < self.kafka.timeout * PATIENCE => {}
                Some(Err(error)) => return Err(unavailable(error)),
                None => {
                    return Err(LogError::Unavailable(format!("{} brings nothing", self.kafka.dead_topic)));
                }
            }
        }
        Ok(())
    }
}

/// What a record of the topic is: a letter has the place of the record that was refused, and a note the instant.
fn record(message: &BorrowedMessage<'_>) -> DeadRecord {
    let headers: Vec<(String, Bytes)> = message
        .headers()
        .into_iter()
        .flat_map(Headers::iter)
        .map(|header| (header.key.to_owned(), Bytes::copy_from_slice(header.value.unwrap_or_default())))
        .collect();
    let text = |name: &str| {
        let (_, value) = headers.iter().rev().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    };
    let place = || {
        let (partition, offset) = (text("partition")?.parse().ok()?, text("offset")?.parse().ok()?);
        Some(DeadPlace { partition, offset, topic_id: text("topic_id").unwrap_or_default().to_owned() })
    };
    let Some(place) = place() else { return DeadRecord::Stray };
    let owned = |name| text(name).unwrap_or_default().to_owned();
    if let Some(at) = text("replayed_at").and_then(|at| at.parse().ok()) {
        let (order_id, outcome) = (owned("order_id"), owned("outcome"));
        return DeadRecord::Replayed(Replayed { place, at, order_id, outcome });
    }
    let own_time = || message.timestamp().to_millis().unwrap_or_default().saturating_mul(1_000_000);
    let (reason, detail) = (owned("reason"), owned("detail"));
    let received_at = text("received_at").and_then(|at| at.parse().ok()).unwrap_or_else(own_time);
    let key = message.key().filter(|key| !key.is_empty()).map(Bytes::copy_from_slice);
    let value = Bytes::copy_from_slice(message.payload().unwrap_or_default());
    DeadRecord::Letter(Letter { place, key, value, received_at, reason, detail, headers })
}
