//! The floors of the log in Kafka, on a broker that is running: raw librdkafka producing the same bytes, and draining the
//! same topic, with the same settings.

pub mod raw;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use loadgen::payload::Payload;
use pipeline::block::{Block, BlockRow, RecipeTexts};
use pipeline::config::{Config, Layers};
use pipeline::consume::{self, Shared, Until};
use pipeline::enrich::Dimension;
use pipeline::log::kafka::{self, KafkaConsumer};
use pipeline::log::{Completion, Publish, Record};
use pipeline::observe::manage::Observed;
use pipeline::store::{StoreError, Stored, Stores};
use pipeline::{time, wire};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::settle;

/// Records that wait for the broker at once: what many connections come to.
const UNDER_WAY: usize = 4_096;
/// How long one measurement may take.
const DEADLINE: Duration = Duration::from_secs(300);

/// Who produces.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Producer {
    /// librdkafka alone.
    Bare,
    /// The product's log.
    Ours,
    /// rdkafka's FutureProducer, which copies each record and answers each by itself.
    Future,
}

/// A topic of its own, and the records of a measurement.
pub struct Log {
    config: Config,
    records: Vec<Record>,
    runtime: tokio::runtime::Runtime,
}

impl Log {
    /// Makes a topic on the broker that the environment names (`PIPELINE_KAFKA_BROKERS`), and records of a payload.
    ///
    /// # Errors
    /// Where the configuration is wrong or no broker answers.
    pub fn new(payload: &Payload) -> Result<Self> {
        let topic = format!("floor.{}", time::now());
        let flags =
            [("kafka.topic".to_owned(), topic.clone()), ("kafka.dead_topic".to_owned(), topic + ".dead")];
        let config = Config::read(&Layers::load(None, None, std::env::vars(), &flags)?)?;
        let received_at = time::now();
        let records = (0..payload.len())
            .filter_map(|at| {
                let key = Bytes::copy_from_slice(payload.order_id(at)?.as_bytes());
                Some(Record { key, value: payload.order(at)?, received_at, due_at: None })
            })
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(kafka::apply(&config.kafka, &config.log))?;
        Ok(Self { config, records, runtime })
    }

    /// Processor time of a record, in microseconds, with `batch` records a request where there are requests, each of
    /// which awaits its own answer.
    ///
    /// # Errors
    /// Where a record is not taken.
    pub fn produce(&self, who: Producer, batch: usize) -> Result<f64> {
        match who {
            Producer::Bare => self.produce_bare(),
            Producer::Ours => self.produce_ours(batch),
            Producer::Future => self.produce_future(),
        }
    }

    fn produce_bare(&self) -> Result<f64> {
        let config = kafka::producer_config(&self.config.kafka, &self.config.log)?;
        self.measure(|| raw::produce(&config, &self.config.kafka.topic, &self.records))
    }

    fn produce_ours(&self, batch: usize) -> Result<f64> {
        let observed = Observed::default();
        let started = kafka::start(&self.config.kafka, &self.config.log, &observed)?;
        let requests: Vec<Vec<Record>> = self.records.chunks(batch).map(<[Record]>::to_vec).collect();
        let cost = self.measure(|| self.runtime.block_on(publish(&started.log, requests)));
        drop(started.log);
        started.poller.join().ok().context("the log's thread failed")?;
        cost
    }

    fn produce_future(&self) -> Result<f64> {
        let config = kafka::producer_config(&self.config.kafka, &self.config.log)?;
        let producer: FutureProducer = config.create()?;
        let topic = self.config.kafka.topic.as_str();
        self.measure(|| self.runtime.block_on(publish_futures(&producer, topic, &self.records)))
    }

    /// Processor time of a record, in microseconds, when the topic is drained in batches and nothing else is done.
    ///
    /// # Errors
    /// Where the records do not come in time.
    pub fn drain_bare(&self) -> Result<f64> {
        let config = kafka::consumer_config(&self.config.kafka)?;
        let (topic, partitions) = (&self.config.kafka.topic, self.config.log.partitions);
        self.measure(|| raw::drain(&config, topic, partitions, self.records.len(), DEADLINE))
    }

