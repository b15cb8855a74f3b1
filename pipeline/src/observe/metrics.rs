//! Every metric of the pipeline, by the stage that counts it. No other file names a metric, but for those of the log's
//! clients (`kafka.rs`), of the servers that are stored in (`stores.rs`), of the windows of order ids (`window.rs`), of what
//! is added to orders (`enrich.rs`), of who gets in (`access.rs`), and of the process itself (`process.rs`). What a ledger
//! found is not among them, since no process that serves `/metrics` draws one up: see `books.rs`.
//!
//! Names are `<stage>_<noun>_<unit>`, with `_total` where they only grow; the text of each is its documentation.

pub use super::copied::Copied;

use super::access::AccessMetrics;
use super::counters::{Counters, Label, SecondsGauge, add, latency};
use super::enrich::EnrichMetrics;
use super::kafka::KafkaMetrics;
use super::process::ProcessMetrics;
use super::stores::StoreMetrics;
use super::window::WindowMetrics;
use crate::order::Reason;
use crate::outcomes::Outcome;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Mutex;

/// The statuses that ingest answers with, for the label of `receive_requests_total`. Requests that hyper refuses by
/// itself (a head that is too long or no HTTP: 431, 400) count as connection errors.
pub const STATUSES: [u16; 15] = [200, 201, 202, 207, 400, 401, 404, 405, 408, 413, 415, 422, 429, 503, 504];

