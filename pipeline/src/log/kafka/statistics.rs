//! What librdkafka tells of itself: its statistics become gauges, its errors are counted, and both say whether the log
//! can be reached.

mod shape;

use super::native::Told;
use crate::observe::kafka::KafkaMetrics;
use crate::observe::manage::Observed;
use crate::observe::metrics::partition;
use rdkafka::error::RDKafkaErrorCode;
use shape::{Broker, Coordinator, Statistics};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Listens to one client.
pub(super) struct Listener {
    client: &'static str,
    observed: Observed,
    /// Why the brokers refuse the login, since they do.
    refused: Mutex<Option<String>>,
    /// It has failed for good: librdkafka takes and gives nothing more through it, however well its brokers are.
    failed: AtomicBool,
    /// Since when the group's coordinator has been out of reach, by all statistics since then.
    lost: Mutex<Option<Instant>>,
}

impl Listener {
    pub(super) fn new(client: &'static str, observed: &Observed) -> Self {
        let (refused, failed, lost) = Default::default();
        Self { client, observed: observed.clone(), refused, failed, lost }
    }

    fn metrics(&self) -> &KafkaMetrics {
        &self.observed.metrics.kafka
    }

    pub(super) fn rebalanced(&self) {
        self.metrics().rebalances.inc();
    }

    pub(super) fn replaced(&self) {
        self.metrics().consumers_replaced.inc();
    }

    /// For how long the group's coordinator has been out of reach although a broker answers the producer of this
    /// process; no time at all where none does, since then there is nothing to be found.
    pub(super) fn lost_coordinator(&self) -> Duration {
        if self.metrics().brokers_up("producer").get() == 0 {
            return Duration::ZERO;
        }
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// It looks for its coordinator by turns of asking and waiting, so the state's own age says too little.
    fn follow(&self, coordinator: Option<&Coordinator>) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        *lost = match coordinator.filter(|coordinator| coordinator.state != "up") {
            Some(away) => lost.or_else(|| Instant::now().checked_sub(Duration::from_millis(away.stateage))),
            None => None,
        };
    }

    pub(super) fn complain(&self, code: RDKafkaErrorCode, reason: &str) {
        self.metrics().errors(self.client).inc();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match code {
            // It goes on trying, and says soon after that all brokers are down, which is less of a reason.
            RDKafkaErrorCode::Authentication => *refused = Some(reason.to_owned()),
            RDKafkaErrorCode::Fatal => {
                self.failed.store(true, Ordering::Relaxed);
                let why = format!("it has failed for good and must be restarted: {reason}");
                self.observed.health.down(self.part(), why);
            }
            RDKafkaErrorCode::AllBrokersDown if !self.failed.load(Ordering::Relaxed) => {
                let why = refused.as_deref().unwrap_or("no broker can be reached");
                self.observed.health.down(self.part(), why);
            }
            _ => {}
        }
        tracing::warn!(client = self.client, ?code, reason, "Kafka");
    }

    /// The name of this client's part in the health report.
    fn part(&self) -> String {
        format!("kafka {}", self.client)
    }

    pub(super) fn read(&self, json: &[u8]) {
        let statistics: Statistics = match serde_json::from_slice(json) {
            Ok(statistics) => statistics,
            Err(error) => return tracing::error!(%error, "librdkafka's statistics cannot be read"),
        };
        self.follow(statistics.cgrp.as_ref());
        let metrics = self.metrics();
        let client = self.client;
        metrics.queue_messages(client).set(statistics.msg_cnt);
        metrics.queue_bytes(client).set(statistics.msg_size);
        // Brokers with a negative number are the configured addresses and the coordinator, which are among the others.
        let brokers = || statistics.brokers.values().filter(|broker| broker.nodeid >= 0);
        let sum = |of: fn(&Broker) -> i64| statistics.brokers.values().map(of).sum::<i64>();
        let most = |of: fn(&Broker) -> i64| brokers().map(of).max().unwrap_or_default();
        // A client with nothing to send keeps one connection only, which after a restart of the brokers is to a
        // configured address for minutes.
        let connected = |broker: &&Broker| broker.state == "UP";
        let any = statistics.brokers.values().any(|broker| connected(&broker));
        let up = brokers().filter(connected).count().max(usize::from(any));
        metrics.brokers_up(client).set(i64::try_from(up).unwrap_or(i64::MAX));
        metrics.requests(client).set(sum(|broker| broker.outbuf_cnt + broker.waitresp_cnt));
        metrics.retries(client).set(sum(|broker| broker.txretries));
        metrics.timeouts(client).set(sum(|broker| broker.req_timeouts));
        metrics.sent_bytes(client).set(sum(|broker| broker.txbytes));
        metrics.received_bytes(client).set(sum(|broker| broker.rxbytes));
        metrics.round_trip_seconds(client).set(most(|broker| broker.rtt.p99) as f64 / 1e6);
        metrics.throttle_seconds(client).set(most(|broker| broker.throttle.p99) as f64 / 1e3);
        if up > 0 && !self.failed.load(Ordering::Relaxed) {
            self.observed.health.up(self.part());
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        for one in partitions.filter(|one| one.partition >= 0 && one.desired) {
            let label = partition(one.partition.unsigned_abs());
            metrics.fetch_queue_messages.get_or_create(&label).set(one.fetchq_cnt);
            metrics.fetch_queue_bytes.get_or_create(&label).set(one.fetchq_size);
        }
    }
}

impl Told for Listener {
    fn statistics(&self, json: &[u8]) {
        self.read(json);
    }

