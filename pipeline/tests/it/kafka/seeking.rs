//! A reader goes to where it is told, also right after its partition was assigned: nothing that librdkafka still has
//! under way then may take it to another place.

use super::{Cluster, assigned, records};
use crate::support::{block_on, id_of};
use pipeline::log::kafka::{KafkaConsumer, KafkaReader};
use pipeline::log::{Deliveries, Delivery, Publish, ReadLimit, ReadPartition};
use std::time::{Duration, Instant};

const RECORDS: i64 = 40;
const LIMIT: ReadLimit = ReadLimit { records: 7, bytes: 1 << 20 };
/// How long a seek of librdkafka's own may come after the reader's.
const LATER: Duration = Duration::from_millis(1_500);

/// Reads a partition from its beginning while more and more is written to it, and fails where an offset is missing.
async fn read_on(reader: &mut KafkaReader, log: &impl Publish) {
    let (mut next, started) = (0, Instant::now());
    let mut end = RECORDS;
    while started.elapsed() < LATER || next < end {
        assert!(started.elapsed() < Duration::from_secs(20), "nothing comes behind offset {next} of {end}");
        for record in reader.read(next, LIMIT, Duration::from_millis(100)).await.unwrap() {
            assert_eq!(record.offset, next, "the reader was taken to another place");
            next += 1;
        }
        if next == end && started.elapsed() < LATER {
            let more = records([id_of(1, &format!("more-{end}"))]);
            assert_eq!(log.publish(more).wait().await, Deliveries::All(Delivery::Durable));
            end += 1;
        }
    }
}

/// A log with records in partition 1, whose broker answers slowly.
async fn slow_log(round_trip: Duration) -> (Cluster, pipeline::log::kafka::KafkaLog) {
    let cluster = Cluster::start(&[]);
    let log = cluster.log();
    let sent = records((0..RECORDS).map(|n| id_of(1, &format!("n{n}"))));
    assert_eq!(log.publish(sent).wait().await, Deliveries::All(Delivery::Durable));
    cluster.mock.broker_round_trip_time(1, round_trip).unwrap();
    (cluster, log)
}

#[test]
fn a_reader_that_was_just_assigned_stays_where_it_is_told() {
    for milliseconds in [0, 5, 50] {
        block_on(async {
            let (cluster, log) = slow_log(Duration::from_millis(milliseconds)).await;
            let mut consumer = cluster.join();
            let mut readers = assigned(&mut consumer).await;
            read_on(readers.iter_mut().find(|reader| reader.partition() == 1).unwrap(), &log).await;
        });
    }
}

#[test]
fn a_reader_that_is_in_no_group_stays_where_it_is_told() {
    for milliseconds in [0, 5, 50] {
        block_on(async {
            let (cluster, log) = slow_log(Duration::from_millis(milliseconds)).await;
            let (kafka, places) = (cluster.config.kafka.clone(), cluster.config.log.clone());
            let open = move || KafkaConsumer::detached(&kafka, &places, "topic".into()).unwrap();
            let (mut readers, _polled) = tokio::task::spawn_blocking(open).await.unwrap();
            read_on(&mut readers[1], &log).await;
        });
    }
}
