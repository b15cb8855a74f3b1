//! What the orders store holds: its sums for the ledger, and one order for whoever asks.

use super::rebuild::table_in_force;
use super::row::{bucket, place};
use super::schema::unavailable;
use super::{connect, prepare};
use crate::config;
use crate::money::Currency;
use crate::rollup::Sums;
use crate::store::{Ends, Found, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlValue, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Into how many ranges a scan cuts the ring, and how many of them it reads at once. A page of each is in memory.
const RANGES: u32 = 64;
const RANGES_AT_ONCE: usize = 4;
/// Rows of one page.
const PAGE_ROWS: i32 = 5_000;
/// How many hours an order is looked for in at once, where its hour is not known.
const HOURS_AT_ONCE: usize = 16;

/// Sums by the log's partition and currency.
type Scanned = BTreeMap<(u32, Currency), Sums>;

/// Reads the orders store.
#[derive(Debug)]
pub struct CassandraBooks {
    session: Arc<Session>,
    scan: PreparedStatement,
    places: PreparedStatement,
    order: PreparedStatement,
    buckets: u32,
}

impl CassandraBooks {
    /// Connects for reading alone.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn connect(config: &config::Cassandra, partitions: u32) -> Result<Self, StoreError> {
        let session = Arc::new(connect(config).await?);
        Self::new(session, config, super::buckets(config, partitions)).await
    }

    pub(super) async fn new(
        session: Arc<Session>,
        config: &config::Cassandra,
        buckets: u32,
    ) -> Result<Self, StoreError> {
        let table = format!("{}.{}", config.keyspace, table_in_force(&session, &config.keyspace).await?);
        let range = "token(hour, bucket) >= ? AND token(hour, bucket) <= ?";
        let paged = async |cql: &str| {
            let mut prepared = prepare(&session, cql).await?;
            prepared.set_page_size(PAGE_ROWS);
            Ok::<_, StoreError>(prepared)
        };
        let scan =
            format!("SELECT partition, offset, currency, quantity, total_minor FROM {table} WHERE {range}");
        let places = format!("SELECT DISTINCT hour, bucket FROM {table} WHERE {range}");
        let order = format!("SELECT * FROM {table} WHERE hour = ? AND bucket = ? AND order_id = ?");
        let (scan, places, order) =
            (paged(&scan).await?, paged(&places).await?, prepare(&session, &order).await?);
        Ok(Self { session, scan, places, order, buckets })
    }

    /// The sums of all orders up to these ends, read range by range of the ring.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn sums(&self, ends: &Ends) -> Result<Scanned, StoreError> {
        let mut all = Scanned::new();
        self.over_ring(
            |range| self.sums_of(range, ends),
            |sums: Scanned| {
                for (key, sums) in sums {
                    all.entry(key).or_default().merge(sums);
                }
            },
        )
        .await?;
        Ok(all)
    }

    async fn sums_of(&self, range: (i64, i64), ends: &Ends) -> Result<Scanned, StoreError> {
        let mut all = Scanned::new();
        let mut from = PagingState::start();
        loop {
            let page = self.session.execute_single_page(&self.scan, range, from).await;
            let (page, next) = page.map_err(unavailable)?;
            let page = page.into_rows_result().map_err(unavailable)?;
            for row in page.rows::<(i32, i64, &str, i32, i64)>().map_err(unavailable)? {
                let (partition, offset, code, quantity, total_minor) = row.map_err(unavailable)?;
                if ends.get(&partition.cast_unsigned()).is_none_or(|last| offset > *last) {
                    continue;
                }
                let currency = Currency::from_code(code)
                    .ok_or_else(|| StoreError::Refused(format!("an order has the currency {code:?}")))?;
                let sums = all.entry((partition.cast_unsigned(), currency)).or_default();
                sums.add(quantity.into(), total_minor);
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(all),
                ControlFlow::Continue(next) => from = next,
            }
        }
    }

    /// The order of an id. Its hour is tried first where it is known or the id tells it, as a UUID of version 7 does for
    /// an order that was not dated by its sender; else every hour that the store holds is looked into, newest first.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn order(&self, order_id: &str, created_at: Option<i64>) -> Result<Option<Found>, StoreError> {
        let told = uuid::Uuid::try_parse(order_id).ok().and_then(|id| id.get_timestamp()).map(|time| {
            let (seconds, nanos) = time.to_unix();
            i64::try_from(seconds).unwrap_or(0).saturating_mul(crate::time::SECOND) + i64::from(nanos)
        });
        for instant in created_at.into_iter().chain(told) {
            let (hour, _) = place(instant, order_id, self.buckets);
            if let Some(found) = self.order_in(hour, order_id).await? {
                return Ok(Some(found));
            }
        }
        let own = bucket(order_id, self.buckets);
        let mut hours = BTreeSet::new();
        self.over_ring(|range| self.hours_of(range, own), |some: Vec<i64>| hours.extend(some)).await?;
        let mut left = hours.into_iter().rev();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < HOURS_AT_ONCE
                && let Some(hour) = left.next()
            {
                under_way.push(self.order_in(CqlTimestamp(hour), order_id));
            }
            match under_way.next().await {
                None => return Ok(None),
                Some(found) => {
                    if let Some(found) = found? {
                        return Ok(Some(found));
                    }
                }
            }
        }
    }

    /// The order of an id that was created at an instant.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn order_at(&self, order_id: &str, created_at: i64) -> Result<Option<Found>, StoreError> {
        self.order_in(place(created_at, order_id, self.buckets).0, order_id).await
    }

    /// The hours of a bucket within a range of the ring.
    async fn hours_of(&self, range: (i64, i64), own: i32) -> Result<Vec<i64>, StoreError> {
        let mut hours = Vec::new();
        let mut from = PagingState::start();
        loop {
            let page = self.session.execute_single_page(&self.places, range, from).await;
            let (page, next) = page.map_err(unavailable)?;
            let page = page.into_rows_result().map_err(unavailable)?;
            for row in page.rows::<(CqlTimestamp, i32)>().map_err(unavailable)? {
                let (hour, bucket) = row.map_err(unavailable)?;
                if bucket == own {
                    hours.push(hour.0);
                }
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(hours),
                ControlFlow::Continue(next) => from = next,
            }
        }
    }

    async fn order_in(&self, hour: CqlTimestamp, order_id: &str) -> Result<Option<Found>, StoreError> {
        let key = (hour, bucket(order_id, self.buckets), order_id);
        let found = self.session.execute_unpaged(&self.order, key).await.map_err(unavailable)?;
        let found = found.into_rows_result().map_err(unavailable)?;
        let Some(row) = found.maybe_first_row::<Row>().map_err(unavailable)? else { return Ok(None) };
        let names = found.column_specs().iter().map(|column| column.name().to_owned());
        let shown = row.columns.into_iter().map(|value| value.map_or_else(String::new, text));
        Ok(Some(names.zip(shown).filter(|(name, _)| !matches!(name.as_str(), "hour" | "bucket")).collect()))
    }

    /// Reads each range of the ring, some at once.
    async fn over_ring<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        read: impl Fn((i64, i64)) -> F,
        mut take: impl FnMut(T),
    ) -> Result<(), StoreError> {
        let mut left = ranges(RANGES);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < RANGES_AT_ONCE
                && let Some(range) = left.next()
            {
                under_way.push(read(range));
            }
            match under_way.next().await {
                None => return Ok(()),
                Some(read) => take(read?),
            }
        }
    }
}

/// The ring of 64-bit tokens in so many ranges, a power of two, each from its first token to its last.
pub(super) fn ranges(count: u32) -> impl Iterator<Item = (i64, i64)> {
    let step = u64::MAX / u64::from(count) + 1;
    (0..u64::from(count)).map(move |number| {
        let first = i64::MIN.wrapping_add_unsigned(number * step);
        (first, first.wrapping_add_unsigned(step - 1))
    })
}

/// A column as a person reads it.
fn text(value: CqlValue) -> String {
    match value {
        CqlValue::Text(text) | CqlValue::Ascii(text) => text,
        CqlValue::Int(number) => number.to_string(),
        CqlValue::BigInt(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_are_the_whole_ring_without_a_gap() {
        let ranges: Vec<_> = ranges(RANGES).collect();
        assert_eq!(ranges.len(), RANGES as usize);
        assert_eq!((ranges[0].0, ranges[63].1), (i64::MIN, i64::MAX));
        assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    }
}
