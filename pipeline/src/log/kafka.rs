//! The log in Kafka, through librdkafka.
//!
//! Ingest hands over the slices of the bodies that came in, uncopied, and gets one answer for each request when all its
//! records have their delivery reports. Processors read each partition from a queue of its own, in batches, from the
//! offset that the stores say, whatever the group has committed.

mod consumer;
mod dead;
mod group;
mod members;
mod native;
mod publisher;
mod reader;
mod rebalance;
mod said;
mod statistics;
mod topics;

pub use consumer::KafkaConsumer;
pub use dead::KafkaDead;
pub use group::{commit_for, members};
pub use publisher::{KafkaLog, Started, start};
pub use reader::KafkaReader;
pub use topics::{apply, check, topic_id};

use super::LogError;
use crate::config::{Kafka, Log, Settings, is_secret};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

/// What the pipeline's promises rest on, and no configuration may change.
const PRODUCER: [(&str, &str); 4] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    ("partitioner", "murmur2_random"),
    // As the topic of dead letters has it: whatever a foreign producer got into the log, its letter must get out.
    ("message.max.bytes", "1114124"),
];
const CONSUMER: [(&str, &str); 4] = [
    // In the other protocol, members do not see each other's client ids.
    ("group.protocol", "classic"),
    // Where to go on is what the stores say; what is committed serves lag tools and one check.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Records that were deleted before they were stored are an error and never jumped over.
    ("auto.offset.reset", "error"),
];

/// Other names that librdkafka has for settings which are set here (its CONFIGURATION.md). Were both given, chance would
/// decide which counts.
const ALIASES: [(&str, &str); 3] = [
    ("request.required.acks", "acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("metadata.broker.list", "bootstrap.servers"),
];

/// The settings of a producer: librdkafka's own as the configuration has them, and ours over them.
///
/// # Errors
/// Where the configuration sets what must not be changed.
pub fn producer_config(kafka: &Kafka, log: &Log) -> Result<ClientConfig, LogError> {
    let timeout = log.delivery_timeout.as_millis().to_string();
    let queue = (log.max_queue_bytes >> 10).max(1).to_string();
    let owned =
        [PRODUCER.as_slice(), &[("message.timeout.ms", &timeout), ("queue.buffering.max.kbytes", &queue)]];
    client_config(kafka, "kafka.producer", &kafka.producer, &owned.concat())
}

/// The settings of a consumer, put together in the same way.
///
/// # Errors
/// Where the configuration sets what must not be changed.
pub fn consumer_config(kafka: &Kafka) -> Result<ClientConfig, LogError> {
    let owned = [CONSUMER.as_slice(), &[("group.id", &kafka.group)]];
    client_config(kafka, "kafka.consumer", &kafka.consumer, &owned.concat())
}

fn client_config(
    kafka: &Kafka,
    section: &str,
    own: &Settings,
    owned: &[(&str, &str)],
) -> Result<ClientConfig, LogError> {
    let mut config = ClientConfig::new();
    // librdkafka's lines pass through the directives of observe.log like all others.
    config.set_log_level(RDKafkaLogLevel::Info).set("bootstrap.servers", &kafka.brokers);
    for (section, settings) in [("kafka.client", &kafka.client), (section, own)] {
        for (name, value) in settings.iter() {
            let alias = ALIASES.iter().find(|(alias, _)| alias == name);
            let known = alias.map_or(name.as_ref(), |(_, known)| *known);
            if let Some((_, fixed)) = owned.iter().find(|(owned, _)| *owned == known) {
                return Err(LogError::Refused(format!(
                    "{section}.{name} cannot be set: the pipeline needs {known}={fixed}"
                )));
            }
            config.set(known, value);
        }
    }
    for (name, value) in owned {
        config.set(*name, *value);
    }
    // Each setting is checked by itself, so that the error names it.
    config.create_native_config().map_err(|error| refused(section, &error))?;
    Ok(config)
}

/// Settings that librdkafka does not take. Its own text names the value, which may be a secret.
fn refused(section: &str, error: &KafkaError) -> LogError {
    LogError::Refused(match error {
        KafkaError::ClientConfig(_, _, name, _) if is_secret(name) => {
            format!("{section}.{name} has a value that librdkafka does not take")
        }
        error => format!("{section}: {error}"),
    })
}

/// A call to the broker that went wrong, which may work when tried again.
fn unavailable(error: impl std::fmt::Display) -> LogError {
    LogError::Unavailable(error.to_string())
}

/// The topic as the broker describes it, if it is there with as many partitions as the configuration says.
fn described<C: rdkafka::ClientContext>(
    client: &rdkafka::client::Client<C>,
    topic: &str,
    partitions: u32,
    timeout: Duration,
) -> Result<native::Description, LogError> {
    let found = match native::describe(client, topic, timeout) {
        Ok(found) => found,
        Err(RDKafkaErrorCode::UnknownTopicOrPartition) => {
            return Err(LogError::Refused(format!(
                "there is no topic {topic}; `pipeline schema apply` makes it"
            )));
        }
        Err(code) => return Err(unavailable(code)),
    };
    if found.partitions != partitions {
        return Err(LogError::Refused(format!(
            "topic {topic} has {} partitions and log.partitions says {partitions}: it cannot change under the data, \
             because an order id would move to another partition",
            found.partitions
        )));
    }
    Ok(found)
}

/// A line of librdkafka's own log, at the level of syslog that it has.
fn log_line(level: i32, facility: &str, text: &str) {
    match level {
        ..=3 => tracing::error!(target: "librdkafka", "{facility}: {text}"),
        4 => tracing::warn!(target: "librdkafka", "{facility}: {text}"),
        5 | 6 => tracing::info!(target: "librdkafka", "{facility}: {text}"),
        _ => tracing::debug!(target: "librdkafka", "{facility}: {text}"),
    }
}
