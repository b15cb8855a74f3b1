//! What the embedded stores hold, read beside their writer or without one.

use super::rebuild::Rebuilt;
use super::writer::{BLOCK_COLUMNS, block_row};
use super::{CHECKPOINT, check_layout, join, recipes, texts, unavailable};
use crate::block::{BlockRow, RecipeTexts};
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::{Books, Ends, Found, Lookup, SalesKey, StoreError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Params, Row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads the embedded stores' file. Each look opens the file anew and sees one snapshot of it.
#[derive(Clone, Debug)]
pub struct SqliteBooks {
    path: PathBuf,
}

impl SqliteBooks {
    /// The books of a file.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let connection = self.connect()?;
        let mut statement = connection.prepare(sql).map_err(unavailable)?;
        let rows = statement.query_map(params, read).map_err(unavailable)?;
        rows.collect::<Result<_, _>>().map_err(unavailable)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(|error| {
            StoreError::Refused(format!("{} cannot be opened: {error}", self.path.display()))
        })?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 10000;")
            .map_err(unavailable)?;
        check_layout(&connection, &self.path)?;
        Ok(connection)
    }
}

impl Lookup for SqliteBooks {
    async fn order(&self, order_id: &str, _: Option<i64>) -> Result<Option<Found>, StoreError> {
        let sql = "SELECT * FROM orders WHERE order_id = ?1";
        let found = self.rows(sql, [order_id], |row| {
            let names = row.as_ref().column_names();
            names.enumerate().map(|(at, name)| Ok((name.to_owned(), text(row, at)?))).collect()
        })?;
        Ok(found.into_iter().next())
    }

    async fn order_at(&self, order_id: &str, _: i64) -> Result<Option<Found>, StoreError> {
        self.order(order_id, None).await
    }

    async fn ends(&self) -> Result<Ends, StoreError> {
        ends(&self.connect()?).map_err(unavailable)
    }
}

/// A column as a person reads it.
fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => String::new(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

impl Books for SqliteBooks {
    async fn blocks(&self) -> Result<Vec<BlockRow>, StoreError> {
        self.rows(&format!("SELECT {BLOCK_COLUMNS} FROM blocks ORDER BY partition, first"), [], block_row)
    }

    async fn recipes(&self) -> Result<RecipeTexts, StoreError> {
        recipes(&self.connect()?).map_err(unavailable)
    }

    async fn checkpoints(&self) -> Result<BTreeMap<String, String>, StoreError> {
        texts(&self.connect()?, CHECKPOINT).map_err(unavailable)
    }

    async fn keep_checkpoints(&self, checkpoints: &BTreeMap<String, String>) -> Result<(), StoreError> {
        let connection = self.connect()?;
        let keep = || {
            connection.execute_batch("PRAGMA query_only = OFF; BEGIN IMMEDIATE;")?;
            for (name, text) in checkpoints {
                let row = (format!("{CHECKPOINT}{name}"), text);
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?1, ?2)", row)?;
            }
            connection.execute_batch("COMMIT;")
        };
        keep().map_err(unavailable)
    }

    async fn orders(&self, ends: &Ends) -> Result<BTreeMap<(u32, Currency), Sums>, StoreError> {
        // The totals are added up in two parts that cannot overflow: an order's total is at most 10^13.
        let ends: Vec<_> = ends.iter().map(|(partition, last)| format!("({partition}, {last})")).collect();
        if ends.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "WITH ends (partition, last) AS (VALUES {})
             SELECT partition, currency, count(*), sum(quantity), sum(total_minor / 1000000),
             sum(total_minor % 1000000) FROM orders JOIN ends USING (partition) WHERE offset <= last
             GROUP BY partition, currency",
            ends.join(", ")
        );
        let rows = self.rows(&sql, [], |row| {
            let (high, low): (i64, i64) = (row.get(4)?, row.get(5)?);
            let total_minor = i128::from(high) * 1_000_000 + i128::from(low);
            let sums =
                Sums { orders: row.get::<_, i64>(2)?.cast_unsigned(), quantity: row.get(3)?, total_minor };
            Ok(((row.get(0)?, currency(row, 1)?), sums))
        })?;
        Ok(rows.into_iter().collect())
    }

    async fn sales_and_ends(&self) -> Result<(BTreeMap<SalesKey, Sums>, Ends), StoreError> {
        let connection = self.connect()?;
        let both = || {
            // A transaction sees one state of the file.
            connection.execute_batch("BEGIN")?;
            Ok((sales(&connection)?, ends(&connection)?))
        };
        both().map_err(unavailable)
    }

    async fn sales(&self) -> Result<BTreeMap<SalesKey, Sums>, StoreError> {
        sales(&self.connect()?).map_err(unavailable)
    }
}

fn sales(connection: &Connection) -> rusqlite::Result<BTreeMap<SalesKey, Sums>> {
    sums(connection, Rebuilt::Rollups, "sales_by_minute")
}

/// The sums of a table of rollups by currency, source and state, or of orders by currency alone.
pub(super) fn sums(
    connection: &Connection,
    what: Rebuilt,
    table: &str,
) -> rusqlite::Result<BTreeMap<SalesKey, Sums>> {
    let columns = match what {
        Rebuilt::Rollups => "source, state, sum(orders), sum(quantity), sum(total_high), sum(total_low)",
        // An order's total is at most 10^13, so that neither half overflows.
        Rebuilt::Orders => {
            "'', '', count(*), sum(quantity), sum(total_minor / 1000000), sum(total_minor % 1000000)"
        }
    };
    let sql = format!("SELECT currency, {columns} FROM {table} GROUP BY 1, 2, 3");
    let mut select = connection.prepare(&sql)?;
    let rows = select.query_map((), |row| {
        let key = SalesKey { currency: currency(row, 0)?, source: row.get(1)?, state: row.get(2)? };
        let (high, low): (i64, i64) = (row.get(5)?, row.get(6)?);
        let total_minor = match what {
            Rebuilt::Rollups => join(high, low),
            Rebuilt::Orders => i128::from(high) * 1_000_000 + i128::from(low),
        };
        let sums = Sums { orders: row.get::<_, i64>(3)?.cast_unsigned(), quantity: row.get(4)?, total_minor };
        Ok((key, sums))
    })?;
    rows.collect()
}

fn ends(connection: &Connection) -> rusqlite::Result<Ends> {
    let mut select = connection.prepare("SELECT partition, max(last) FROM blocks GROUP BY partition")?;
    let rows = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn currency(row: &Row<'_>, at: usize) -> rusqlite::Result<Currency> {
    let code: String = row.get(at)?;
    Currency::from_code(&code).ok_or(rusqlite::Error::InvalidQuery)
}
