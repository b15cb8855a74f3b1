//! The embedded log in this process: what it answers and what it then holds.

use crate::support::block_on;
use bytes::Bytes;
use pipeline::log::partitioner::partition;
use pipeline::log::sqlite::{self, SqliteLogLimits, SqliteReader, Started};
use pipeline::log::{
    Assignment, Consume, DeadLetter, Deliveries, Delivery, LogError, LogRecord, Publish, ReadLimit,
    ReadPartition, Record,
};
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 6;
const LIMITS: SqliteLogLimits = SqliteLogLimits {
    commit_records: 100,
    commit_interval: Duration::ZERO,
    queue_bytes: 1 << 20,
    delivery_timeout: Duration::from_secs(10),
};
const DURABLE: Deliveries = Deliveries::All(Delivery::Durable);

fn start(path: &Path, limits: SqliteLogLimits) -> Started {
    sqlite::start(sqlite::open(path, PARTITIONS, 1 << 20).unwrap(), limits).unwrap()
}

/// Ends the writer, having written what it was given.
fn stop(started: Started) {
    let Started { log, consumer, writer } = started;
    drop((log, consumer));
    writer.join().unwrap();
}

/// A record whose key and value are the same text.
fn record(text: &str) -> Record {
    let text = Bytes::copy_from_slice(text.as_bytes());
    Record { key: text.clone(), value: text, received_at: 1, due_at: None }
}

async fn readers(started: &mut Started) -> Vec<SqliteReader> {
    match started.consumer.next().await.unwrap() {
        Assignment::Assigned(readers) => readers,
        Assignment::Revoked(_) => panic!("nothing was assigned yet"),
    }
}

/// All records of a partition, read in small pieces.
async fn read_all(reader: &mut SqliteReader) -> Vec<LogRecord> {
    let bounds = reader.bounds().await.unwrap();
    let mut records: Vec<LogRecord> = Vec::new();
    loop {
        let from = records.last().map_or(bounds.first, |record| record.offset + 1);
        if from == bounds.end {
            return records;
        }
        let limit = ReadLimit { records: 7, bytes: 1 << 20 };
        records.extend(reader.read(from, limit, Duration::ZERO).await.unwrap());
    }
}

/// Keeps the writer waiting, as a slow disk would, until it is dropped.
fn hold(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_full_queue_answers_failed_at_once_and_takes_records_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let started = start(&path, SqliteLogLimits { queue_bytes: 100, ..LIMITS });
    let text = "x".repeat(40);
    block_on(async {
        let held = hold(&path);
        let first = started.log.publish(vec![record(&text)]);
        assert_eq!(started.log.waiting_bytes(), 80);
        let before = Instant::now();
        let second = started.log.publish(vec![record(&text)]).wait().await;
        assert_eq!(second, Deliveries::All(Delivery::Failed("the log's queue is full")));
        // The writer is held for as long as it takes, so an answer shows that nobody waited for it.
        assert!(before.elapsed() < Duration::from_secs(5));
        assert_eq!(started.log.waiting_bytes(), 80, "what was refused takes no room");
        drop(held);
        assert_eq!(first.wait().await, DURABLE);
        while started.log.waiting_bytes() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(started.log.publish(vec![record(&text)]).wait().await, DURABLE);
    });
    stop(started);
    assert_eq!(sqlite::open_for_reading(&path).unwrap().ends.iter().sum::<i64>(), 2);
}

#[test]
fn what_waited_longer_than_the_delivery_timeout_is_failed_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let started = start(&path, SqliteLogLimits { delivery_timeout: Duration::ZERO, ..LIMITS });
    let late = block_on(started.log.publish(vec![record("a"), record("b")]).wait());
    let why = "the log did not take it within log.delivery_timeout";
    assert_eq!(late, Deliveries::All(Delivery::Failed(why)));
    stop(started);
    assert_eq!(sqlite::open_for_reading(&path).unwrap().ends, [0; 6]);
}

