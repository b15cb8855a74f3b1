//! Membership in the consumer group. One thread polls the consumer's main queue, which brings rebalances, errors and
//! statistics but no messages: those come through the queue of each partition, so however long a store takes, the group
//! is polled.

use super::members;
use super::reader::{KafkaReader, Place};
use super::rebalance::{Change, Group, assign, numbers};
use super::statistics::Listener;
use super::{consumer_config, unavailable};
use crate::config::{Kafka, Log};
use crate::log::{Assignment, Consume, LogError};
use crate::observe::manage::Observed;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, TopicPartitionList};
use std::ffi::CString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the polling thread waits at once; it looks for its end as often.
const POLL: Duration = Duration::from_millis(100);

/// A member of the group.
pub struct KafkaConsumer {
    changes: mpsc::UnboundedReceiver<Change>,
    stopped: Arc<AtomicBool>,
    poller: Option<thread::JoinHandle<()>>,
}

impl fmt::Debug for KafkaConsumer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("KafkaConsumer")
    }
}

/// What a consumer is made of, so that it can be made anew.
struct Membership {
    kafka: Kafka,
    topic_id: String,
    settings: ClientConfig,
    rules: Option<String>,
    observed: Observed,
}

impl Membership {
    /// A consumer that is in no group yet.
    fn open(
        &self,
        changes: mpsc::UnboundedSender<Change>,
    ) -> Result<(Arc<BaseConsumer<Group>>, Arc<Place>), LogError> {
        let listener = Listener::new("consumer", &self.observed);
        let rules = self.rules.as_ref().map(|rules| (self.kafka.group.clone(), rules.clone()));
        let replaced = AtomicBool::new(false);
        let group = Group { listener, changes, replaced, rules, member: OnceLock::new() };
        let consumer: BaseConsumer<Group> = self
            .settings
            .create_with_context(group)
            .map_err(|error| LogError::Refused(format!("kafka.consumer: {error}")))?;
        let (topic, timeout) = (self.kafka.topic.clone(), self.kafka.timeout);
        let name = CString::new(topic.as_str())
            .map_err(|_| LogError::Refused("kafka.topic has a zero byte".into()))?;
        let place = Arc::new(Place { topic, name, id: self.topic_id.clone(), timeout });
        let consumer = Arc::new(consumer);
        let member = (Arc::downgrade(&consumer), Arc::clone(&place));
        if consumer.context().member.set(member).is_err() {
            return Err(LogError::Refused("the consumer was opened twice".into()));
        }
        Ok((consumer, place))
    }

    /// A consumer that joins the group.
    fn join(&self, changes: mpsc::UnboundedSender<Change>) -> Result<Arc<BaseConsumer<Group>>, LogError> {
        let (consumer, _) = self.open(changes)?;
        consumer.subscribe(&[&self.kafka.topic]).map_err(unavailable)?;
        Ok(consumer)
    }

    /// Puts another consumer in the place of one that cannot get back into the group. The former one is given back by a
    /// thread of its own, since what it waits for may never come.
    fn replace(
        &self,
        former: Arc<BaseConsumer<Group>>,
    ) -> Result<Arc<BaseConsumer<Group>>, Arc<BaseConsumer<Group>>> {
        let context = former.context();
        let consumer = match self.join(context.changes.clone()) {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::error!(%error, "the group's consumer is lost, and another cannot be made");
                return Err(former);
            }
        };
        context.replaced.store(true, Ordering::Relaxed);
        let held = former.assignment().map(|list| numbers(&list)).unwrap_or_default();
        let _ = context.changes.send(Ok(Assignment::Revoked(held)));
        context.listener.replaced();
        tracing::error!(
            "the group's consumer could not find its coordinator though brokers answer; another takes its place"
        );
        let given_back = thread::Builder::new().name("former".into()).spawn(move || drop(former));
        if let Err(error) = given_back {
            tracing::error!(%error, "the former consumer stays");
        }
        Ok(consumer)
    }
}

