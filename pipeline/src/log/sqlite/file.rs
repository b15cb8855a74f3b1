//! The file of the embedded log: its schema, its identity, and the checks at opening.

use crate::log::LogError;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};

/// The version of the file's layout.
const LAYOUT: &str = "1";

/// After how many pages of the write-ahead log SQLite copies them into the file.
pub const CHECKPOINT_PAGES: u32 = 1_000;

/// Which dead letters were sent again. It is made in files that were there before it, too.
const REPLAYED: &str = "CREATE TABLE IF NOT EXISTS replayed (
    partition INTEGER NOT NULL, offset INTEGER NOT NULL, replayed_at INTEGER NOT NULL, order_id TEXT NOT NULL,
    outcome TEXT NOT NULL, PRIMARY KEY (partition, offset));";

/// Where the file is and what it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The identity of the topic.
    pub topic_id: String,
    /// The number of partitions.
    pub partitions: u32,
}

/// An opened log.
#[derive(Debug)]
pub struct Opened {
    pub(super) connection: Connection,
    /// Where it is.
    pub place: Place,
    /// The offset that the next record of each partition will get.
    pub ends: Vec<i64>,
}

/// Opens the log for writing, and makes it if there is none.
///
/// # Errors
/// [`LogError::Refused`] where the file has another layout or another number of partitions; else what SQLite says.
pub fn open(path: &Path, partitions: u32, cache_bytes: usize) -> Result<Opened, LogError> {
    let connection = Connection::open(path).map_err(unavailable)?;
    // Rows are only appended, so the larger the page, the fewer pages a commit writes twice: 16 KiB took 60 % of the
    // time that 4 KiB did.
    let cache = cache_bytes / 1024;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA cache_size = -{cache}; PRAGMA busy_timeout = 10000;"
        ))
        .map_err(unavailable)?;
    if !connection.table_exists(None, "meta").map_err(unavailable)? {
        create(&connection, partitions).map_err(unavailable)?;
    }
    connection.execute_batch(REPLAYED).map_err(unavailable)?;
    opened(connection, path, Some(partitions))
}

/// Opens the log for reading, beside a writer or without one.
///
/// # Errors
/// As [`open`], and where there is no such file.
pub fn open_for_reading(path: &Path) -> Result<Opened, LogError> {
    opened(reading_connection(path)?, path, None)
}

/// A connection that reads only.
pub(super) fn reading_connection(path: &Path) -> Result<Connection, LogError> {
    // Not SQLITE_OPEN_READ_ONLY: whoever reads a WAL file that nobody has open must be able to recover it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| LogError::Refused(format!("{} cannot be opened: {error}", path.display())))?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 10000;").map_err(unavailable)?;
    Ok(connection)
}

fn opened(connection: Connection, path: &Path, wanted: Option<u32>) -> Result<Opened, LogError> {
    let meta = |key: &str| -> Result<String, LogError> {
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(unavailable)?
            .ok_or_else(|| LogError::Refused(format!("{} is no log of this program", path.display())))
    };
    let layout = meta("layout")?;
    if layout != LAYOUT {
        return Err(LogError::Refused(format!(
            "{}: its layout is {layout}, this build reads {LAYOUT}",
            path.display()
        )));
    }
    let partitions: u32 = meta("partitions")?.parse().unwrap_or(0);
    if let Some(wanted) = wanted.filter(|wanted| *wanted != partitions) {
        return Err(LogError::Refused(format!(
            "log.partitions is {wanted}, but {} has {partitions}: the number decides where an order id belongs, so it \
             cannot change under the data",
            path.display()
        )));
    }
    let topic_id = meta("topic_id")?;
    let ends = read_ends(&connection, partitions).map_err(unavailable)?;
    Ok(Opened { connection, place: Place { path: path.to_owned(), topic_id, partitions }, ends })
}

/// The offset that the next record of each partition will get.
pub(super) fn read_ends(connection: &Connection, partitions: u32) -> rusqlite::Result<Vec<i64>> {
    let end = |partition| {
        let sql = format!("SELECT coalesce(max(offset) + 1, 0) FROM orders_{partition}");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    (0..partitions).map(end).collect()
}

fn create(connection: &Connection, partitions: u32) -> rusqlite::Result<()> {
    let mut sql = String::from(
        "BEGIN;
         CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE positions (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
         CREATE TABLE dead (
            partition INTEGER NOT NULL, offset INTEGER NOT NULL, key TEXT, value BLOB NOT NULL,
            received_at INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
            PRIMARY KEY (partition, offset));",
    );
    let mut all = Vec::new();
    for partition in 0..partitions {
        sql.push_str(&format!(
            "CREATE TABLE orders_{partition} (offset INTEGER PRIMARY KEY, key TEXT, value BLOB NOT NULL,
             received_at INTEGER NOT NULL, due_at INTEGER);"
        ));
        all.push(format!(
            "SELECT {partition} AS partition, offset, key, CAST(value AS TEXT) AS value, received_at, due_at
             FROM orders_{partition}"
        ));
    }
    // For people who look into the file with a shell.
    sql.push_str(&format!("CREATE VIEW records AS {};", all.join(" UNION ALL ")));
    sql.push_str(&format!(
        "INSERT INTO meta VALUES ('layout', '{LAYOUT}'), ('partitions', '{partitions}'), ('topic_id', '{}'); COMMIT;",
        uuid::Uuid::now_v7()
    ));
    connection.execute_batch(&sql)
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can stand in map_err")]
pub(super) fn unavailable(error: rusqlite::Error) -> LogError {
    LogError::Unavailable(error.to_string())
}