#[test]
fn the_records_of_one_request_go_to_the_partitions_of_their_keys_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut started = start(&dir.path().join("log.db"), LIMITS);
    let texts: Vec<String> = (0..200).map(|n| format!("order-{n}")).collect();
    block_on(async {
        let records = texts.iter().map(|text| record(text)).collect();
        assert_eq!(started.log.publish(records).wait().await, DURABLE);
        for mut reader in readers(&mut started).await {
            let number = reader.partition();
            let own = texts.iter().filter(|text| partition(text.as_bytes(), PARTITIONS) == number);
            let found = read_all(&mut reader).await;
            assert!(!found.is_empty(), "200 keys reach each of 6 partitions");
            assert!(own.eq(found.iter().map(|record| std::str::from_utf8(&record.value).unwrap())));
        }
    });
    stop(started);
}

#[test]
fn offsets_go_on_without_a_gap_when_the_file_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let texts: Vec<String> = (0..90).map(|n| format!("order-{n}")).collect();
    for texts in texts.chunks(30) {
        let started = start(&path, LIMITS);
        // Many small requests, so that the transactions differ from run to run and the offsets do not.
        let pending: Vec<_> = texts.iter().map(|text| started.log.publish(vec![record(text)])).collect();
        for completion in pending {
            assert_eq!(block_on(completion.wait()), DURABLE);
        }
        stop(started);
    }
    let mut started = start(&path, LIMITS);
    let mut count = 0;
    block_on(async {
        for mut reader in readers(&mut started).await {
            let found = read_all(&mut reader).await;
            assert!(found.iter().zip(0..).all(|(record, offset)| record.offset == offset));
            count += found.len();
        }
    });
    assert_eq!(count, texts.len());
    stop(started);
}

#[test]
fn an_offset_that_was_deleted_is_an_error_with_the_range_and_never_a_jump() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let mut started = start(&path, LIMITS);
    block_on(async {
        let one = partition(b"key", PARTITIONS);
        for _ in 0..5 {
            assert_eq!(started.log.publish(vec![record("key")]).wait().await, DURABLE);
        }
        let sql = format!("DELETE FROM orders_{one} WHERE offset < 2");
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let mut reader = readers(&mut started).await.remove(one as usize);
        let limit = ReadLimit { records: 10, bytes: 1 << 20 };
        let error = reader.read(0, limit, Duration::ZERO).await.unwrap_err();
        assert!(
            matches!(&error, LogError::OutOfRange { wanted: 0, bounds, .. }
            if (bounds.first, bounds.end) == (2, 5)),
            "{error}"
        );
        assert_eq!(reader.read(2, limit, Duration::ZERO).await.unwrap().len(), 3);
    });
    stop(started);
}

#[test]
fn a_position_is_what_was_committed_last_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    for (before, next) in [(None, 7), (Some(7), 9)] {
        let mut started = start(&path, LIMITS);
        block_on(async {
            let mut reader = readers(&mut started).await.remove(3);
            assert_eq!(reader.committed().await.unwrap(), before);
            reader.commit(next).await.unwrap();
            assert_eq!(reader.committed().await.unwrap(), Some(next));
        });
        stop(started);
    }
}

#[test]
fn a_dead_letter_that_is_written_twice_is_there_once_as_it_was_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    let started = start(&path, LIMITS);
    let letter = |offset: i64, reason: &'static str| DeadLetter {
        topic_id: "t".to_owned(),
        partition: 2,
        offset,
        key: Some("key".into()),
        value: "nonsense".into(),
        received_at: 1,
        reason,
        detail: String::new(),
    };
    for letters in [
        vec![letter(4, "not_json")],
        vec![letter(4, "too_deep"), letter(5, "not_json")],
        vec![letter(5, "not_json"), letter(4, "not_json")],
    ] {
        assert_eq!(block_on(started.log.publish_dead(letters).wait()), DURABLE);
    }
    stop(started);
    let connection = Connection::open(&path).unwrap();
    let mut select =
        connection.prepare("SELECT partition, offset, reason FROM dead ORDER BY offset").unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let found: Vec<(i64, i64, String)> = rows.map(Result::unwrap).collect();
    assert_eq!(found, [(2, 4, "not_json".into()), (2, 5, "not_json".into())]);
}
