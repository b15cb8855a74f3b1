//! A reader of the stores over connections that stay open, for who looks again and again.

use super::{embedded, servers};
use crate::config::{Config, Mode};
use crate::store::server::ServerBooks;
use crate::store::sqlite::SqliteBooks;
use crate::store::{Ends, Found, Lookup};
use anyhow::Result;

/// A reader of orders and of how far the rollups are.
pub struct Reader(Books);

enum Books {
    Embedded(SqliteBooks),
    Servers(Box<ServerBooks>),
}

impl Reader {
    /// Connects to the stores of a configuration.
    ///
    /// # Errors
    /// Where they cannot be reached.
    pub async fn open(config: &Config) -> Result<Self> {
        Ok(Self(match config.mode {
            Mode::Embedded => Books::Embedded(embedded::books(config)),
            Mode::Servers => Books::Servers(Box::new(servers::books(config).await?)),
        }))
    }

    /// The order of an id that was created at an instant, in nanoseconds of Unix time.
    ///
    /// # Errors
    /// Where the orders cannot be read.
    pub async fn order_at(&self, order_id: &str, created_at: i64) -> Result<Option<Found>> {
        Ok(match &self.0 {
            Books::Embedded(books) => books.order_at(order_id, created_at).await?,
            Books::Servers(books) => books.order_at(order_id, created_at).await?,
        })
    }

    /// The last offset of each partition that the rollups count.
    ///
    /// # Errors
    /// Where the rollups cannot be read.
    pub async fn ends(&self) -> Result<Ends> {
        Ok(match &self.0 {
            Books::Embedded(books) => books.ends().await?,
            Books::Servers(books) => books.ends().await?,
        })
    }
}
