//! Writing to a broker that is slow, down, gone, or refuses.

use super::{Cluster, records};
use crate::support::{block_on, eventually};
use pipeline::config::{Config, Layers};
use pipeline::log::kafka;
use pipeline::log::{DeadLetter, Deliveries, Delivery, Publish};
use pipeline::observe::manage::Observed;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use std::time::Duration;

#[test]
fn a_slow_broker_keeps_requests_waiting_and_loses_none() {
    let cluster = Cluster::start(&[]);
    cluster.mock.broker_round_trip_time(1, Duration::from_millis(700)).unwrap();
    block_on(async {
        let log = cluster.log();
        let waiting: Vec<_> =
            (0..20).map(|n| log.publish(records((0..50).map(|m| format!("slow-{n}-{m}"))))).collect();
        assert!(log.waiting_bytes() > 0);
        for completion in waiting {
            assert_eq!(completion.wait().await, Deliveries::All(Delivery::Durable));
        }
        assert_eq!(log.waiting_bytes(), 0);
    });
}

#[test]
fn orders_fail_while_the_broker_is_down_and_are_taken_when_it_is_back() {
    let cluster = Cluster::start(&[("log.delivery_timeout", "1s")]);
    block_on(async {
        let log = cluster.log();
        let before = log.publish(records(["before".into()])).wait().await;
        assert_eq!(before, Deliveries::All(Delivery::Durable));
        cluster.mock.broker_down(1).unwrap();
        let down = log.publish(records((0..3).map(|n| format!("down-{n}")))).wait().await;
        // Never sent, so certainly not in the log: the client may send it again.
        let late = "the log did not take it within log.delivery_timeout";
        assert_eq!(down, Deliveries::All(Delivery::Failed(late)));
        cluster.mock.broker_up(1).unwrap();
        let mut back = Deliveries::All(Delivery::Failed(""));
        for n in 0..20 {
            back = log.publish(records([format!("back-{n}")])).wait().await;
            if back == Deliveries::All(Delivery::Durable) {
                break;
            }
        }
        assert_eq!(back, Deliveries::All(Delivery::Durable));
    });
}

#[test]
fn a_broker_that_takes_records_and_does_not_answer_leaves_them_unknown() {
    let cluster = Cluster::start(&[("log.delivery_timeout", "1s")]);
    block_on(async {
        let log = cluster.log();
        assert_eq!(log.publish(records(["before".into()])).wait().await, Deliveries::All(Delivery::Durable));
        cluster.mock.broker_round_trip_time(1, Duration::from_secs(5)).unwrap();
        let found = log.publish(records(["sent".into()])).wait().await;
        assert!(matches!(found, Deliveries::All(Delivery::Unknown(_))), "{found:?}");
    });
}

#[test]
fn a_full_queue_takes_no_more_and_says_so_at_once() {
    let cluster = Cluster::start(&[
        ("log.max_queue_bytes", "64KiB"),
        ("receive.max_body_bytes", "64KiB"),
        ("log.delivery_timeout", "1s"),
    ]);
    cluster.mock.broker_down(1).unwrap();
    block_on(async {
        let log = cluster.log();
        let first = log.publish(records([format!("a{}", "x".repeat(40_000))]));
        let second = log.publish(records([format!("b{}", "x".repeat(40_000))])).wait().await;
        assert_eq!(second, Deliveries::All(Delivery::Failed("the log's queue is full")));
        assert!(matches!(first.wait().await, Deliveries::All(Delivery::Failed(_))));
        assert_eq!(log.waiting_bytes(), 0);
    });
}

#[test]
fn what_is_under_way_at_a_stop_gets_an_answer() {
    let cluster = Cluster::start(&[]);
    cluster.mock.broker_down(1).unwrap();
    let kafka::Started { log, poller } = cluster.publisher();
    let waiting: Vec<_> =
        (0..50).map(|n| log.publish(records((0..10).map(|m| format!("stop-{n}-{m}"))))).collect();
    drop(log);
    poller.join().unwrap();
    for completion in waiting {
        let found = block_on(completion.wait());
        assert_eq!(found, Deliveries::All(Delivery::Failed("the log was stopped")));
    }
}

#[test]
fn a_record_that_the_broker_refuses_fails_alone() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        let names = ["small".to_owned(), "x".repeat(1_200_000), "smaller".to_owned()];
        let found = cluster.log().publish(records(names)).wait().await;
        let refused = Delivery::Failed("the log takes no record of this size");
        assert_eq!(found, Deliveries::Each(vec![Delivery::Durable, refused, Delivery::Durable]));
    });
}

#[test]
fn dead_letters_carry_their_place_and_their_reason() {
    let cluster = Cluster::start(&[]);
    let letter = DeadLetter {
        topic_id: "t".to_owned(),
        partition: 4,
        offset: 77,
        key: Some("k".into()),
        value: "{".into(),
        received_at: 12,
        reason: "not_json",
        detail: "it ends too soon".into(),
    };
    block_on(async {
        let sent = cluster.log().publish_dead(vec![letter]).wait().await;
        assert_eq!(sent, Deliveries::All(Delivery::Durable));
    });
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", cluster.mock.bootstrap_servers())
        .set("group.id", "look")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["orders.dead"]).unwrap();
    eventually("the dead letter is read", || {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { return false };
        let headers = message.headers().unwrap();
        let found: Vec<_> = headers
            .iter()
            .map(|header| (header.key.to_owned(), String::from_utf8(header.value.unwrap().to_vec()).unwrap()))
            .collect();
        let wanted = [
            ("topic", "orders"),
            ("topic_id", "t"),
            ("partition", "4"),
            ("offset", "77"),
            ("received_at", "12"),
            ("reason", "not_json"),
            ("detail", "it ends too soon"),
        ];
        assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!((message.key(), message.payload()), (Some(b"k".as_slice()), Some(b"{".as_slice())));
        true
    });
}

#[test]
fn the_longest_record_that_the_log_takes_becomes_a_dead_letter() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        // A foreign producer's: its batch is as long as deploy/schema/kafka/topics.toml allows.
        let value = vec![b'x'; 1_048_588 - 70].into();
        let letter = DeadLetter {
            topic_id: "t".into(),
            partition: 4,
            offset: 77,
            received_at: 12,
            key: Some("k".repeat(64).into()),
            value,
            reason: "too_large",
            detail: "an order is at most 65536 bytes long".into(),
        };
        let taken = cluster.log().publish_dead(vec![letter]).wait().await;
        assert_eq!(taken, Deliveries::All(Delivery::Durable));
    });
}

#[test]
fn settings_that_the_promises_rest_on_cannot_be_changed() {
    for (key, value) in [
        ("kafka.producer.acks", "1"),
        ("kafka.producer.request.required.acks", "1"),
        ("kafka.client.delivery.timeout.ms", "1000"),
        ("kafka.producer.message.max.bytes", "1000"),
        ("kafka.client.enable.idempotence", "false"),
        ("kafka.producer.no.such.thing", "1"),
    ] {
        let flags = [(key.to_owned(), value.to_owned())];
        let config = Config::read(&Layers::load(None, None, [], &flags).unwrap()).unwrap();
        let refused = kafka::start(&config.kafka, &config.log, &Observed::default()).unwrap_err().to_string();
        let name = key.splitn(3, '.').nth(2).unwrap();
        assert!(refused.contains("kafka.") && refused.contains(name), "{refused}");
    }
}
