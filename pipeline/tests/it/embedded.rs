//! The embedded way: one process on a folder with two SQLite files.

use crate::ways::place::{Foreign, Letter, Way, Written};
use crate::ways::wait::block_on;
use bytes::Bytes;
use pipeline::log::partitioner::partition;
use pipeline::log::sqlite::{self, SqliteLogLimits, Started};
use pipeline::log::{Deliveries, Delivery, Publish, Record};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The default.
const PARTITIONS: u32 = 6;
/// The embedded log keeps a key that is no text as none.
const NO_KEY: Bytes = Bytes::from_static(&[0xff]);

/// A data folder.
pub struct Embedded {
    data: PathBuf,
    /// The folder around it, if it is to go with the test.
    _folder: Option<TempDir>,
}

impl Embedded {
    /// A folder that is not there yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { data: folder.path().join("data"), _folder: Some(folder) }
    }

    /// A folder of somebody else's.
    pub fn at(data: &Path) -> Self {
        Self { data: data.to_owned(), _folder: None }
    }

    fn connect(&self, file: &str) -> Connection {
        Connection::open(self.data.join(file)).unwrap()
    }
}

impl Way for Embedded {
    fn commands(&self) -> &'static [&'static str] {
        &["embedded"]
    }

    fn settings(&self) -> Vec<String> {
        vec![format!("embedded.data_dir={}", self.data.display())]
    }

    fn kills(&self) -> (usize, Duration) {
        (25, Duration::from_millis(600))
    }

    fn stored(&self) -> BTreeMap<String, (i64, i64)> {
        let connection = self.connect("stores.db");
        let mut select = connection.prepare("SELECT order_id, quantity, total_minor FROM orders").unwrap();
        let rows = select.query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn write(&self, records: &[Foreign<'_>]) -> Vec<Written> {
        std::fs::create_dir_all(&self.data).unwrap();
        let opened = sqlite::open(&self.data.join("log.db"), PARTITIONS, 1 << 20).unwrap();
        let topic_id = opened.place.topic_id.clone();
        let limits = SqliteLogLimits {
            commit_records: 100,
            commit_interval: Duration::ZERO,
            queue_bytes: 1 << 20,
            delivery_timeout: Duration::from_secs(10),
        };
        let Started { log, consumer, writer } = sqlite::start(opened, limits).unwrap();
        let received_at = pipeline::time::now();
        let key =
            |record: &Foreign<'_>| record.key.map_or(NO_KEY, |key| Bytes::copy_from_slice(key.as_bytes()));
        let own = records.iter().map(|record| Record {
            key: key(record),
            value: Bytes::copy_from_slice(record.value.as_bytes()),
            received_at,
            due_at: None,
        });
        let delivered = block_on(log.publish(own.collect()).wait());
        assert_eq!(delivered, Deliveries::All(Delivery::Durable));
        drop((log, consumer));
        writer.join().unwrap();
        let mut ends: BTreeMap<u32, i64> = BTreeMap::new();
        let place = |record: &Foreign<'_>| {
            let partition = partition(&key(record), PARTITIONS);
            let end = ends.entry(partition).or_default();
            *end += 1;
            Written { topic_id: topic_id.clone(), partition, offset: *end - 1 }
        };
        records.iter().map(place).collect()
    }

    fn delete_records(&self, partition: u32, before: i64) {
        let sql = format!("DELETE FROM orders_{partition} WHERE offset < {before}");
        self.connect("log.db").execute(&sql, ()).unwrap();
    }

    fn wipe_stores(&self) {
        let tables = ["orders", "sales_by_minute", "blocks"].map(|table| format!("DELETE FROM {table};"));
        self.connect("stores.db").execute_batch(&tables.concat()).unwrap();
    }

    fn spoil_stores(&self) {
        let spoil = "DELETE FROM orders; UPDATE sales_by_minute SET orders = orders + 1 WHERE minute = (SELECT min(minute) FROM \
                     sales_by_minute);";
        self.connect("stores.db").execute_batch(spoil).unwrap();
    }

    fn forget_blocks(&self) {
        let forget = "DELETE FROM blocks WHERE first < (SELECT max(first) FROM blocks AS newest WHERE newest.partition = \
                      blocks.partition)";
        self.connect("stores.db").execute(forget, ()).unwrap();
    }

    fn age_blocks(&self) {
        // There is one processor, and so none beside it.
    }

    fn dead_letters(&self, count: usize) -> Vec<Letter> {
        let connection = self.connect("log.db");
        let sql = "SELECT partition, offset, CAST(value AS TEXT), reason, detail FROM dead ORDER BY 1, 2";
        let mut select = connection.prepare(sql).unwrap();
        let rows = select.query_map((), |row| {
            let (partition, offset, value) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Letter { partition, offset, value, reason: row.get(3)?, detail: row.get(4)? })
        });
        let found: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), count, "{found:?}");
        found
    }
}
