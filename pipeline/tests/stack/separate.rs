//! The way with servers: ingest and processor as processes of their own, on a topic, a keyspace and a database that are
//! the test's own.

use crate::servers::Servers;
use crate::ways::place::{Foreign, Letter, Way, Written};
use crate::ways::process::program;
use futures_util::TryStreamExt;
use pipeline::config::Config;
use pipeline::log::kafka;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedHeaders, Headers};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A topic, a keyspace and a database. Dropping it drops them.
pub struct Separate {
    servers: Servers,
}

impl Separate {
    /// Those of a test, with the schema applied as an operator does.
    pub fn new(test: &str) -> Self {
        // Names of tests are longer than those of keyspaces may be.
        let mut hasher = DefaultHasher::new();
        test.hash(&mut hasher);
        let name = format!("way_{:08x}_{}", hasher.finish() >> 32, std::process::id());
        println!("topic, keyspace and database are called {name}");
        let settings = [
            ("mode", "servers"),
            ("kafka.topic", &name),
            ("kafka.dead_topic", &format!("{name}.dead")),
            ("kafka.group", &name),
            ("cassandra.keyspace", &name),
            ("clickhouse.database", &name),
        ];
        let way = Self { servers: Servers::bare("way", &settings) };
        let mut apply = program();
        apply.args(["schema", "apply"]);
        for setting in way.settings() {
            apply.args(["--set", &setting]);
        }
        let output = apply.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        way
    }

    /// The configuration, for a test that looks past the product.
    pub fn config(&self) -> &Config {
        &self.servers.config
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.servers.config.kafka.brokers);
        client
    }
}

