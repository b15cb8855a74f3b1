//! What does it cost to hand a record to librdkafka: as the product does, and by the library alone, with and without a
//! copy of the value? Counted until librdkafka has it in its queue; its own broker of mock, in this process, takes it from
//! there, and each record's delivery is awaited before the next run.

#![expect(unsafe_code, reason = "the bare client borrows its records; the block says why it is sound")]

use anyhow::{Context, Result, ensure};
use pipeline::config::{Config, Layers};
use pipeline::log::kafka::{self, KafkaLog};
use pipeline::log::{Completion, Deliveries, Delivery, Publish, Record};
use pipeline::observe::manage::Observed;
use tokio::runtime::Runtime;

use super::orders::RECEIVED_AT;
use super::{Digest, ORDERS, Orders, Stage};
use crate::floors::kafka::raw::{Client, Value};

/// The product's settings with a broker that librdkafka makes for itself, and acknowledges as fast as it can.
fn config() -> Result<Config> {
    let flags = [("kafka.producer.test.mock.num.brokers".to_owned(), "1".to_owned())];
    Ok(Config::read(&Layers::load(None, None, [], &flags)?)?)
}

struct Ours {
    runtime: Runtime,
    log: KafkaLog,
    records: Vec<Record>,
    next: Vec<Vec<Record>>,
    completions: Vec<Completion>,
}

pub(super) fn ours(orders: &Orders) -> Result<Box<dyn Stage>> {
    let config = config()?;
    // Its thread ends when the log is dropped.
    let log = kafka::start(&config.kafka, &config.log, &Observed::default())?.log;
    Ok(Box::new(Ours {
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        log,
        records: orders.records(),
        next: Vec::new(),
        completions: Vec::with_capacity(ORDERS),
    }))
}

impl Stage for Ours {
    fn prepare(&mut self) -> Result<()> {
        self.next = self.records.iter().map(|record| vec![record.clone()]).collect();
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let published = self.next.drain(..).map(|records| self.log.publish(records));
        self.completions.extend(published);
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let mut durable = 0;
        for completion in self.completions.drain(..) {
            let delivered = self.runtime.block_on(completion.wait());
            ensure!(delivered == Deliveries::All(Delivery::Durable), "not delivered: {delivered:?}");
            durable += 1;
        }
        Ok(Digest::default().number(durable).finish())
    }
}

/// librdkafka alone, which borrows values or copies them.
pub struct Lending {
    /// Before the records, so that it is dropped before them.
    client: Client,
    records: Vec<Record>,
    value: Value,
}

pub(super) fn bare(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Lending::of(orders.records(), Value::Borrowed)?))
}

pub(super) fn copied(orders: &Orders) -> Result<Box<dyn Stage>> {
    Ok(Box::new(Lending::of(orders.records(), Value::Copied)?))
}

impl Lending {
    /// So many records with values of so many bytes, in a buffer of their own each.
    ///
    /// # Errors
    /// What librdkafka says.
    pub fn of_size(records: usize, size: usize, value: Value) -> Result<Self> {
        let record = |number: usize| Record {
            key: number.to_string().into(),
            value: vec![b'x'; size].into(),
            received_at: RECEIVED_AT,
            due_at: None,
        };
        Self::of((0..records).map(record).collect(), value)
    }

    fn of(records: Vec<Record>, value: Value) -> Result<Self> {
        let config = config()?;
        let settings = kafka::producer_config(&config.kafka, &config.log)?;
        Ok(Self { client: Client::new(&settings, &config.kafka.topic)?, records, value })
    }
}

impl Stage for Lending {
    fn run(&mut self) -> Result<()> {
        for record in &self.records {
            // SAFETY: the records live in this stage, behind the client, and do not change.
            unsafe { self.client.hand_over(record, self.value) }?;
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<u64> {
        let durable = self.client.settle().context("records were not delivered")?;
        Ok(Digest::default().number(durable as i128).finish())
    }
}
