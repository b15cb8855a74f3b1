//! `[kafka]`, with all of librdkafka's own settings.

use super::Settings;
use super::reader::Reader;
use std::time::Duration;

/// `[kafka]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Kafka {
    pub brokers: String,
    pub topic: String,
    pub dead_topic: String,
    pub group: String,
    pub replication_factor: i32,
    pub min_insync_replicas: i32,
    pub retention: Duration,
    pub dead_retention: Duration,
    pub timeout: Duration,
    pub coordinator_timeout: Duration,
    pub client: Settings,
    pub producer: Settings,
    pub consumer: Settings,
}

impl Kafka {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            brokers: read.text("kafka.brokers"),
            topic: read.text("kafka.topic"),
            dead_topic: read.text("kafka.dead_topic"),
            group: read.text("kafka.group"),
            replication_factor: number(read.count("kafka.replication_factor")),
            min_insync_replicas: number(read.count("kafka.min_insync_replicas")),
            retention: read.duration("kafka.retention"),
            dead_retention: read.duration("kafka.dead_retention"),
            timeout: read.duration("kafka.timeout"),
            coordinator_timeout: read.duration("kafka.coordinator_timeout"),
            client: read.settings("kafka.client."),
            producer: read.settings("kafka.producer."),
            consumer: read.settings("kafka.consumer."),
        }
    }

    pub(super) fn check(&self, read: &mut Reader<'_>) {
        for (key, text) in [
            ("kafka.brokers", &self.brokers),
            ("kafka.topic", &self.topic),
            ("kafka.dead_topic", &self.dead_topic),
            ("kafka.group", &self.group),
        ] {
            read.require(key, !text.trim().is_empty(), "a text that is not empty");
        }
        read.require("kafka.dead_topic", self.dead_topic != self.topic, "another topic than kafka.topic");
        let replicas = (1..=self.replication_factor).contains(&self.min_insync_replicas);
        read.require("kafka.min_insync_replicas", replicas, "1 to kafka.replication_factor");
        read.require("kafka.timeout", !self.timeout.is_zero(), "more than 0");
        read.require("kafka.coordinator_timeout", !self.coordinator_timeout.is_zero(), "more than 0");
    }
}
