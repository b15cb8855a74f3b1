//! The metrics of the Kafka log: what librdkafka tells of each of its clients, and of the group.

use super::counters::{Label, SecondsGauge, add};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics by client, `producer` or `consumer`.
type ByClient<M> = Family<Label, M>;

/// The metrics of the Kafka log.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct KafkaMetrics {
    queue_messages: ByClient<Gauge>,
    queue_bytes: ByClient<Gauge>,
    brokers_up: ByClient<Gauge>,
    requests: ByClient<Gauge>,
    retries: ByClient<Gauge>,
    timeouts: ByClient<Gauge>,
    sent_bytes: ByClient<Gauge>,
    received_bytes: ByClient<Gauge>,
    round_trip_seconds: ByClient<SecondsGauge>,
    throttle_seconds: ByClient<SecondsGauge>,
    errors: ByClient<Counter>,
    pub rebalances: Counter,
    pub consumers_replaced: Counter,
    pub fetch_queue_messages: Family<Label, Gauge>,
    pub fetch_queue_bytes: Family<Label, Gauge>,
}

impl KafkaMetrics {
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            queue_messages: add(
                it,
                "log_client_queue_messages",
                "Messages without a report",
                Family::default(),
            ),
            queue_bytes: add(it, "log_client_queue_bytes", "Bytes of those messages", Family::default()),
            brokers_up: add(it, "log_client_brokers_up", "Brokers that are connected", Family::default()),
            requests: add(it, "log_client_requests", "Requests under way to brokers", Family::default()),
            retries: add(it, "log_client_retries", "Requests sent again since the start", Family::default()),
            timeouts: add(it, "log_client_timeouts", "Requests timed out since the start", Family::default()),
            sent_bytes: add(it, "log_client_sent_bytes", "Bytes sent since the start", Family::default()),
            received_bytes: add(
                it,
                "log_client_received_bytes",
                "Bytes received since the start",
                Family::default(),
            ),
            round_trip_seconds: add(
                it,
                "log_client_round_trip_seconds",
                "p99 of a request's round trip to the slowest broker, over the last statistics interval",
                Family::default(),
            ),
            throttle_seconds: add(
                it,
                "log_client_throttle_seconds",
                "p99 of the time for which a broker throttled this client",
                Family::default(),
            ),
            errors: add(it, "log_client_errors", "Errors that librdkafka reported", Family::default()),
            rebalances: add(it, "log_rebalances", "Changes of the assigned partitions", Counter::default()),
            consumers_replaced: add(
                it,
                "log_consumers_replaced",
                "Consumers that could not get back into the group and were made anew",
                Counter::default(),
            ),
            fetch_queue_messages: add(
                it,
                "log_fetch_queue_messages",
                "Messages fetched and not yet read, by partition",
                Family::default(),
            ),
            fetch_queue_bytes: add(it, "log_fetch_queue_bytes", "Bytes of those messages", Family::default()),
        }
    }
}

macro_rules! by_client {
    ($($name:ident: $kind:ty),* $(,)?) => {
        impl KafkaMetrics {
            $(
                #[doc = concat!("`log_client_", stringify!($name), "` of a client.")]
                pub fn $name(&self, client: &str) -> $kind {
                    self.$name.get_or_create(&Label("client", client.to_owned())).clone()
                }
            )*
        }
    };
}

by_client!(
    queue_messages: Gauge,
    queue_bytes: Gauge,
    brokers_up: Gauge,
    requests: Gauge,
    retries: Gauge,
    timeouts: Gauge,
    sent_bytes: Gauge,
    received_bytes: Gauge,
    round_trip_seconds: SecondsGauge,
    throttle_seconds: SecondsGauge,
    errors: Counter,
);
