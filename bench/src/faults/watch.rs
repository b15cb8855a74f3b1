//! How far log and rollups are, seen past the product: the ends of the log as the broker tells them, and what the block
//! rows say.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use clickhouse::Row;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde::Deserialize;

use super::place::Place;

const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(100);

/// The first offset that is not there yet, of each partition.
pub type Offsets = Vec<i64>;

/// Looks at one place.
pub struct Watch {
    consumer: Option<BaseConsumer>,
}

#[derive(Row, Deserialize)]
struct Stored {
    partition: u32,
    next: i64,
}

impl Watch {
    /// Looks at a place.
    ///
    /// # Errors
    /// Where no client can be made.
    pub fn of(place: &Place) -> Result<Self> {
        let brokers = place.addresses.is_some().then_some(&place.config.kafka.brokers);
        let client = |brokers: &String| {
            let mut client = ClientConfig::new();
            client.set("bootstrap.servers", brokers).set("group.id", "faults-watch");
            client.set("reconnect.backoff.max.ms", "1000").set("log_level", "0");
            client.create()
        };
        Ok(Self { consumer: brokers.map(client).transpose()? })
    }

    /// The ends of the log.
    ///
    /// # Errors
    /// Where the broker does not answer.
    pub fn ends(&self, place: &Place) -> Result<Offsets> {
        let Some(consumer) = &self.consumer else { return Ok(embedded(place)?.0) };
        let end = |partition| {
            let partition = i32::try_from(partition).unwrap_or(i32::MAX);
            Ok(consumer.fetch_watermarks(&place.config.kafka.topic, partition, PATIENCE)?.1)
        };
        (0..place.config.log.partitions).map(end).collect()
    }

    /// How far the rollups are.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn stored(&self, place: &Place) -> Result<Offsets> {
        if self.consumer.is_none() {
            return Ok(embedded(place)?.1);
        }
        let config = &place.config.clickhouse;
        let client = clickhouse::Client::default().with_url(&config.url).with_database(&config.database);
        let sql = "SELECT partition, max(last) + 1 AS next FROM sales_by_minute WHERE block != '' GROUP BY partition";
        let rows = place.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, client.query(sql).fetch_all::<Stored>()).await
        });
        let mut stored = vec![0; usize::try_from(place.config.log.partitions)?];
        for row in rows.map_err(|_| anyhow!("ClickHouse does not answer"))?? {
            if let Some(next) = stored.get_mut(usize::try_from(row.partition)?) {
                *next = row.next;
            }
        }
        Ok(stored)
    }

    /// Waits until something more is stored than was, starting again what ends by itself.
    ///
    /// # Errors
    /// At the deadline.
    pub fn wait_more(&self, place: &mut Place, before: &Offsets, within: Duration) -> Result<()> {
        let more = |stored: &Offsets| stored.iter().zip(before).any(|(now, before)| now > before);
        self.wait(place, within, "no block was stored", more)
    }

    /// Waits until all is stored up to some offsets, starting again what ends by itself.
    ///
    /// # Errors
    /// At the deadline.
    pub fn wait_until(&self, place: &mut Place, ends: &Offsets, within: Duration) -> Result<()> {
        let all = |stored: &Offsets| stored.iter().zip(ends).all(|(now, end)| now >= end);
        self.wait(place, within, "not all was stored", all)
    }

    fn wait(
        &self,
        place: &mut Place,
        within: Duration,
        what: &str,
        enough: impl Fn(&Offsets) -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            place.supervise()?;
            let stored = self.stored(place);
            if stored.as_ref().is_ok_and(&enough) {
                return Ok(());
            }
            if started.elapsed() > within {
                return Err(anyhow!("{what} within {within:?}: {stored:?}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The ends of the log, as soon as the broker tells them.
    ///
    /// # Errors
    /// At the deadline.
    pub fn ends_within(&self, place: &mut Place, within: Duration) -> Result<Offsets> {
        let started = Instant::now();
        loop {
            match self.ends(place) {
                Ok(ends) => return Ok(ends),
                Err(error) if started.elapsed() > within => {
                    return Err(error).context("the log's ends cannot be read");
                }
                Err(_) => place.supervise()?,
            }
        }
    }
}

/// Both, from the embedded pipeline's files.
fn embedded(place: &Place) -> Result<(Offsets, Offsets)> {
    let ledger = place.runtime.block_on(pipeline::wire::ledger(&place.config, None))?;
    let numbers = |of: fn(&pipeline::ledger::PartitionBooks) -> u64| -> Offsets {
        ledger.partitions.iter().map(|books| of(books).cast_signed()).collect()
    };
    Ok((numbers(|books| books.log), numbers(|books| books.log - books.pending)))
}