    /// The same through the product's processor, to stores that keep nothing: parse, enrich, roll up, window of ids.
    ///
    /// # Errors
    /// Where the records do not come in time.
    pub fn drain_ours(&self) -> Result<f64> {
        let mut config = self.config.clone();
        config.kafka.group = format!("floor.{}", time::now());
        let observed = Observed::default();
        let metrics = Arc::clone(&observed.metrics);
        let log = kafka::start(&config.kafka, &config.log, &observed)?;
        let topic_id = kafka::topic_id(&config.kafka, &config.log)?;
        let (until, follow) = watch::channel(Until::Stopped);
        let shared = Arc::new(Shared {
            log: log.log,
            stores: VoidStores,
            recipe: wire::recipe(&config),
            dimension: Arc::new(Dimension::open(None).map_err(anyhow::Error::msg)?),
            limits: config.process.clone(),
            observed: observed.clone(),
        });
        let cost = self.measure(|| {
            let consumer = KafkaConsumer::join(&config.kafka, topic_id, &observed)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let run = std::thread::spawn(move || runtime.block_on(consume::run(consumer, shared, follow)));
            let started = Instant::now();
            let all = self.records.len() as u64;
            while metrics.store_orders.get() < all {
                if started.elapsed() > DEADLINE {
                    bail!("{} of {all} orders came", metrics.store_orders.get());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            until.send_replace(Until::BlockStored);
            run.join().ok().context("the processor failed")??;
            Ok(())
        });
        log.poller.join().ok().context("the log's thread failed")?;
        cost
    }

    /// Deletes the topics.
    ///
    /// # Errors
    /// What the broker says.
    pub fn delete(self) -> Result<()> {
        self.runtime.block_on(delete_topics(&self.config))
    }

    fn measure(&self, run: impl FnOnce() -> Result<()>) -> Result<f64> {
        // What all threads of this process have used, to the nanosecond; /proc counts in ticks of 10 ms.
        let used = || {
            let used = clock_gettime(ClockId::ProcessCPUTime);
            used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
        };
        let before = used();
        run()?;
        Ok((used() - before) / self.records.len() as f64)
    }
}

/// Deletes both topics of a configuration.
///
/// # Errors
/// What the broker says.
pub async fn delete_topics(config: &Config) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = kafka::consumer_config(&config.kafka)?.create()?;
    let topics = [config.kafka.topic.as_str(), config.kafka.dead_topic.as_str()];
    admin.delete_topics(&topics, &AdminOptions::new()).await?;
    Ok(())
}

async fn publish(log: &impl Publish, requests: Vec<Vec<Record>>) -> Result<()> {
    let mut under_way: VecDeque<Completion> = VecDeque::new();
    for records in requests {
        if under_way.len() * records.len() >= UNDER_WAY {
            settle(under_way.pop_front()).await?;
        }
        under_way.push_back(log.publish(records));
    }
    while !under_way.is_empty() {
        settle(under_way.pop_front()).await?;
    }
    Ok(())
}

async fn publish_futures(producer: &FutureProducer, topic: &str, records: &[Record]) -> Result<()> {
    let mut under_way = VecDeque::with_capacity(UNDER_WAY);
    for record in records {
        if under_way.len() == UNDER_WAY {
            let Some(oldest) = under_way.pop_front() else { continue };
            let oldest: rdkafka::producer::DeliveryFuture = oldest;
            oldest.await?.map_err(|(error, _)| error)?;
        }
        let mut received = itoa::Buffer::new();
        let headers = OwnedHeaders::new()
            .insert(rdkafka::message::Header {
                key: "received_at",
                value: Some(received.format(record.received_at)),
            })
            .insert(rdkafka::message::Header { key: "schema", value: Some(pipeline::order::SCHEMA) });
        let message =
            FutureRecord::to(topic).key(&record.key[..]).payload(&record.value[..]).headers(headers);
        under_way.push_back(producer.send_result(message).map_err(|(error, _)| error)?);
    }
    for left in under_way {
        left.await?.map_err(|(error, _)| error)?;
    }
    producer.flush(DEADLINE)?;
    Ok(())
}

/// Stores that say yes.
struct VoidStores;

impl Stores for VoidStores {
    async fn newest_block(&self, _: u32) -> Result<Option<BlockRow>, StoreError> {
        Ok(None)
    }

    async fn other_rules(&self, _: u32, _: i64, _: &str) -> Result<(Vec<BlockRow>, RecipeTexts), StoreError> {
        Ok((Vec::new(), RecipeTexts::new()))
    }

    async fn put(&self, block: Arc<Block>) -> Result<Stored, StoreError> {
        let now = time::now();
        Ok(Stored { row: block.row.clone(), orders_at: now, rollup_at: now })
    }
}