    fn error(&self, code: RDKafkaErrorCode, reason: &str) {
        self.complain(code, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two brokers, one of them down, and the entry of a configured address, as librdkafka 2.12 writes them.
    const JSON: &str = r#"{"name":"rdkafka#producer-1","msg_cnt":7,"msg_size":2100,"brokers":{
        "127.0.0.1:1/bootstrap":{"nodeid":-1,"state":"UP","outbuf_cnt":0,"waitresp_cnt":0,"txretries":1,"txbytes":10,"rxbytes":20},
        "127.0.0.1:1/1":{"nodeid":1,"state":"UP","outbuf_cnt":2,"waitresp_cnt":3,"txretries":4,"req_timeouts":5,
            "txbytes":600,"rxbytes":70,"rtt":{"p99":1500},"throttle":{"p99":20}},
        "127.0.0.1:2/2":{"nodeid":2,"state":"DOWN","outbuf_cnt":1,"waitresp_cnt":0,"txretries":0,"req_timeouts":1,
            "txbytes":8,"rxbytes":9,"rtt":{"p99":900},"throttle":{"p99":0}}},
        "topics":{"orders":{"partitions":{
            "0":{"partition":0,"desired":true,"fetchq_cnt":11,"fetchq_size":3300},
            "1":{"partition":1,"desired":false,"fetchq_cnt":5,"fetchq_size":5},
            "-1":{"partition":-1,"desired":true,"fetchq_cnt":9,"fetchq_size":9}}}}}"#;

    #[test]
    fn each_gauge_has_the_value_that_the_statistics_say() {
        let observed = Observed::default();
        observed.health.down("kafka producer", "no broker can be reached");
        Listener::new("producer", &observed).read(JSON.as_bytes());
        let text = observed.metrics.encode();
        for line in [
            "tillflow_log_client_queue_messages{client=\"producer\"} 7",
            "tillflow_log_client_queue_bytes{client=\"producer\"} 2100",
            "tillflow_log_client_brokers_up{client=\"producer\"} 1",
            "tillflow_log_client_requests{client=\"producer\"} 6",
            "tillflow_log_client_retries{client=\"producer\"} 5",
            "tillflow_log_client_timeouts{client=\"producer\"} 6",
            "tillflow_log_client_sent_bytes{client=\"producer\"} 618",
            "tillflow_log_client_received_bytes{client=\"producer\"} 99",
            "tillflow_log_client_round_trip_seconds{client=\"producer\"} 0.0015",
            "tillflow_log_client_throttle_seconds{client=\"producer\"} 0.02",
            "tillflow_log_fetch_queue_messages{partition=\"0\"} 11",
            "tillflow_log_fetch_queue_bytes{partition=\"0\"} 3300",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
        assert!(!text.contains("tillflow_log_fetch_queue_messages{partition=\"1\"}"), "{text}");
        assert!(observed.health.complaints().is_empty(), "a broker is up");
    }

    #[test]
    fn a_client_that_is_connected_to_a_configured_address_alone_is_connected() {
        let observed = Observed::default();
        let listener = Listener::new("producer", &observed);
        listener.complain(RDKafkaErrorCode::AllBrokersDown, "0/2 brokers are down");
        listener
            .read(JSON.replacen(r#""nodeid":1,"state":"UP""#, r#""nodeid":1,"state":"INIT""#, 1).as_bytes());
        assert_eq!(observed.metrics.kafka.brokers_up("producer").get(), 1);
        assert!(observed.health.complaints().is_empty());
        listener.read(JSON.replace("UP", "DOWN").as_bytes());
        assert_eq!(observed.metrics.kafka.brokers_up("producer").get(), 0);
    }

    #[test]
    fn a_coordinator_is_lost_only_while_a_broker_answers() {
        let observed = Observed::default();
        let (consumer, producer) =
            (Listener::new("consumer", &observed), Listener::new("producer", &observed));
        let group = |state: &str| {
            format!(
                r#"{{"msg_cnt":0,"msg_size":0,"cgrp":{{"state":"{state}","stateage":41000,"join_state":"init"}}}}"#
            )
        };
        consumer.read(group("query-coord").as_bytes());
        assert_eq!(consumer.lost_coordinator(), Duration::ZERO, "no broker answers anybody");
        producer.read(JSON.as_bytes());
        consumer.read(group("wait-coord").as_bytes());
        assert!(consumer.lost_coordinator() >= Duration::from_secs(41));
        consumer.read(group("up").as_bytes());
        assert_eq!(consumer.lost_coordinator(), Duration::ZERO);
    }

    #[test]
    fn errors_are_counted_and_no_broker_at_all_is_not_ready() {
        let observed = Observed::default();
        let listener = Listener::new("consumer", &observed);
        listener.complain(RDKafkaErrorCode::BrokerTransportFailure, "one is away");
        assert!(observed.health.complaints().is_empty());
        listener.complain(RDKafkaErrorCode::AllBrokersDown, "all are");
        assert_eq!(observed.health.complaints(), ["kafka consumer: no broker can be reached"]);
        assert!(
            observed.metrics.encode().contains("tillflow_log_client_errors_total{client=\"consumer\"} 2")
        );
        listener.complain(RDKafkaErrorCode::Authentication, "wrong password");
        listener.complain(RDKafkaErrorCode::AllBrokersDown, "all are");
        assert_eq!(observed.health.complaints(), ["kafka consumer: wrong password"]);
    }

    #[test]
    fn a_client_that_has_failed_for_good_is_not_ready_however_well_its_brokers_are() {
        let observed = Observed::default();
        let listener = Listener::new("producer", &observed);
        listener.complain(RDKafkaErrorCode::Fatal, "out of order");
        listener.complain(RDKafkaErrorCode::AllBrokersDown, "all are");
        listener.read(JSON.as_bytes());
        let expected = "kafka producer: it has failed for good and must be restarted: out of order";
        assert_eq!(observed.health.complaints(), [expected]);
    }
}
