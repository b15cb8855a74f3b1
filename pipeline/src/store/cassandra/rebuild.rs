//! The orders written again: a table beside the one in force. Cassandra cannot rename a table, so the name of the one in
//! force stands in the schema's own table, where everybody who connects reads it.

use super::books::ranges;
use super::schema::unavailable;
use super::{CassandraOrders, SERVER, connect};
use crate::block::{Block, BlockRow};
use crate::config;
use crate::money::Currency;
use crate::observe::stores::OneStore;
use crate::rollup::Sums;
use crate::store::schema::CASSANDRA;
use crate::store::{Compared, Ends, Rebuilding, SalesKey, StoreError};
use futures_util::{StreamExt, TryStreamExt};
use scylla::DeserializeRow;
use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Under what the name of the table in force is kept.
const NAME: &str = "orders_table";
/// The two names that it goes to and fro between.
const TABLES: [&str; 2] = ["orders", "orders_rebuilt"];
/// Where a dry run writes.
const DRY: &str = "orders_dry_run";
/// Into how many ranges of the ring a comparison is cut, and how many are compared at once: 32 bytes for each of their
/// orders are in memory.
const RANGES: u32 = 256;
const RANGES_AT_ONCE: usize = 4;
const PAGE_ROWS: i32 = 5_000;

/// What is compared of an order, its place in the log and its figures first.
const COLUMNS: &str = "partition, offset, currency, quantity, total_minor, hour, bucket, order_id, customer_id, source, \
     state, store_id, product_id, category, created_at, received_at";
#[derive(Debug, DeserializeRow)]
#[expect(dead_code, reason = "most columns are only compared, by their text as a whole")]
struct Order {
    partition: i32,
    offset: i64,
    currency: String,
    quantity: i32,
    total_minor: i64,
    hour: CqlTimestamp,
    bucket: i32,
    order_id: String,
    customer_id: i64,
    source: String,
    state: Option<String>,
    store_id: Option<i64>,
    product_id: Option<i64>,
    category: Option<String>,
    created_at: i64,
    received_at: i64,
}

/// The name of the orders' table in force.
pub(super) async fn table_in_force(session: &Session, keyspace: &str) -> Result<&'static str, StoreError> {
    let select = format!("SELECT value FROM {keyspace}.schema_values WHERE name = ?");
    let found = session
        .query_unpaged(select, (NAME,))
        .await
        .map_err(|error| StoreError::Unavailable(format!("{SERVER}: {error}; is the schema applied?")))?;
    let found = found.into_rows_result().map_err(unavailable)?;
    let Some((name,)) = found.maybe_first_row::<(String,)>().map_err(unavailable)? else {
        return Ok(TABLES[0]);
    };
    TABLES.into_iter().find(|table| *table == name).ok_or_else(|| {
        StoreError::Refused(format!("{SERVER}: schema_values names {name} as the orders' table"))
    })
}

/// Fills the table beside the one in force.
pub struct RebuiltOrders {
    session: Arc<Session>,
    config: config::Cassandra,
    buckets: u32,
    metrics: OneStore,
    in_force: &'static str,
    new: &'static str,
    orders: Option<CassandraOrders>,
}