impl Way for Separate {
    fn commands(&self) -> &'static [&'static str] {
        &["ingest", "process"]
    }

    fn settings(&self) -> Vec<String> {
        let config = &self.servers.config;
        vec![
            "mode=servers".to_owned(),
            format!("kafka.topic={}", config.kafka.topic),
            format!("kafka.dead_topic={}", config.kafka.dead_topic),
            format!("kafka.group={}", config.kafka.group),
            format!("cassandra.keyspace={}", config.cassandra.keyspace),
            format!("clickhouse.database={}", config.clickhouse.database),
            "process.block_interval=100ms".to_owned(),
        ]
    }

    fn kills(&self) -> (usize, Duration) {
        (12, Duration::from_secs(4))
    }

    fn stored(&self) -> BTreeMap<String, (i64, i64)> {
        let cql = format!(
            "SELECT order_id, quantity, total_minor FROM {}.orders",
            self.servers.config.cassandra.keyspace
        );
        let session = self.servers.session();
        self.servers.run(async {
            let rows =
                session.query_iter(cql, ()).await.unwrap().rows_stream::<(String, i32, i64)>().unwrap();
            rows.map_ok(|(id, quantity, total_minor)| (id, (quantity.into(), total_minor)))
                .try_collect()
                .await
                .unwrap()
        })
    }

    fn write(&self, records: &[Foreign<'_>]) -> Vec<Written> {
        let config = &self.servers.config;
        let topic_id = kafka::topic_id(&config.kafka, &config.log).unwrap();
        // As Java's producers do, unlike librdkafka's own default.
        let mut client = self.client();
        client.set("partitioner", "murmur2_random");
        let producer: BaseProducer<Places> = client.create_with_context(Places::default()).unwrap();
        let mut written = Vec::new();
        for record in records {
            let mut own = BaseRecord::<str, str>::to(&config.kafka.topic).payload(record.value);
            own = match record.key {
                Some(key) => own.key(key),
                None => own.partition(4),
            };
            producer.send(own).map_err(|(error, _)| error).unwrap();
            producer.flush(PATIENCE).unwrap();
            let (partition, offset) = producer.context().0.lock().unwrap().take().unwrap();
            written.push(Written { topic_id: topic_id.clone(), partition, offset });
        }
        written
    }

    fn delete_records(&self, partition: u32, before: i64) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let mut list = TopicPartitionList::new();
        let topic = &self.servers.config.kafka.topic;
        list.add_partition_offset(topic, partition.cast_signed(), Offset::Offset(before)).unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        self.servers.run(admin.delete_records(&list, &options)).unwrap();
    }

    fn wipe_stores(&self) {
        let cql = format!("TRUNCATE {}.orders", self.servers.config.cassandra.keyspace);
        self.servers.run(self.servers.session().query_unpaged(cql, ())).unwrap();
        let truncate = self.servers.client().query("TRUNCATE TABLE sales_by_minute").execute();
        self.servers.run(truncate).unwrap();
    }

    fn spoil_stores(&self) {
        let cql = format!("TRUNCATE {}.orders", self.servers.config.cassandra.keyspace);
        self.servers.run(self.servers.session().query_unpaged(cql, ())).unwrap();
        let sql = "INSERT INTO sales_by_minute (minute, currency, source, state, category, orders) SELECT minute, currency, \
                   source, state, category, 1 FROM sales_by_minute WHERE block = '' ORDER BY minute LIMIT 1";
        self.servers.run(self.servers.client().query(sql).execute()).unwrap();
    }

    fn forget_blocks(&self) {
        let sql = "ALTER TABLE sales_by_minute DELETE WHERE block != '' AND (partition, last) NOT IN (SELECT partition, \
                   max(last) FROM sales_by_minute WHERE block != '' GROUP BY partition) SETTINGS mutations_sync = 1";
        self.servers.run(self.servers.client().query(sql).execute()).unwrap();
    }

    fn age_blocks(&self) {
        let sql = "ALTER TABLE sales_by_minute UPDATE inserted_at = inserted_at - INTERVAL 1 HOUR WHERE block != '' \
                   SETTINGS mutations_sync = 1";
        self.servers.run(self.servers.client().query(sql).execute()).unwrap();
    }

    fn dead_letters(&self, count: usize) -> Vec<Letter> {
        let topic = &self.servers.config.kafka.dead_topic;
        let consumer: BaseConsumer = self.client().set("group.id", "reads-the-dead").create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        let (mut found, started) = (Vec::new(), Instant::now());
        while found.len() < count {
            assert!(started.elapsed() < PATIENCE, "only {} dead letters: {found:?}", found.len());
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.unwrap();
            let headers = message.headers().unwrap();
            let text = |name| header(headers, name);
            assert_eq!(text("topic"), self.servers.config.kafka.topic);
            found.push(Letter {
                partition: text("partition").parse().unwrap(),
                offset: text("offset").parse().unwrap(),
                value: String::from_utf8(message.payload().unwrap().to_vec()).unwrap(),
                reason: text("reason"),
                detail: text("detail"),
            });
        }
        found.sort();
        found
    }
}

/// Notes where a record went.
#[derive(Default)]
struct Places(Mutex<Option<(u32, i64)>>);

impl ClientContext for Places {}

impl ProducerContext for Places {
    type DeliveryOpaque = ();

    fn delivery(&self, delivered: &DeliveryResult<'_>, (): ()) {
        let message = delivered.as_ref().map_err(|(error, _)| error).unwrap();
        *self.0.lock().unwrap() = Some((message.partition().cast_unsigned(), message.offset()));
    }
}

fn header(headers: &BorrowedHeaders, name: &str) -> String {
    let header = headers.iter().find(|header| header.key == name);
    let value = header.and_then(|header| header.value).unwrap_or_else(|| panic!("no header {name}"));
    String::from_utf8(value.to_vec()).unwrap()
}

impl Drop for Separate {
    fn drop(&mut self) {
        let kafka = &self.servers.config.kafka;
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let topics = [kafka.topic.as_str(), &kafka.dead_topic];
        let dropped = self.servers.run(admin.delete_topics(&topics, &options));
        if !std::thread::panicking() {
            dropped.unwrap().into_iter().for_each(|topic| drop(topic.unwrap()));
        }
    }
}
