//! What becomes of partitions that come and go: readers for those that are assigned, word of those that are revoked, and
//! whatever else librdkafka calls back.

use super::members;
use super::native::PartitionQueue;
use super::reader::{KafkaReader, Place};
use super::statistics::Listener;
use super::unavailable;
use crate::log::{Assignment, LogError};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::mpsc;

/// What the processor is told.
pub(super) type Change = Result<Assignment<KafkaReader>, LogError>;

/// What librdkafka calls back.
pub(super) struct Group {
    pub(super) listener: Listener,
    pub(super) changes: mpsc::UnboundedSender<Change>,
    /// Whether another consumer has taken this one's place, so that its changes concern nobody.
    pub(super) replaced: AtomicBool,
    /// The group and the rules that its members must have, where that matters.
    pub(super) rules: Option<(String, String)>,
    /// The consumer that this is the context of, set once, right after both are made.
    pub(super) member: OnceLock<(Weak<BaseConsumer<Self>>, Arc<Place>)>,
}

/// Takes the queues of partitions, assigns them by `how`, at their ends and paused: a reader seeks to where the stores
/// say, and the end is the one offset that is always in the log. It is asked for here, since librdkafka, told to begin at
/// the end, asks later by itself, and where the answer is overtaken by a seek it asks once more and goes there after all.
pub(super) fn assign(
    consumer: &Arc<BaseConsumer<Group>>,
    place: &Arc<Place>,
    partitions: &TopicPartitionList,
    how: impl FnOnce(&BaseConsumer<Group>, &TopicPartitionList) -> KafkaResult<()>,
) -> Result<Vec<KafkaReader>, LogError> {
    let partitions: Vec<i32> = partitions.elements().iter().map(|element| element.partition()).collect();
    let mut readers = Vec::new();
    let mut at_end = TopicPartitionList::new();
    let mut answers = true;
    for partition in partitions {
        let queue = PartitionQueue::take(consumer, &place.name, partition)
            .ok_or_else(|| LogError::Unavailable(format!("partition {partition} has no queue")))?;
        readers.push(KafkaReader::new(queue, Arc::clone(place), partition));
        // One question that is not answered is enough to wait for; a reader that is led astray notices it.
        let asked = answers.then(|| consumer.fetch_watermarks(&place.topic, partition, place.timeout).ok());
        let end = asked.flatten().map(|(_, end)| Offset::Offset(end));
        answers = end.is_some();
        at_end
            .add_partition_offset(&place.topic, partition, end.unwrap_or(Offset::End))
            .map_err(unavailable)?;
    }
    how(consumer, &at_end).map_err(unavailable)?;
    if !readers.is_empty() {
        consumer.pause(&at_end).map_err(unavailable)?;
    }
    Ok(readers)
}

pub(super) fn numbers(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
}

impl Group {
    fn change(&self, consumer: &BaseConsumer<Self>, assigned: bool, list: &TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let numbers = numbers(list);
        let unassign = || if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() };
        if self.replaced.load(Ordering::Relaxed) {
            // It gives back what it had, so that it can end; nobody reads by it any more.
            if let Err(error) = unassign() {
                tracing::warn!(%error, "a consumer that was replaced keeps its partitions");
            }
            return;
        }
        tracing::info!(?numbers, assigned, "rebalanced");
        self.listener.rebalanced();
        let done = if assigned {
            let member = self.member.get().and_then(|(weak, place)| Some((weak.upgrade()?, place)));
            // A consumer that is being closed gets no more partitions.
            let Some((consumer, place)) = member else { return };
            if let Err(error @ LogError::Refused(_)) = self.look_around(&consumer, place) {
                let _ = self.changes.send(Err(error));
                return;
            }
            let how = |consumer: &BaseConsumer<Self>, list: &TopicPartitionList| {
                if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
            };
            // A receiver that has gone is a processor that stops.
            assign(&consumer, place, list, how).map(|readers| {
                let _ = self.changes.send(Ok(Assignment::Assigned(readers)));
            })
        } else {
            // The readers are stopped before another member can have the partitions; that a block of theirs is still
            // on its way is what its token is for.
            let _ = self.changes.send(Ok(Assignment::Revoked(numbers)));
            unassign().map_err(unavailable)
        };
        if let Err(error) = done {
            tracing::error!(%error, "the group's change could not be followed");
        }
    }
}

impl Group {
    /// Looks for members of other rules, when this one gets its first partitions, or the first ones after it lost all:
    /// two that joined at the same time did not see each other before. Whoever has partitions already goes on.
    fn look_around(&self, consumer: &BaseConsumer<Self>, place: &Place) -> Result<(), LogError> {
        let Some((group, rules)) = &self.rules else { return Ok(()) };
        if consumer.assignment().is_ok_and(|held| held.count() > 0) {
            return Ok(());
        }
        members::refuse_others(consumer, group, rules, place.timeout).inspect_err(|error| {
            tracing::warn!(%error, "the group's members are not known to have the same rules");
        })
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        super::log_line(level as i32, facility, text);
    }

    fn stats_raw(&self, json: &[u8]) {
        self.listener.read(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.listener.complain(code, reason);
        }
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        change: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        self.change(consumer, change == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, list);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::warn!(%error, "a position was not committed");
        }
    }
}
