//! The dead letters of the embedded log, read beside its writer or without one.

use super::file::{open_for_reading, reading_connection, unavailable};
use crate::log::LogError;
use crate::log::dead::{DeadLetters, DeadPlace, DeadRecord, Letter, Replayed};
use bytes::Bytes;
use rusqlite::Row;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Reads the table of dead letters.
#[derive(Clone, Debug)]
pub struct SqliteDead {
    path: PathBuf,
}

impl SqliteDead {
    /// The dead letters of a log's file.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl DeadLetters for SqliteDead {
    fn read(&self, each: &mut dyn FnMut(DeadRecord) -> ControlFlow<()>) -> Result<(), LogError> {
        let topic_id = open_for_reading(&self.path)?.place.topic_id;
        let connection = reading_connection(&self.path)?;
        // A file from before notes were kept has none.
        let notes = connection.table_exists(None, "replayed").map_err(unavailable)?;
        let sql = if notes {
            "SELECT dead.*, replayed_at, order_id, outcome FROM dead LEFT JOIN replayed USING (partition, offset)
             ORDER BY partition, offset"
        } else {
            "SELECT dead.*, NULL AS replayed_at FROM dead ORDER BY partition, offset"
        };
        let mut select = connection.prepare(sql).map_err(unavailable)?;
        let mut rows = select.query(()).map_err(unavailable)?;
        while let Some(row) = rows.next().map_err(unavailable)? {
            let (letter, note) = read(row, &topic_id).map_err(unavailable)?;
            let note = note.map(DeadRecord::Replayed);
            for record in [Some(DeadRecord::Letter(letter)), note].into_iter().flatten() {
                if each(record).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn read(row: &Row<'_>, topic_id: &str) -> rusqlite::Result<(Letter, Option<Replayed>)> {
    let place = DeadPlace {
        partition: row.get("partition")?,
        offset: row.get("offset")?,
        topic_id: topic_id.to_owned(),
    };
    let received_at: i64 = row.get("received_at")?;
    let (reason, detail): (String, String) = (row.get("reason")?, row.get("detail")?);
    let headers = [
        ("topic_id", topic_id.to_owned()),
        ("partition", place.partition.to_string()),
        ("offset", place.offset.to_string()),
        ("received_at", received_at.to_string()),
        ("reason", reason.clone()),
        ("detail", detail.clone()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value))).into();
    let note = match row.get("replayed_at")? {
        None => None,
        Some(at) => {
            let (order_id, outcome) = (row.get("order_id")?, row.get("outcome")?);
            Some(Replayed { place: place.clone(), at, order_id, outcome })
        }
    };
    let key = row.get::<_, Option<String>>("key")?.map(Bytes::from);
    let value = row.get::<_, Vec<u8>>("value")?.into();
    Ok((Letter { place, key, value, received_at, reason, detail, headers }, note))
}
