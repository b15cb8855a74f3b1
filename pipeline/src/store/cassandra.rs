//! The orders store: every order is a row in Cassandra, upserted by its id.
//!
//! The rows of one Cassandra partition go together in unlogged batches, which the node applies as one mutation each: that
//! is what makes it fast. What failed for a reason that passes is sent again; an upsert that is repeated changes nothing.
//! The driver itself repeats nothing, so that there is one place that decides.

mod batches;
mod books;
mod rebuild;
mod retention;
mod retry;
mod row;
mod schema;

pub use books::CassandraBooks;
pub use rebuild::RebuiltOrders;
pub use row::hour;
pub use schema::{apply, check};

use super::StoreError;
use crate::backoff::{Backoff, jitter};
use crate::block::Block;
use crate::config::{self, Consistency};
use crate::observe::stores::OneStore;
use batches::Batches;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use retry::{Verdict, judge};
use row::{INSERT, OrderRow};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression, PoolSize};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// The server's name in reports and errors.
const SERVER: &str = "Cassandra";

/// How many buckets the orders of an hour are spread over.
pub fn buckets(config: &config::Cassandra, partitions: u32) -> u32 {
    partitions.saturating_mul(config.buckets_per_partition)
}

/// The rows of a block as [`CassandraOrders::put`] sends them: in batches of one Cassandra partition each, within the
/// limits of the configuration.
pub fn batches<'b>(
    block: &'b Block,
    buckets: u32,
    config: &config::Cassandra,
) -> impl Iterator<Item = Vec<impl SerializeRow + 'b>> {
    Batches::of(block, buckets, config.batch_rows, config.batch_bytes)
}

/// The writing side of the orders store.
pub struct CassandraOrders {
    session: Arc<Session>,
    insert: PreparedStatement,
    /// A batch of the greatest number of rows, made once.
    full: Batch,
    config: config::Cassandra,
    buckets: u32,
    /// The table that it writes to.
    table: &'static str,
    /// The batches that may be under way, over all blocks.
    in_flight: Semaphore,
    metrics: OneStore,
}

impl CassandraOrders {
    /// Connects, and prepares what is written. The schema must be there.
    ///
    /// # Errors
    /// What the nodes say, or that there is none.
    pub async fn connect(
        config: &config::Cassandra,
        partitions: u32,
        metrics: OneStore,
    ) -> Result<Self, StoreError> {
        let session = Arc::new(connect(config).await?);
        let table = rebuild::table_in_force(&session, &config.keyspace).await?;
        Self::writing(session, config, buckets(config, partitions), metrics, table).await
    }

    /// Prepares what is written to a table.
    async fn writing(
        session: Arc<Session>,
        config: &config::Cassandra,
        buckets: u32,
        metrics: OneStore,
        table: &'static str,
    ) -> Result<Self, StoreError> {
        let into = format!("{}.{table}", config.keyspace);
        let insert = prepare(&session, &INSERT.replace("{table}", &into)).await?;
        let full = batch_of(&insert, config.batch_rows);
        Ok(Self {
            session,
            insert,
            full,
            config: config.clone(),
            buckets,
            table,
            in_flight: Semaphore::new(config.in_flight),
            metrics,
        })
    }

