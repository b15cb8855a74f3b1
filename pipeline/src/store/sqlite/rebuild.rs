//! Orders or rollups counted again, within one transaction: the tables in force get other names, empty ones take theirs,
//! and nobody sees any of it before the whole is committed.

use super::books::sums;
use super::writer::{ADD_SUMS, UPSERT_ORDER, add_sums, insert_block, upsert_order};
use super::{CHECKPOINT, ORDERS, ROLLUPS, check_layout, unavailable};
use crate::block::{Block, BlockRow};
use crate::store::{Compared, Ends, Rebuilding, StoreError};
use rusqlite::Connection;
use std::path::Path;

/// Which tables are rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The orders.
    Orders,
    /// The sums and the blocks.
    Rollups,
}

impl Rebuilt {
    const fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &["orders"],
            Self::Rollups => &["sales_by_minute", "blocks"],
        }
    }

    /// The table that is compared, and its key.
    const fn compared(self) -> (&'static str, &'static str) {
        match self {
            Self::Orders => ("orders", "order_id"),
            Self::Rollups => ("sales_by_minute", "minute, currency, source, state, category"),
        }
    }
}

/// The stores' file while it is rebuilt. Nobody else writes to it: the data folder is locked.
pub struct RebuiltFile {
    connection: Connection,
    what: Rebuilt,
}

impl RebuiltFile {
    /// Opens the file.
    ///
    /// # Errors
    /// Where there is none, or of another layout.
    pub fn open(path: &Path, what: Rebuilt) -> Result<Self, StoreError> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| StoreError::Refused(format!("{} cannot be opened: {error}", path.display())))?;
        // The views go on naming the tables in force.
        connection
            .execute_batch(
                "PRAGMA legacy_alter_table = ON; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;",
            )
            .map_err(unavailable)?;
        check_layout(&connection, path)?;
        Ok(Self { connection, what })
    }

    /// Deletes the tables that were in force before the last rebuild, and says whether there were any.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn drop_old(&self) -> Result<bool, StoreError> {
        let mut there = false;
        for table in self.what.tables() {
            let old = format!("{table}_old");
            there |= self.connection.table_exists(None, old.as_str()).map_err(unavailable)?;
            self.run(&format!("DROP TABLE IF EXISTS {old};"))?;
        }
        Ok(there)
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(unavailable)
    }

    fn number(&self, sql: &str) -> Result<u64, StoreError> {
        let number: i64 = self.connection.query_row(sql, [], |row| row.get(0)).map_err(unavailable)?;
        Ok(number.cast_unsigned())
    }

    fn store(&self, block: &Block, kept: &BlockRow) -> rusqlite::Result<()> {
        match self.what {
            Rebuilt::Orders => {
                let mut upsert = self.connection.prepare_cached(UPSERT_ORDER)?;
                for order in &block.orders {
                    upsert_order(&mut upsert, block.row.partition, order)?;
                }
            }
            Rebuilt::Rollups => {
                let mut add = self.connection.prepare_cached(ADD_SUMS)?;
                for (key, sums) in &block.sums {
                    add_sums(&mut add, key, sums)?;
                }
                let row = BlockRow { inserted_at: kept.inserted_at, ..block.row.clone() };
                insert_block(&self.connection, &row)?;
            }
        }
        Ok(())
    }
}

impl Rebuilding for RebuiltFile {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE;")?;
        for table in self.what.tables() {
            self.run(&format!(
                "DROP TABLE IF EXISTS {table}_old; ALTER TABLE {table} RENAME TO {table}_old;"
            ))?;
        }
        self.run(match self.what {
            Rebuilt::Orders => ORDERS,
            Rebuilt::Rollups => ROLLUPS,
        })
    }

    async fn put(&mut self, block: Block, kept: &BlockRow) -> Result<(), StoreError> {
        self.store(&block, kept).map_err(unavailable)
    }

    async fn compare(&mut self, _: &Ends) -> Result<Compared, StoreError> {
        let (new, key) = self.what.compared();
        let old = format!("{new}_old");
        let differs = |one: &str, other: &str| {
            format!("SELECT {key} FROM (SELECT * FROM {one} EXCEPT SELECT * FROM {other})")
        };
        let rows_changed =
            format!("SELECT count(*) FROM ({} UNION {})", differs(new, &old), differs(&old, new));
        Ok(Compared {
            rows_before: self.number(&format!("SELECT count(*) FROM {old}"))?,
            rows_after: self.number(&format!("SELECT count(*) FROM {new}"))?,
            rows_changed: self.number(&rows_changed)?,
            before: sums(&self.connection, self.what, &old).map_err(unavailable)?,
            after: sums(&self.connection, self.what, new).map_err(unavailable)?,
        })
    }

    async fn swap(&mut self, _: &Ends) -> Result<(), StoreError> {
        // Checkpoints were counted against what was in force; a rebuild has all blocks from the first on and needs none.
        if self.what == Rebuilt::Rollups {
            self.run(&format!("DELETE FROM meta WHERE key LIKE '{CHECKPOINT}%';"))?;
        }
        self.run("COMMIT;")
    }

    async fn swap_back(&mut self) -> Result<(), StoreError> {
        Err(StoreError::Refused("what was committed cannot be taken back".into()))
    }

    async fn discard(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK;")
    }
}
