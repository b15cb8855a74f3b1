//! The Kafka log on librdkafka's own mock cluster, which speaks Kafka's protocol over loopback: up, slow, down and gone.
//! What only a real broker shows is tested in the stack's own tests.

mod seeking;
mod writing;

use crate::support::{block_on, id_of};
use bytes::Bytes;
use pipeline::config::{Config, Layers};
use pipeline::log::kafka::{self, KafkaConsumer, KafkaLog, KafkaReader};
use pipeline::log::{
    Assignment, Consume, Deliveries, Delivery, LogRecord, Publish, ReadLimit, ReadPartition, Record,
};
use pipeline::observe::manage::Observed;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: ReadLimit = ReadLimit { records: 1_000, bytes: 1 << 20 };
const WAIT: Duration = Duration::from_millis(200);

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    config: Config,
}

impl Cluster {
    /// A cluster of one broker with the topic and six partitions.
    fn start(settings: &[(&str, &str)]) -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("orders", 6, 1).unwrap();
        mock.create_topic("orders.dead", 1, 1).unwrap();
        let mut flags = vec![("kafka.brokers".to_owned(), mock.bootstrap_servers())];
        flags.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let layers = Layers::load(None, None, [], &flags).unwrap();
        Self { mock, config: Config::read(&layers).unwrap() }
    }

    fn publisher(&self) -> kafka::Started {
        kafka::start(&self.config.kafka, &self.config.log, &Observed::default()).unwrap()
    }

    fn log(&self) -> KafkaLog {
        self.publisher().log
    }

    fn join(&self) -> KafkaConsumer {
        KafkaConsumer::join(&self.config.kafka, "topic".into(), &Observed::default()).unwrap()
    }
}

/// Records that are slices of one buffer, as those of a request are.
fn records(names: impl IntoIterator<Item = String>) -> Vec<Record> {
    let names: Vec<String> = names.into_iter().collect();
    let body = Bytes::from(names.concat());
    let mut at = 0;
    let record = |(name, n): (&String, i64)| {
        at += name.len();
        Record {
            key: Bytes::copy_from_slice(name.as_bytes()),
            value: body.slice(at - name.len()..at),
            received_at: 1_700_000_000_000_000_000 + n,
            due_at: (n % 2 == 0).then_some(n),
        }
    };
    names.iter().zip(0..).map(record).collect()
}

async fn assigned(consumer: &mut KafkaConsumer) -> Vec<KafkaReader> {
    match tokio::time::timeout(Duration::from_secs(20), consumer.next()).await.unwrap().unwrap() {
        Assignment::Assigned(readers) => readers,
        Assignment::Revoked(numbers) => panic!("revoked {numbers:?}"),
    }
}

async fn read_all(reader: &mut KafkaReader, mut from: i64) -> Vec<LogRecord> {
    let end = reader.bounds().await.unwrap().end;
    let mut all = Vec::new();
    while from < end {
        let some = reader.read(from, LIMIT, WAIT).await.unwrap();
        from = some.last().map_or(from, |record| record.offset + 1);
        all.extend(some);
    }
    all
}

#[test]
fn what_is_published_is_read_back_from_the_partition_of_its_key() {
    let cluster = Cluster::start(&[]);
    let sent = records((0..500).map(|n| format!("order-{n}")));
    block_on(async {
        let log = cluster.log();
        assert_eq!(log.publish(sent.clone()).wait().await, Deliveries::All(Delivery::Durable));
        assert_eq!(log.waiting_bytes(), 0);
        let mut consumer = cluster.join();
        let mut found = BTreeMap::new();
        for mut reader in assigned(&mut consumer).await {
            assert_eq!(reader.committed().await.unwrap(), None);
            let read = read_all(&mut reader, 0).await;
            let offsets: Vec<i64> = read.iter().map(|record| record.offset).collect();
            assert_eq!(offsets, (0..i64::try_from(read.len()).unwrap()).collect::<Vec<_>>());
            // From the middle, and from the beginning again.
            assert_eq!(reader.read(3, LIMIT, Duration::from_secs(10)).await.unwrap()[0], read[3]);
            assert_eq!(reader.read(0, LIMIT, Duration::from_secs(10)).await.unwrap()[0], read[0]);
            reader.commit(5).await.unwrap();
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while reader.committed().await.unwrap() != Some(5) {
                assert!(std::time::Instant::now() < until, "the position is not committed");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            for record in read {
                let key = record.key.clone().unwrap();
                assert_eq!(reader.partition(), pipeline::log::partitioner::partition(&key, 6));
                found.insert(key, record);
            }
        }
        assert_eq!(found.len(), sent.len());
        for record in &sent {
            let read = &found[&record.key];
            assert_eq!(
                (&read.value, read.received_at, read.due_at),
                (&record.value, record.received_at, record.due_at)
            );
        }
    });
}

#[test]
fn a_record_that_says_it_was_received_in_another_age_was_received_when_kafka_says() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        let log = cluster.log();
        let before = pipeline::time::now() / 1_000_000 * 1_000_000;
        let mut sent = records((0..3).map(|n| format!("age-{n}")));
        for (record, received_at) in sent.iter_mut().zip([-5, 0, i64::MAX]) {
            record.received_at = received_at;
        }
        assert_eq!(log.publish(sent).wait().await, Deliveries::All(Delivery::Durable));
        let mut consumer = cluster.join();
        let mut seen = 0;
        for mut reader in assigned(&mut consumer).await {
            for record in read_all(&mut reader, 0).await {
                assert!((before..=pipeline::time::now()).contains(&record.received_at), "{record:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, 3);
    });
}

#[test]
fn a_read_waits_for_records_and_ends_without_them() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        let log = cluster.log();
        let mut consumer = cluster.join();
        let mut readers = assigned(&mut consumer).await;
        let reader = readers.iter_mut().find(|reader| reader.partition() == 2).unwrap();
        assert_eq!(reader.read(0, LIMIT, WAIT).await.unwrap(), []);
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            log.publish(records([id_of(2, "late")])).wait().await
        };
        let (read, sent) = tokio::join!(reader.read(0, LIMIT, Duration::from_secs(20)), later);
        assert_eq!(sent, Deliveries::All(Delivery::Durable));
        assert_eq!(read.unwrap().len(), 1);
        assert_eq!(reader.known_end(), Some(1));
    });
}

