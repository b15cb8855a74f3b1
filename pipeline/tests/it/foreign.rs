//! Records that did not come in over HTTP: what the processor makes of values that ingest would have refused, and of
//! records without a key; and that whatever came in, every record and every order is counted in exactly one place.

use crate::support::{Pipeline, Reply, balanced, block_on, eventually, id_of};
use bytes::Bytes;
use pipeline::log::sqlite::{self, SqliteLogLimits, Started};
use pipeline::log::{Deliveries, Delivery, Publish, Record};
use pipeline::store::sqlite::SqliteBooks;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

/// Writes records into the log of a data folder that no pipeline runs on, and returns the topic's id.
fn write(data: &Path, records: Vec<(Bytes, &str)>) -> String {
    std::fs::create_dir_all(data).unwrap();
    let opened = sqlite::open(&data.join("log.db"), 6, 1 << 20).unwrap();
    let topic_id = opened.place.topic_id.clone();
    let limits = SqliteLogLimits {
        commit_records: 100,
        commit_interval: Duration::ZERO,
        queue_bytes: 1 << 20,
        delivery_timeout: Duration::from_secs(10),
    };
    let Started { log, consumer, writer } = sqlite::start(opened, limits).unwrap();
    let received_at = pipeline::time::now();
    let record = |(key, value): (Bytes, &str)| Record {
        key,
        value: Bytes::copy_from_slice(value.as_bytes()),
        received_at,
        due_at: None,
    };
    let written = block_on(log.publish(records.into_iter().map(record).collect()).wait());
    assert_eq!(written, Deliveries::All(Delivery::Durable));
    drop((log, consumer));
    writer.join().unwrap();
    topic_id
}

/// The sum of a counter over its labels.
fn sum(pipeline: &Pipeline, name: &str) -> f64 {
    let text = pipeline.page("/metrics").body;
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        (rest.starts_with('{') || rest.starts_with(' ')).then(|| rest.rsplit(' ').next().unwrap())
    });
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

/// Where records end: stored, duplicate, dead.
fn ends(pipeline: &Pipeline) -> [f64; 3] {
    ["tillflow_store_orders_total", "tillflow_parse_duplicates_total", "tillflow_parse_dead_total"]
        .map(|name| sum(pipeline, name))
}

#[test]
fn a_record_that_ingest_would_have_refused_becomes_a_dead_letter_and_the_block_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let key = Bytes::from(id_of(1, "k"));
    let after = format!(r#"{{"order_id":"after",{}"#, &VALID[1..]);
    let bad = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":"1.234"}"#;
    let values = [VALID, "nonsense", bad, r#"{"customer_id":3}"#, &after];
    write(dir.path(), values.iter().map(|value| (key.clone(), *value)).collect());
    let pipeline = Pipeline::start(dir.path(), &[]);
    eventually("both valid ones are stored", || pipeline.metric("tillflow_store_orders_total") == 2.0);
    let total = &balanced(dir.path())["total"];
    assert_eq!((&total["log"], &total["orders"], &total["dead"]), (&5.into(), &2.into(), &3.into()));
    for (reason, count) in [("not_json", 1.0), ("bad_money", 1.0), ("missing_field", 1.0), ("too_deep", 0.0)]
    {
        let name = format!("tillflow_parse_dead_total{{reason=\"{reason}\"}}");
        assert_eq!(pipeline.metric(&name), count, "{reason}");
    }
    let connection = Connection::open(dir.path().join("log.db")).unwrap();
    let sql = "SELECT partition, offset, CAST(value AS TEXT), reason, detail FROM dead ORDER BY offset";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map((), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
    });
    let found: Vec<(i64, i64, String, String, String)> = rows.unwrap().map(Result::unwrap).collect();
    for (letter, (offset, reason)) in
        found.iter().zip([(1, "not_json"), (2, "bad_money"), (3, "missing_field")])
    {
        assert_eq!((letter.0, letter.1, letter.3.as_str()), (1, offset, reason));
        assert_eq!(letter.2, values[usize::try_from(offset).unwrap()]);
    }
    assert!(found[1].4.starts_with("total: "), "{:?}", found[1]);
    assert_eq!(found.len(), 3);
    assert_eq!(pipeline.page("/readyz").status, 200, "a dead letter is nobody's outage");
}

