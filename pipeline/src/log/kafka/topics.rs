//! The topics: made when they are missing, and compared with what they should be.

use super::said::explain;
use super::{described, refused, unavailable};
use crate::config::{Kafka, Log};
use crate::log::LogError;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;

/// Settings of each topic that are the same everywhere, by the topic's part: `orders` and `dead`.
const SETTINGS: &str = include_str!("../../../../deploy/schema/kafka/topics.toml");

struct Wanted<'k> {
    name: &'k str,
    partitions: u32,
    settings: BTreeMap<String, String>,
}

/// Makes the topics that are missing and sets what differs; says what was done, a line each.
///
/// # Errors
/// Where no broker answers, or a topic is there with another number of partitions.
pub async fn apply(kafka: &Kafka, log: &Log) -> Result<Vec<String>, LogError> {
    let (admin, options) = admin(kafka)?;
    let done = make(&admin, &options, kafka, log).await;
    done.map_err(|error| explain(admin.inner(), error))
}

async fn make(
    admin: &AdminClient<DefaultClientContext>,
    options: &AdminOptions,
    kafka: &Kafka,
    log: &Log,
) -> Result<Vec<String>, LogError> {
    let mut done = Vec::new();
    for topic in wanted(kafka, log)? {
        let mut new = NewTopic::new(
            topic.name,
            i32::try_from(topic.partitions).unwrap_or(i32::MAX),
            TopicReplication::Fixed(kafka.replication_factor),
        );
        for (name, value) in &topic.settings {
            new = new.set(name, value);
        }
        let made = admin.create_topics([&new], options).await.map_err(unavailable)?;
        match made.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
            Some(Err((_, code))) => {
                return Err(LogError::Refused(format!("topic {} could not be made: {code}", topic.name)));
            }
            _ => done.push(format!("kafka: made topic {} of {} partitions", topic.name, topic.partitions)),
        }
        settle(admin, &topic, kafka).await?;
        let differing = differing(admin, options, &topic).await?;
        if !differing.is_empty() {
            let mut alter = AlterConfig::new(ResourceSpecifier::Topic(topic.name));
            for (name, value) in &topic.settings {
                alter = alter.set(name, value);
            }
            let altered = admin.alter_configs([&alter], options).await.map_err(unavailable)?;
            if let Some(Err((_, code))) = altered.into_iter().next() {
                return Err(LogError::Refused(format!("topic {} could not be altered: {code}", topic.name)));
            }
            done.extend(differing.iter().map(|line| format!("kafka: changed {line}")));
        }
    }
    Ok(done)
}

/// Says how the topics differ from what they should be, a line each; none if they do not.
///
/// # Errors
/// Where no broker answers.
pub async fn check(kafka: &Kafka, log: &Log) -> Result<Vec<String>, LogError> {
    let (admin, options) = admin(kafka)?;
    let mut found = Vec::new();
    for topic in wanted(kafka, log)? {
        match described(admin.inner(), topic.name, topic.partitions, kafka.timeout) {
            Ok(_) => {
                let differing = differing(&admin, &options, &topic).await?;
                found.extend(differing.iter().map(|line| format!("kafka: {line}")));
            }
            Err(LogError::Refused(why)) => found.push(format!("kafka: {why}")),
            Err(error) => return Err(explain(admin.inner(), error)),
        }
    }
    Ok(found)
}

/// The id of the topic, which has as many partitions as the configuration says. Waits for the broker.
///
/// # Errors
/// Where the topic is not there or not as it should be, or no broker answers in time.
pub fn topic_id(kafka: &Kafka, log: &Log) -> Result<String, LogError> {
    let (admin, _) = admin(kafka)?;
    let found = described(admin.inner(), &kafka.topic, log.partitions, kafka.timeout);
    Ok(found.map_err(|error| explain(admin.inner(), error))?.id)
}

fn admin(kafka: &Kafka) -> Result<(AdminClient<DefaultClientContext>, AdminOptions), LogError> {
    let mut config = ClientConfig::new();
    // Errors are what is looked for in its log; without a level it writes none.
    config.set_log_level(RDKafkaLogLevel::Error).set("bootstrap.servers", &kafka.brokers);
    for (name, value) in kafka.client.iter() {
        config.set(name, value);
    }
    let admin = config.create().map_err(|error| refused("kafka.client", &error))?;
    let options =
        AdminOptions::new().request_timeout(Some(kafka.timeout)).operation_timeout(Some(kafka.timeout));
    Ok((admin, options))
}

fn wanted<'k>(kafka: &'k Kafka, log: &Log) -> Result<[Wanted<'k>; 2], LogError> {
    let settings: BTreeMap<String, BTreeMap<String, String>> =
        toml::from_str(SETTINGS).map_err(|error| LogError::Refused(format!("topics.toml: {error}")))?;
    let wanted = |part: &str, name, partitions, retention: std::time::Duration| {
        let mut settings = settings.get(part).cloned().unwrap_or_default();
        settings.insert("retention.ms".into(), retention.as_millis().to_string());
        settings.insert("min.insync.replicas".into(), kafka.min_insync_replicas.to_string());
        Wanted { name, partitions, settings }
    };
    Ok([
        wanted("orders", &kafka.topic, log.partitions, kafka.retention),
        wanted("dead", &kafka.dead_topic, 1, kafka.dead_retention),
    ])
}

/// Waits until every broker that is asked knows a topic that was just made.
async fn settle(
    admin: &AdminClient<DefaultClientContext>,
    topic: &Wanted<'_>,
    kafka: &Kafka,
) -> Result<(), LogError> {
    let until = tokio::time::Instant::now() + kafka.timeout;
    loop {
        match described(admin.inner(), topic.name, topic.partitions, kafka.timeout) {
            Ok(_) => return Ok(()),
            Err(error) if tokio::time::Instant::now() >= until => return Err(error),
            // A topic of another size is not going to change; one that is not known yet is.
            Err(error @ LogError::Refused(_)) if !error.to_string().contains("there is no topic") => {
                return Err(error);
            }
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn differing(
    admin: &AdminClient<DefaultClientContext>,
    options: &AdminOptions,
    topic: &Wanted<'_>,
) -> Result<Vec<String>, LogError> {
    let asked = [ResourceSpecifier::Topic(topic.name)];
    let answers = admin.describe_configs(&asked, options).await.map_err(unavailable)?;
    let Some(Ok(found)) = answers.into_iter().next() else {
        return Err(LogError::Unavailable(format!(
            "the broker does not tell topic {}'s settings",
            topic.name
        )));
    };
    let is = |name: &str| found.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
    Ok(topic
        .settings
        .iter()
        .filter(|(name, value)| is(name) != **value)
        .map(|(name, value)| format!("topic {}: {name} is {} and should be {value}", topic.name, is(name)))
        .collect())
}
