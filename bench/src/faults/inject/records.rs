//! Faults of what is sent: tokens that were used already, orders that come twice, records that are no orders.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use pipeline::store::chain::token;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::faults::catalogue::Part;
use crate::faults::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(20);
const BURNED: &str = "tillflow_store_burned_tokens_total";

/// The next block's token is used for a row that is deleted, so that the engine knows the token and has no rows of it: as
/// after a crash between the two.
pub(super) fn burn_token(scene: &mut Scene<'_>) -> Result<Instant> {
    let at = scene.first(Part::Process)?;
    scene.place.slot(at)?.stop()?;
    let config = &scene.place.config;
    let stored = scene.watch.stored(&scene.place)?;
    let topic_id = pipeline::log::kafka::topic_id(&config.kafka, &config.log)?;
    let url = &config.clickhouse.url;
    let client = clickhouse::Client::default().with_url(url).with_database(&config.clickhouse.database);
    let burn = async {
        for (partition, next) in (0..).zip(stored) {
            let token = token(&topic_id, partition, next, 0);
            let insert =
                format!("INSERT INTO sales_by_minute (minute, block, blocks) VALUES (0, '{token}', 1)");
            client
                .query(&insert)
                .with_setting("async_insert", "0")
                .with_setting("insert_deduplicate", "1")
                .with_setting("insert_deduplication_token", &token)
                .execute()
                .await?;
            let delete = format!("ALTER TABLE sales_by_minute DELETE WHERE block = '{token}'");
            client.query(&delete).with_setting("mutations_sync", "1").execute().await?;
        }
        anyhow::Ok(())
    };
    let burnt = scene.place.runtime.block_on(async { tokio::time::timeout(PATIENCE, burn).await });
    burnt.map_err(|_| anyhow!("ClickHouse does not answer"))?.context("failed to burn tokens")?;
    let healed = Instant::now();
    scene.place.start(at)?;
    while scene.place.metric(BURNED) == 0.0 {
        if healed.elapsed() > PATIENCE {
            bail!("no processor met a burnt token");
        }
        thread::sleep(Duration::from_millis(100));
    }
    scene.notes.push(format!("{} burnt tokens were met so far", scene.place.metric(BURNED)));
    Ok(healed)
}

/// A foreign producer writes what is no order, and orders, to any partition and without our headers.
pub(super) fn rubbish(scene: &mut Scene<'_>) -> Result<Instant> {
    let kafka = &scene.place.config.kafka;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("partitioner", "murmur2_random");
    let producer: ThreadedProducer<DefaultProducerContext> = client.create()?;
    let deep = "[".repeat(100);
    let long = "x".repeat(70_000);
    let nonsense: [&[u8]; 9] = [
        b"",
        b"nonsense",
        b"{}",
        b"null",
        b"\xff\xfe\x00",
        br#"{"order_id":"rubbish","customer_id":3,"source":"Dine In","quantity":-1}"#,
        br#"{"customer_id":3,"customer_id":4,"source":"Dine In","quantity":1}"#,
        deep.as_bytes(),
        long.as_bytes(),
    ];
    let mut sent = 0;
    for round in 0..8_u32 {
        for (number, value) in (0..).zip(&nonsense) {
            let key = format!("rubbish-{round}-{number}");
            let record = BaseRecord::<str, [u8]>::to(&kafka.topic).payload(value).key(&key);
            producer.send(record).map_err(|(error, _)| error)?;
            sent += 1;
        }
        let (id, quantity) = (format!("foreign-{}-{round}", kafka.topic), i64::from(round) + 1);
        let order = format!(
            r#"{{"order_id":"{id}","customer_id":7,"source":"Online","quantity":{quantity},"total":"12.34"}}"#
        );
        let record = BaseRecord::<str, [u8]>::to(&kafka.topic).payload(order.as_bytes()).key(&id);
        producer.send(record).map_err(|(error, _)| error)?;
        scene.foreign.orders.push((id, quantity, 1_234));
        thread::sleep(Duration::from_millis(150));
    }
    producer.flush(PATIENCE).context("the foreign producer's records were not taken")?;
    scene.notes.push(format!("{sent} records that are no orders"));
    Ok(Instant::now())
}

/// Each request goes out twice, through two ingests.
pub(super) fn twice(scene: &mut Scene<'_>) -> Result<Instant> {
    scene.start_another(Part::Ingest)?;
    scene.load.lead_to(scene.place.fronts());
    scene.load.send_twice(true);
    scene.hold(3_000, 5_000);
    scene.load.send_twice(false);
    Ok(Instant::now())
}