    /// Looks again whether the table that it writes to is the one in force: a rebuild may have put another one there since
    /// it connected.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where it is not; what the nodes say.
    pub async fn check_table(&self) -> Result<(), StoreError> {
        let in_force = rebuild::table_in_force(&self.session, &self.config.keyspace).await?;
        if in_force == self.table {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "{SERVER}: a rebuild has put the table {in_force} in the place of {} just now; start again",
            self.table
        )))
    }

    /// What the ledger reads.
    ///
    /// # Errors
    /// What the nodes say.
    pub async fn books(&self) -> Result<CassandraBooks, StoreError> {
        CassandraBooks::new(Arc::clone(&self.session), &self.config, self.buckets).await
    }

    /// Writes the orders of a block, and returns when all are acknowledged.
    ///
    /// # Errors
    /// Where the nodes refuse a row, or a batch is still failing when the time for it is over. Some of the block's rows
    /// may be written then.
    pub async fn put(&self, block: &Block) -> Result<(), StoreError> {
        let started = Instant::now();
        let Self { config, buckets, .. } = self;
        let mut left = Batches::of(block, *buckets, config.batch_rows, config.batch_bytes);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < self.config.in_flight
                && let Some(batch) = left.next()
            {
                under_way.push(self.write(batch, started));
            }
            match under_way.next().await {
                Some(written) => written?,
                None => return Ok(()),
            }
        }
    }

    /// Writes rows of one Cassandra partition, again and again while that helps.
    async fn write(&self, rows: Vec<OrderRow<'_>>, started: Instant) -> Result<(), StoreError> {
        let mut left = vec![rows.as_slice()];
        let mut backoff = Backoff::new(self.config.retry_pause, self.config.retry_pause_max);
        while let Some(rows) = left.pop() {
            let Err((verdict, error)) = self.send(rows).await else { continue };
            match verdict {
                Verdict::Split if rows.len() > 1 => {
                    let (one, other) = rows.split_at(rows.len() / 2);
                    left.extend([one, other]);
                }
                Verdict::Again if started.elapsed() < self.config.retry_for => {
                    left.push(rows);
                    self.metrics.request_retries.inc();
                    // Without a connection the driver fails within microseconds, so every try waits.
                    tokio::time::sleep(backoff.pause(jitter())).await;
                }
                Verdict::Again => return Err(StoreError::Unavailable(format!("{SERVER}: {error}"))),
                Verdict::Split | Verdict::Refused => {
                    return Err(StoreError::Refused(format!("{SERVER}: {error}")));
                }
            }
        }
        Ok(())
    }

    async fn send(&self, rows: &[OrderRow<'_>]) -> Result<(), (Verdict, String)> {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Err((Verdict::Refused, "the store is closed".into()));
        };
        let _under_way = self.metrics.requests_in_flight();
        let sent = Instant::now();
        let written = match rows {
            [row] => self.session.execute_unpaged(&self.insert, row).await,
            rows => self.session.batch(&self.batch(rows.len()), rows).await,
        };
        match written {
            Ok(_) => {
                self.metrics.request_seconds.observe(sent.elapsed().as_secs_f64());
                self.metrics.sent_bytes.inc_by(rows.iter().map(OrderRow::size).sum::<usize>() as u64);
                self.metrics.rows.inc_by(rows.len() as u64);
                Ok(())
            }
            Err(error) => {
                let (verdict, kind) = judge(&error);
                self.metrics.errors(kind);
                Err((verdict, error.to_string()))
            }
        }
    }

    fn batch(&self, rows: usize) -> Cow<'_, Batch> {
        if rows == self.full.statements.len() {
            Cow::Borrowed(&self.full)
        } else {
            Cow::Owned(batch_of(&self.insert, rows))
        }
    }
}

fn batch_of(insert: &PreparedStatement, rows: usize) -> Batch {
    let statement = BatchStatement::PreparedStatement(insert.clone());
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement; rows]);
    batch.set_is_idempotent(true);
    batch
}

/// Connects to the nodes of a configuration.
async fn connect(config: &config::Cassandra) -> Result<Session, StoreError> {
    let consistency = match config.consistency {
        Consistency::One => scylla::statement::Consistency::One,
        Consistency::Quorum => scylla::statement::Consistency::Quorum,
        Consistency::All => scylla::statement::Consistency::All,
        Consistency::LocalOne => scylla::statement::Consistency::LocalOne,
        Consistency::LocalQuorum => scylla::statement::Consistency::LocalQuorum,
        Consistency::EachQuorum => scylla::statement::Consistency::EachQuorum,
    };
    let mut balancing = DefaultPolicy::builder().token_aware(true);
    if !config.datacenter.is_empty() {
        balancing = balancing.prefer_datacenter(config.datacenter.clone()).permit_dc_failover(false);
    }
    let profile = ExecutionProfile::builder()
        .consistency(consistency)
        .request_timeout(Some(config.request_timeout))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .load_balancing_policy(balancing.build())
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.nodes)
        .connection_timeout(config.connect_timeout)
        .hostname_resolution_timeout(Some(config.connect_timeout))
        .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
        .compression(config.compression.then_some(Compression::Lz4))
        .keyspaces_to_fetch([&config.keyspace])
        .default_execution_profile_handle(profile.into_handle());
    if !config.user.is_empty() {
        builder = builder.user(&config.user, config.password.expose());
    }
    #[cfg(feature = "cassandra-tls")]
    if let Some(authorities) = &config.authorities {
        builder = builder.tls_context(Some(authorities.client()));
    }
    let nodes = || config.nodes.join(", ");
    // The driver's own time-outs are for each step; together they could take for ever.
    match tokio::time::timeout(config.connect_timeout * 4, builder.build()).await {
        Ok(session) => {
            session.map_err(|error| StoreError::Unavailable(format!("{SERVER} at {}: {error}", nodes())))
        }
        Err(_) => Err(StoreError::Unavailable(format!("{SERVER} at {}: no answer", nodes()))),
    }
}

async fn prepare(session: &Session, cql: &str) -> Result<PreparedStatement, StoreError> {
    let mut prepared = session
        .prepare(cql)
        .await
        .map_err(|error| StoreError::Unavailable(format!("{SERVER}: {error}; is the schema applied?")))?;
    prepared.set_is_idempotent(true);
    Ok(prepared)
}