#[test]
fn reads_keep_to_their_limits_and_miss_nothing() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        let sent = records((0..400).map(|n| id_of(1, &format!("n{n}"))));
        assert_eq!(cluster.log().publish(sent).wait().await, Deliveries::All(Delivery::Durable));
        let mut consumer = cluster.join();
        let mut readers = assigned(&mut consumer).await;
        let reader = readers.iter_mut().find(|reader| reader.partition() == 1).unwrap();
        let (mut from, mut reads) = (0, 0);
        while from < 400 {
            let some = reader
                .read(from, ReadLimit { records: 7, bytes: 1 << 20 }, Duration::from_secs(5))
                .await
                .unwrap();
            assert!((1..=7).contains(&some.len()), "{}", some.len());
            assert!(some.iter().zip(from..).all(|(record, offset)| record.offset == offset));
            from += i64::try_from(some.len()).unwrap();
            reads += 1;
        }
        assert!(reads >= 58, "{reads}");
    });
}

#[test]
fn members_share_the_partitions_and_one_that_leaves_gives_them_back() {
    let cluster = Cluster::start(&[]);
    block_on(async {
        let mut first = cluster.join();
        assert_eq!(assigned(&mut first).await.len(), 6);
        let mut second = cluster.join();
        let revoked = async {
            loop {
                if let Assignment::Revoked(numbers) = first.next().await.unwrap() {
                    break numbers;
                }
            }
        };
        let others = async {
            loop {
                let readers = assigned(&mut second).await;
                if !readers.is_empty() {
                    break readers;
                }
            }
        };
        let (revoked, others) =
            tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(revoked, others) })
                .await
                .unwrap();
        let numbers: Vec<u32> = others.iter().map(ReadPartition::partition).collect();
        assert_eq!(numbers.len(), 3);
        assert!(numbers.iter().all(|number| revoked.contains(number)), "{numbers:?} {revoked:?}");
        drop(others);
        drop(second);
        let back = tokio::time::timeout(Duration::from_secs(30), async {
            let mut back = Vec::new();
            while back.len() < 3 {
                back.extend(assigned(&mut first).await.iter().map(ReadPartition::partition));
            }
            back
        });
        let mut back = back.await.unwrap();
        back.sort_unstable();
        let mut numbers = numbers;
        numbers.sort_unstable();
        assert_eq!(back, numbers);
    });
}

/// The group's coordinator is not to be found, though the broker answers everything else: the consumer is made anew until
/// one finds it, and that one is a member like any other.
#[test]
fn a_member_that_finds_no_coordinator_is_made_anew() {
    let cluster = Cluster::start(&[
        ("kafka.coordinator_timeout", "1s"),
        ("kafka.client.statistics.interval.ms", "100"),
    ]);
    let observed = Observed::default();
    let away = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE; 100_000];
    cluster.mock.request_errors(RDKafkaApiKey::FindCoordinator, &away);
    block_on(async {
        let producer = kafka::start(&cluster.config.kafka, &cluster.config.log, &observed).unwrap();
        let sent = producer.log.publish(records((0..60).map(|n| format!("order-{n}")))).wait().await;
        assert_eq!(sent, Deliveries::All(Delivery::Durable));
        let mut member = KafkaConsumer::join(&cluster.config.kafka, "topic".into(), &observed).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while observed.metrics.kafka.consumers_replaced.get() < 2 {
            assert!(std::time::Instant::now() < until, "the consumer is not made anew");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cluster.mock.clear_request_errors(RDKafkaApiKey::FindCoordinator);
        let mut readers = Vec::new();
        while readers.is_empty() {
            match tokio::time::timeout(Duration::from_secs(20), member.next()).await.unwrap().unwrap() {
                Assignment::Assigned(assigned) => readers = assigned,
                Assignment::Revoked(numbers) => {
                    assert!(numbers.is_empty(), "{numbers:?} were never assigned")
                }
            }
        }
        let mut found = 0;
        for reader in &mut readers {
            found += read_all(reader, 0).await.len();
        }
        assert_eq!((readers.len(), found), (6, 60));
    });
}

#[test]
fn a_question_that_no_broker_answers_fails_with_the_reason_of_the_connection() {
    let flags = [("kafka.brokers", "127.0.0.1:1"), ("kafka.timeout", "2s")];
    let flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = Config::read(&Layers::load(None, None, [], &flags).unwrap()).unwrap();
    let error = kafka::topic_id(&config.kafka, &config.log).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && error.contains("Connection refused"), "{error}");
}