/// All metrics. Cheap to update from any thread.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Counters<{ STATUSES.len() }>,
    pub receive_request_seconds: Histogram,
    pub receive_connections: Gauge,
    pub receive_connections_refused: Counter,
    pub receive_connection_errors: Counter,
    pub receive_in_flight_bytes: Gauge,
    pub receive_in_flight_requests: Gauge,
    pub access: AccessMetrics,
    copied: Counters<4>,
    orders: Counters<4>,
    rejections: Counters<{ Reason::ALL.len() }>,
    refusals: Family<Label, Counter>,
    pub publish_seconds: Histogram,
    pub log_queue_bytes: Gauge,
    pub kafka: KafkaMetrics,
    pub consume_records: Counter,
    pub consume_lag_records: Family<Label, Gauge>,
    pub consume_newest_received_at_seconds: Family<Label, SecondsGauge>,
    pub consume_partitions: Gauge,
    pub consume_stopped: Family<Label, Gauge>,
    dead: Counters<{ Reason::ALL.len() }>,
    pub parse_duplicates: Counter,
    pub parse_conflicts: Counter,
    pub window: WindowMetrics,
    pub enrich: EnrichMetrics,
    pub roll_up_rows: Counter,
    pub store_blocks: Counter,
    pub store_orders: Counter,
    pub store_retries: Counter,
    pub store_block_seconds: Histogram,
    pub store_newest_created_at_seconds: SecondsGauge,
    pub store_newest_received_at_seconds: SecondsGauge,
    pub stores: StoreMetrics,
    pub process: ProcessMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tillflow");
        let it = &mut registry;
        let status_names = STATUSES.map(|status| status.to_string());
        let statuses = std::array::from_fn(|at| status_names.get(at).map_or("", String::as_str));
        let reasons = Reason::ALL.map(Reason::tag);
        let metrics = Self {
            requests: Counters::register(
                it,
                "receive_requests",
                "Requests answered, by status",
                "status",
                statuses,
            ),
            receive_request_seconds: add(
                it,
                "receive_request_seconds",
                "From a request's head to its answer",
                latency(),
            ),
            receive_connections: add(it, "receive_connections", "Connections open now", Gauge::default()),
            receive_connections_refused: add(
                it,
                "receive_connections_refused",
                "Connections over the limit",
                Counter::default(),
            ),
            receive_connection_errors: add(
                it,
                "receive_connection_errors",
                "Connections that ended in an error",
                Counter::default(),
            ),
            receive_in_flight_bytes: add(
                it,
                "receive_in_flight_bytes",
                "Bytes taken in and not yet answered",
                Gauge::default(),
            ),
            receive_in_flight_requests: add(
                it,
                "receive_in_flight_requests",
                "Requests taken in and not yet answered",
                Gauge::default(),
            ),
            refusals: add(it, "receive_refusals", "Requests refused whole, by reason", Family::default()),
            access: AccessMetrics::register(it),
            copied: Counters::register(
                it,
                "receive_copied_bytes",
                "Bytes copied before the log got them, by cause",
                "cause",
                Copied::TAGS,
            ),
            orders: Counters::register(
                it,
                "receive_orders",
                "Orders answered, by outcome",
                "outcome",
                Outcome::ALL.map(Outcome::tag),
            ),
            rejections: Counters::register(
                it,
                "validate_rejections",
                "Orders refused at ingest, by reason",
                "reason",
                reasons,
            ),
            publish_seconds: add(
                it,
                "publish_seconds",
                "From handing records to the log to its answer",
                latency(),
            ),
            kafka: KafkaMetrics::register(it),
            log_queue_bytes: add(it, "log_queue_bytes", "Bytes that wait for the log", Gauge::default()),
            consume_records: add(it, "consume_records", "Records read from the log", Counter::default()),
            consume_lag_records: add(
                it,
                "consume_lag_records",
                "Records in the log that are not stored, by partition",
                Family::default(),
            ),
            consume_newest_received_at_seconds: add(
                it,
                "consume_newest_received_at_seconds",
                "Unix time of the newest received_at stored, by partition",
                Family::default(),
            ),
            consume_partitions: add(
                it,
                "consume_partitions",
                "Partitions that this processor reads",
                Gauge::default(),
            ),
            consume_stopped: add(
                it,
                "consume_stopped_partitions",
                "1 for a partition that stopped and needs an operator",
                Family::default(),
            ),
            dead: Counters::register(
                it,
                "parse_dead",
                "Records sent to the dead letters, by reason",
                "reason",
                reasons,
            ),
            parse_duplicates: add(
                it,
                "parse_duplicates",
                "Records whose order id was in the window",
                Counter::default(),
            ),
            parse_conflicts: add(
                it,
                "parse_conflicts",
                "Duplicates with another body than the first",
                Counter::default(),
            ),
            window: WindowMetrics::register(it),
            enrich: EnrichMetrics::register(it),
            roll_up_rows: add(it, "roll_up_rows", "Rows of sums stored", Counter::default()),
            store_blocks: add(it, "store_blocks", "Blocks stored", Counter::default()),
            store_orders: add(it, "store_orders", "Orders stored", Counter::default()),
            store_retries: add(it, "store_retries", "Blocks sent again after an error", Counter::default()),
            store_block_seconds: add(
                it,
                "store_block_seconds",
                "From sending a block to its acknowledgement",
                latency(),
            ),
            store_newest_created_at_seconds: add(
                it,
                "store_newest_created_at_seconds",
                "Unix time of the newest created_at stored",
                SecondsGauge::default(),
            ),
            store_newest_received_at_seconds: add(
                it,
                "store_newest_received_at_seconds",
                "Unix time of the newest received_at stored",
                SecondsGauge::default(),
            ),
            stores: StoreMetrics::register(it),
            process: ProcessMetrics::register(it),
            registry: Mutex::default(),
        };
        *metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// The counter of answers with a status.
    pub fn requests(&self, status: u16) -> &Counter {
        self.requests.at(STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len()))
    }

    /// The counter of orders with an outcome.
    pub fn orders(&self, outcome: Outcome) -> &Counter {
        self.orders.at(outcome as usize)
    }

    /// The counter of orders that ingest refused for a reason.
    pub fn rejections(&self, reason: Reason) -> &Counter {
        self.rejections.at(reason as usize)
    }

    /// The counter of requests that ingest refused whole for a reason.
    pub fn refusals(&self, reason: &str) -> Counter {
        self.refusals.get_or_create(&Label("reason", reason.to_owned())).clone()
    }

    /// The counter of records that the processor refused for a reason.
    pub fn dead(&self, reason: Reason) -> &Counter {
        self.dead.at(reason as usize)
    }

    /// The counter of bytes copied for a cause.
    pub fn copied(&self, cause: Copied) -> &Counter {
        self.copied.at(cause as usize)
    }

    /// All metrics in Prometheus's text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// The label of a partition.
pub fn partition(partition: u32) -> Label {
    Label("partition", partition.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_in_the_text_under_its_name_and_label() {
        let metrics = Metrics::default();
        metrics.requests(202).inc();
        metrics.orders(Outcome::Accepted).inc_by(3);
        metrics.rejections(Reason::BadMoney).inc();
        metrics.consume_lag_records.get_or_create(&partition(4)).set(7);
        metrics.receive_request_seconds.observe(0.01);
        let text = metrics.encode();
        for line in [
            "tillflow_receive_requests_total{status=\"202\"} 1",
            "tillflow_receive_orders_total{outcome=\"accepted\"} 3",
            "tillflow_validate_rejections_total{reason=\"bad_money\"} 1",
            "tillflow_validate_rejections_total{reason=\"not_json\"} 0",
            "tillflow_consume_lag_records{partition=\"4\"} 7",
            "tillflow_receive_request_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