impl RebuiltOrders {
    /// Connects. A dry run writes to a table of its own and leaves the old one of the last rebuild where it is.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn connect(
        config: &config::Cassandra,
        partitions: u32,
        metrics: OneStore,
        dry_run: bool,
    ) -> Result<Self, StoreError> {
        let session = Arc::new(connect(config).await?);
        let in_force = table_in_force(&session, &config.keyspace).await?;
        let other = if in_force == TABLES[0] { TABLES[1] } else { TABLES[0] };
        let buckets = super::buckets(config, partitions);
        let new = if dry_run { DRY } else { other };
        Ok(Self { session, config: config.clone(), buckets, metrics, in_force, new, orders: None })
    }

    /// Deletes the table that was in force before the last rebuild, and says whether there was one.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn drop_old(&self) -> Result<bool, StoreError> {
        let cql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        let found = self.session.query_unpaged(cql, (&self.config.keyspace, self.new)).await;
        let found = found.map_err(unavailable)?.into_rows_result().map_err(unavailable)?;
        self.drop_table(self.new).await?;
        Ok(found.rows_num() > 0)
    }

    async fn drop_table(&self, table: &str) -> Result<(), StoreError> {
        let cql = format!("DROP TABLE IF EXISTS {}.{table}", self.config.keyspace);
        self.session.query_unpaged(cql, ()).await.map(drop).map_err(unavailable)
    }

    async fn put_in_force(&self, table: &str) -> Result<(), StoreError> {
        let cql = format!("INSERT INTO {}.schema_values (name, value) VALUES (?, ?)", self.config.keyspace);
        self.session.query_unpaged(cql, (NAME, table)).await.map(drop).map_err(unavailable)
    }

    async fn scan(&self, table: &str) -> Result<PreparedStatement, StoreError> {
        let range = "token(hour, bucket) >= ? AND token(hour, bucket) <= ?";
        let cql = format!("SELECT {COLUMNS} FROM {}.{table} WHERE {range}", self.config.keyspace);
        let mut prepared = super::prepare(&self.session, &cql).await?;
        prepared.set_page_size(PAGE_ROWS);
        Ok(prepared)
    }

    /// Reads a range of a table, up to these ends.
    async fn read(
        &self,
        scan: &PreparedStatement,
        range: (i64, i64),
        ends: &Ends,
        mut each: impl FnMut(u128, u128),
    ) -> Result<BTreeMap<SalesKey, Sums>, StoreError> {
        let (mut sums, mut from) = (BTreeMap::<SalesKey, Sums>::new(), PagingState::start());
        loop {
            let page = self.session.execute_single_page(scan, range, from).await;
            let (page, next) = page.map_err(unavailable)?;
            let page = page.into_rows_result().map_err(unavailable)?;
            for row in page.rows::<Order>().map_err(unavailable)? {
                let row = row.map_err(unavailable)?;
                if ends.get(&row.partition.cast_unsigned()).is_none_or(|last| row.offset > *last) {
                    continue;
                }
                let currency = Currency::from_code(&row.currency).ok_or_else(|| {
                    StoreError::Refused(format!("an order has the currency {:?}", row.currency))
                })?;
                let key = SalesKey { currency, source: String::new(), state: String::new() };
                sums.entry(key).or_default().add(row.quantity.into(), row.total_minor);
                let place = format!("{} {} {}", row.hour.0, row.bucket, row.order_id);
                each(xxh3_128(place.as_bytes()), xxh3_128(format!("{row:?}").as_bytes()));
            }
            match next.into_paging_control_flow() {
                ControlFlow::Break(()) => return Ok(sums),
                ControlFlow::Continue(next) => from = next,
            }
        }
    }

    async fn compare_range(
        &self,
        scans: &[PreparedStatement; 2],
        range: (i64, i64),
        ends: &Ends,
    ) -> Result<Compared, StoreError> {
        let [old, new] = scans;
        let mut rows = HashMap::new();
        let before = self
            .read(old, range, ends, |place, row| {
                rows.insert(place, row);
            })
            .await?;
        let rows_before = rows.len() as u64;
        let (mut rows_after, mut rows_changed) = (0, 0);
        let after = self
            .read(new, range, ends, |place, row| {
                rows_after += 1;
                rows_changed += u64::from(rows.remove(&place) != Some(row));
            })
            .await?;
        // What is left is not in the new one.
        rows_changed += rows.len() as u64;
        Ok(Compared { rows_before, rows_after, rows_changed, before, after })
    }
}

impl Rebuilding for RebuiltOrders {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.drop_table(self.new).await?;
        for file in CASSANDRA.iter().filter(|file| file.text.contains(".orders (")) {
            for statement in file.statements(&[("keyspace", &self.config.keyspace)]) {
                let own = statement.replace(".orders (", &format!(".{} (", self.new));
                self.session.query_unpaged(own, ()).await.map_err(unavailable)?;
            }
        }
        super::retention::set(&self.session, &self.config, self.new).await?;
        let (session, metrics) = (Arc::clone(&self.session), self.metrics.clone());
        let orders = CassandraOrders::writing(session, &self.config, self.buckets, metrics, self.new).await?;
        self.orders = Some(orders);
        Ok(())
    }

    async fn put(&mut self, block: Block, _: &BlockRow) -> Result<(), StoreError> {
        match &self.orders {
            Some(orders) => orders.put(&block).await,
            None => Err(StoreError::Refused("the new table is not made yet".into())),
        }
    }

    async fn compare(&mut self, ends: &Ends) -> Result<Compared, StoreError> {
        let scans = [self.scan(self.in_force).await?, self.scan(self.new).await?];
        let (this, scans) = (&*self, &scans);
        let compared = futures_util::stream::iter(ranges(RANGES))
            .map(|range| this.compare_range(scans, range, ends))
            .buffer_unordered(RANGES_AT_ONCE);
        compared
            .try_fold(Compared::default(), async |mut all, range| {
                all.merge(range);
                Ok(all)
            })
            .await
    }

    async fn swap(&mut self, _: &Ends) -> Result<(), StoreError> {
        if table_in_force(&self.session, &self.config.keyspace).await? != self.in_force {
            return Err(StoreError::Refused(format!("{SERVER}: another rebuild came first")));
        }
        self.put_in_force(self.new).await
    }

    async fn swap_back(&mut self) -> Result<(), StoreError> {
        self.put_in_force(self.in_force).await
    }

    async fn discard(&mut self) -> Result<(), StoreError> {
        self.drop_table(self.new).await
    }
}
