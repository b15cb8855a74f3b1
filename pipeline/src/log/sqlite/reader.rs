//! The reading side of the embedded log. There is one consumer, in the writer's own process, and all partitions are its.

use super::SqliteLog;
use super::file::{Place, reading_connection, unavailable};
use crate::log::{
    Assignment, Bounds, Consume, Deliveries, Delivery, LogError, LogRecord, ReadLimit, ReadPartition,
};
use bytes::{Bytes, BytesMut};
use rusqlite::Connection;
use std::ops::Range;
use std::time::Duration;
use tokio::sync::watch;

/// Assigns all partitions, once.
#[derive(Debug)]
pub struct SqliteConsumer {
    place: Place,
    ends: Vec<watch::Receiver<i64>>,
    log: Option<SqliteLog>,
}

impl SqliteConsumer {
    pub(super) fn new(place: Place, ends: Vec<watch::Receiver<i64>>, log: SqliteLog) -> Self {
        Self { place, ends, log: Some(log) }
    }
}

impl Consume for SqliteConsumer {
    type Reader = SqliteReader;

    async fn next(&mut self) -> Result<Assignment<SqliteReader>, LogError> {
        let Some(log) = self.log.take() else { return std::future::pending().await };
        let readers = self
            .ends
            .drain(..)
            .zip(0..)
            .map(|(end, partition)| {
                let place = self.place.clone();
                SqliteReader { place, partition, end, log: Some(log.clone()), connection: None }
            })
            .collect();
        Ok(Assignment::Assigned(readers))
    }
}

/// Reads one partition through a connection of its own, on the runtime's threads for blocking work.
#[derive(Debug)]
pub struct SqliteReader {
    place: Place,
    partition: u32,
    end: watch::Receiver<i64>,
    log: Option<SqliteLog>,
    connection: Option<Connection>,
}

impl SqliteReader {
    /// A reader of a log that somebody else may be writing, as the ledger wants it: it sees the log as it is at each
    /// look at its bounds.
    pub fn detached(opened: &super::Opened, partition: u32) -> Self {
        let end = opened.ends.get(partition as usize).copied().unwrap_or_default();
        Self {
            place: opened.place.clone(),
            partition,
            end: watch::channel(end).1,
            log: None,
            connection: None,
        }
    }

    async fn query<T: Send + 'static>(
        &mut self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let connection = self.connection.take();
        let path = self.place.path.clone();
        let work = move || {
            let connection = match connection {
                Some(connection) => connection,
                None => reading_connection(&path)?,
            };
            let found = run(&connection).map_err(unavailable)?;
            Ok((connection, found))
        };
        let (connection, found) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| LogError::Unavailable(error.to_string()))??;
        self.connection = Some(connection);
        Ok(found)
    }
}

impl ReadPartition for SqliteReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    fn topic_id(&self) -> &str {
        &self.place.topic_id
    }

    async fn bounds(&mut self) -> Result<Bounds, LogError> {
        let partition = self.partition;
        let (first, last) = self
            .query(move |connection| {
                // Two queries in one: SQLite looks up a lone min or max, and reads the whole table for both together.
                let table = format!("orders_{partition}");
                let sql =
                    format!("SELECT (SELECT min(offset) FROM {table}), (SELECT max(offset) FROM {table})");
                connection
                    .prepare_cached(&sql)?
                    .query_row([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))
            })
            .await?;
        let end = last.map_or(0, |last| last + 1);
        if self.log.is_none() {
            self.end = watch::channel(end).1;
        }
        Ok(Bounds { first: first.unwrap_or(end), end })
    }

    fn known_end(&self) -> Option<i64> {
        Some(*self.end.borrow())
    }

    async fn offset_at(&mut self, instant: i64) -> Result<Option<i64>, LogError> {
        let sql = format!("SELECT min(offset) FROM orders_{} WHERE received_at >= ?1", self.partition);
        self.query(move |connection| connection.query_row(&sql, [instant], |row| row.get(0))).await
    }

    async fn committed(&mut self) -> Result<Option<i64>, LogError> {
        let partition = self.partition;
        self.query(move |connection| {
            let sql = "SELECT max(next) FROM positions WHERE partition = ?1";
            connection.query_row(sql, [partition], |row| row.get(0))
        })
        .await
    }

    async fn read(
        &mut self,
        from: i64,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<LogRecord>, LogError> {
        // The end is announced after the commit, so what it names can be read.
        let more = tokio::time::timeout(wait, self.end.wait_for(|end| *end > from)).await;
        let writer_has_ended = matches!(more, Ok(Err(_)));
        drop(more);
        if *self.end.borrow() <= from {
            if writer_has_ended {
                tokio::time::sleep(wait).await;
            }
            return Ok(Vec::new());
        }
        let (partition, end) = (self.partition, *self.end.borrow());
        let records = self.query(move |connection| select(connection, partition, from..end, limit)).await?;
        if records.first().is_none_or(|record| record.offset != from) {
            let bounds = self.bounds().await?;
            return Err(LogError::OutOfRange { partition, wanted: from, bounds });
        }
        Ok(records)
    }

    async fn commit(&mut self, next: i64) -> Result<(), LogError> {
        let Some(log) = &self.log else { return Err(LogError::Refused("this reader only reads".into())) };
        match log.commit(self.partition, next).wait().await {
            Deliveries::All(Delivery::Durable) => Ok(()),
            other => Err(LogError::Unavailable(format!("a position was not committed: {other:?}"))),
        }
    }
}

/// Reads rows into one buffer that all their keys and values are slices of.
fn select(
    connection: &Connection,
    partition: u32,
    offsets: Range<i64>,
    limit: ReadLimit,
) -> rusqlite::Result<Vec<LogRecord>> {
    let sql = format!(
        "SELECT offset, key, value, received_at, due_at FROM orders_{partition}
         WHERE offset >= ?1 AND offset < ?2 ORDER BY offset LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let most = i64::try_from(limit.records).unwrap_or(i64::MAX);
    let mut rows = statement.query((offsets.start, offsets.end, most))?;
    let mut arena = BytesMut::new();
    let mut places: Vec<(LogRecord, Option<Range<usize>>, Range<usize>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let mut keep = |bytes: &[u8]| {
            let start = arena.len();
            arena.extend_from_slice(bytes);
            start..arena.len()
        };
        let key = row.get_ref(1)?.as_str_or_null()?.map(|key| keep(key.as_bytes()));
        let value = keep(row.get_ref(2)?.as_blob()?);
        let record = LogRecord {
            offset: row.get(0)?,
            key: None,
            value: Bytes::new(),
            received_at: row.get(3)?,
            due_at: row.get(4)?,
        };
        places.push((record, key, value));
        if arena.len() >= limit.bytes {
            break;
        }
    }
    let arena = arena.freeze();
    let filled = places.into_iter().map(|(record, key, value)| LogRecord {
        key: key.map(|range| arena.slice(range)),
        value: arena.slice(value),
        ..record
    });
    Ok(filled.collect())
}