impl KafkaConsumer {
    /// Joins the group, to read the topic of an id (see [`super::topic_id`]), unless a member of it has other rules.
    ///
    /// # Errors
    /// Where a setting is wrong, where a member has other rules, or where nobody tells.
    pub fn join_by_rules(
        kafka: &Kafka,
        topic_id: String,
        rules: &str,
        observed: &Observed,
    ) -> Result<Self, LogError> {
        let mut settings = consumer_config(kafka)?;
        settings.set("client.id", members::client_id(kafka, rules));
        let membership = Membership {
            kafka: kafka.clone(),
            topic_id,
            settings,
            rules: Some(rules.to_owned()),
            observed: observed.clone(),
        };
        let (sender, changes) = mpsc::unbounded_channel();
        let (consumer, _) = membership.open(sender)?;
        members::refuse_others(&consumer, &kafka.group, rules, kafka.timeout)?;
        consumer.subscribe(&[&kafka.topic]).map_err(unavailable)?;
        Self::follow(consumer, changes, Some(membership))
    }

    /// Joins the group, whatever rules its members have.
    ///
    /// # Errors
    /// Where a setting is wrong.
    pub fn join(kafka: &Kafka, topic_id: String, observed: &Observed) -> Result<Self, LogError> {
        let settings = consumer_config(kafka)?;
        let (kafka, observed) = (kafka.clone(), observed.clone());
        let membership = Membership { kafka, topic_id, settings, rules: None, observed };
        let (sender, changes) = mpsc::unbounded_channel();
        let consumer = membership.join(sender)?;
        Self::follow(consumer, changes, Some(membership))
    }

    /// Readers of all partitions that take no part in the group, as the ledger wants them, and what keeps them going.
    ///
    /// # Errors
    /// As for [`Self::join`].
    pub fn detached(
        kafka: &Kafka,
        log: &Log,
        topic_id: String,
    ) -> Result<(Vec<KafkaReader>, Self), LogError> {
        let mut settings = consumer_config(kafka)?;
        settings.set("enable.partition.eof", "true");
        let membership = Membership {
            kafka: kafka.clone(),
            topic_id,
            settings,
            rules: None,
            observed: Observed::default(),
        };
        let (sender, changes) = mpsc::unbounded_channel();
        let (consumer, place) = membership.open(sender)?;
        let mut all = TopicPartitionList::new();
        for partition in 0..log.partitions {
            all.add_partition(&kafka.topic, i32::try_from(partition).unwrap_or(i32::MAX));
        }
        let readers = assign(&consumer, &place, &all, |consumer, list| consumer.assign(list))?;
        Ok((readers, Self::follow(consumer, changes, None)?))
    }

    fn follow(
        consumer: Arc<BaseConsumer<Group>>,
        changes: mpsc::UnboundedReceiver<Change>,
        membership: Option<Membership>,
    ) -> Result<Self, LogError> {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let poller = thread::Builder::new()
            .name("consume".into())
            .spawn(move || poll(consumer, membership.as_ref(), &stop))
            .map_err(unavailable)?;
        Ok(Self { changes, stopped, poller: Some(poller) })
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        // The thread leaves the group as it ends, so that the others need not wait for this member's session to expire.
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(Err(_)) = self.poller.take().map(thread::JoinHandle::join) {
            tracing::error!("the thread that polls the group panicked");
        }
    }
}

impl Consume for KafkaConsumer {
    type Reader = KafkaReader;

    async fn next(&mut self) -> Result<Assignment<KafkaReader>, LogError> {
        self.changes.recv().await.unwrap_or_else(|| Err(failed_for_good(&"its thread has ended")))
    }
}

/// Of a member that librdkafka has given up, such as one whose `group.instance.id` another has taken.
fn failed_for_good(error: &dyn fmt::Display) -> LogError {
    LogError::Refused(format!("the group's consumer has failed for good and must be restarted: {error}"))
}

/// Polls until it is stopped. A member of a group that has lost its coordinator for too long is replaced.
fn poll(mut consumer: Arc<BaseConsumer<Group>>, membership: Option<&Membership>, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        if let Some(membership) = membership
            && consumer.context().listener.lost_coordinator() > membership.kafka.coordinator_timeout
        {
            consumer = membership.replace(consumer).unwrap_or_else(|former| former);
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                // Each queue was taken out of this one before its partition was assigned.
                tracing::error!(?message, "a message came through the main queue and is lost to its reader");
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                tracing::error!(%error, "the consumer cannot go on");
                let _ = consumer.context().changes.send(Err(failed_for_good(&error)));
                return;
            }
            Some(Err(error)) => tracing::warn!(%error, "the group's consumer reports"),
        }
    }
}