#[test]
fn a_record_without_an_id_is_known_by_its_key_and_without_a_key_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let key = Bytes::from(id_of(1, "k"));
    // The embedded log keeps a key that is no text as none.
    let keyless = Bytes::from_static(&[0xff]);
    let partition = pipeline::log::partitioner::partition(&keyless, 6);
    let topic = write(dir.path(), vec![(keyless.clone(), VALID), (key.clone(), VALID), (keyless, VALID)]);
    let pipeline = Pipeline::start(dir.path(), &[]);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == 3.0);
    let books = SqliteBooks::new(&dir.path().join("stores.db"));
    let key = String::from_utf8(key.to_vec()).unwrap();
    for id in [key, format!("{topic}-{partition}-0"), format!("{topic}-{partition}-1")] {
        assert!(books.order(&id).unwrap().is_some(), "{id}");
    }
    balanced(dir.path());
}

#[test]
fn every_order_has_one_outcome_and_every_record_ends_in_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = [VALID, "nonsense", "[]"];
    write(dir.path(), foreign.iter().map(|value| (Bytes::from_static(b"foreign"), *value)).collect());
    let settings = [
        "order.max_bytes=1KiB",
        "receive.max_body_bytes=8KiB",
        "log.max_queue_bytes=8KiB",
        "log.delivery_timeout=2s",
        "receive.reply_timeout=3s",
    ];
    let pipeline = Pipeline::start(dir.path(), &settings);
    let named = |id: &str| format!(r#"{{"order_id":"{id}",{}"#, &VALID[1..]);
    let conflict = named("twice").replace("\"quantity\":2", "\"quantity\":3");
    let padding = "x".repeat(500);
    let big = format!("[{}]", vec![format!(r#"{{"note":"{padding}",{}"#, &VALID[1..]); 11].join(","));
    let mut sent = 0_u64;
    let mut outcomes = [0_u64; 4];
    let mut post = |body: &str, orders: u64| -> Reply {
        let reply = pipeline.post(body);
        let told = reply.json();
        let counts = ["accepted", "rejected", "failed", "unknown"].map(|name| told[name].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), orders, "{told}");
        assert_eq!(told["results"].as_array().unwrap().len() as u64, orders, "{told}");
        sent += orders;
        outcomes.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        reply
    };
    post(&format!("[{VALID},{{}},{},1]", named("twice")), 4);
    post(&named("twice"), 1);
    post(&conflict, 1);
    assert_eq!(post("nonsense", 1).status, 400);
    assert_eq!(post(r#"{"customer_id":1}"#, 1).status, 422);
    // Somebody else holds the log: what the writer has is unknown when the time is over, and what does not fit into
    // the queue behind it has failed.
    let held = Connection::open(dir.path().join("log.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(post(&big, 11).status, 504);
    assert_eq!(post(&big, 11).status, 503);
    drop(held);
    // Refused whole: no order of it was looked at, so none is counted.
    assert_eq!(pipeline.post(&"x".repeat(10_000)).status, 413);

    for (outcome, count) in ["accepted", "rejected", "failed", "unknown"].into_iter().zip(outcomes) {
        assert!(count > 0, "no order was {outcome}");
        let name = format!("tillflow_receive_orders_total{{outcome=\"{outcome}\"}}");
        assert_eq!(pipeline.metric(&name), count as f64, "{outcome}");
    }
    assert_eq!(sum(&pipeline, "tillflow_receive_orders_total"), sent as f64);
    assert_eq!(sum(&pipeline, "tillflow_validate_rejections_total"), outcomes[1] as f64);

    // Whether or not the log has the unknown ones: all that it has ends in one place.
    eventually("the log is free", || pipeline.post(VALID).status == 202);
    let log = balanced(dir.path())["total"]["log"].as_f64().unwrap();
    eventually("all are counted", || ends(&pipeline).iter().sum::<f64>() == log);
    assert_eq!(pipeline.metric("tillflow_consume_records_total"), log);
    let [_, duplicates, dead] = ends(&pipeline);
    assert_eq!((duplicates, dead), (2.0, 2.0));
    assert_eq!(pipeline.metric("tillflow_parse_conflicts_total"), 1.0);
    eventually("no lag is left", || sum(&pipeline, "tillflow_consume_lag_records") == 0.0);
}
