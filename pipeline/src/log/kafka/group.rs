//! The consumer group, as an operator sees it from outside.

use super::members::client_ids;
use super::{consumer_config, unavailable};
use crate::config::Kafka;
use crate::log::LogError;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

/// How many processors are members of the group. It blocks.
///
/// # Errors
/// Where no broker answers.
pub fn members(kafka: &Kafka) -> Result<usize, LogError> {
    Ok(client_ids(&consumer(kafka)?, &kafka.group, kafka.timeout)?.len())
}

/// Commits a position in the name of the group, which must have no members. It blocks.
///
/// # Errors
/// Where a processor is a member, or no broker answers.
pub fn commit_for(kafka: &Kafka, partition: u32, next: i64) -> Result<(), LogError> {
    let consumer = consumer(kafka)?;
    let members = client_ids(&consumer, &kafka.group, kafka.timeout)?.len();
    if members > 0 {
        return Err(LogError::Refused(format!(
            "group {} has {members} members: stop the processors first",
            kafka.group
        )));
    }
    let mut list = TopicPartitionList::new();
    let number = i32::try_from(partition).unwrap_or(i32::MAX);
    list.add_partition_offset(&kafka.topic, number, Offset::Offset(next)).map_err(unavailable)?;
    consumer.commit(&list, CommitMode::Sync).map_err(unavailable)
}

fn consumer(kafka: &Kafka) -> Result<BaseConsumer, LogError> {
    consumer_config(kafka)?.create().map_err(|error| LogError::Refused(format!("kafka.consumer: {error}")))
}
