//! The floor of the orders store: a bare loop over the driver that writes the same rows, in unlogged batches of one
//! Cassandra partition or one by one, made before the clock starts, with as many under way as the product has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pipeline::block::Block;
use pipeline::config::{self, Config};
use pipeline::log::partitioner;
use pipeline::observe::metrics::Metrics;
use pipeline::observe::stores::Store;
use pipeline::store::cassandra::{self, CassandraOrders};
use scylla::SerializeRow;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, MaybeUnset};
use tokio::runtime::Runtime;

/// Orders a second and processor time an order, of this process and not of the server.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Orders a second.
    pub rate: f64,
    /// Microseconds of processor time an order.
    pub cpu_us: f64,
}

/// A keyspace of its own, with both ways of writing to it.
pub struct Floor {
    runtime: Runtime,
    config: Config,
    blocks: Vec<Arc<Block>>,
    product: Arc<CassandraOrders>,
    session: Session,
    insert: PreparedStatement,
}

#[derive(SerializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct Row<'b> {
    hour: CqlTimestamp,
    bucket: i32,
    order_id: &'b str,
    customer_id: i64,
    source: &'b str,
    quantity: i32,
    total_minor: i64,
    currency: &'b str,
    state: MaybeUnset<&'b str>,
    store_id: MaybeUnset<i64>,
    product_id: MaybeUnset<i64>,
    category: MaybeUnset<&'b str>,
    created_at: i64,
    received_at: i64,
    topic: &'b str,
    partition: i32,
    offset: i64,
    write_time: i64,
}

const INSERT: &str = "INSERT INTO orders (hour, bucket, order_id, customer_id, source, quantity, total_minor, currency, \
     state, store_id, product_id, category, created_at, received_at, topic, partition, offset) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";

impl Floor {
    /// Makes the keyspace that the configuration names.
    ///
    /// # Errors
    /// What the nodes say.
    pub fn new(config: Config, blocks: Vec<Block>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let partitions = config.log.partitions;
        runtime.block_on(cassandra::apply(&config.cassandra, partitions))?;
        let metrics = Metrics::default().stores.of(Store::Orders);
        let product = runtime.block_on(CassandraOrders::connect(&config.cassandra, partitions, metrics))?;
        let session = SessionBuilder::new()
            .known_nodes(&config.cassandra.nodes)
            .use_keyspace(&config.cassandra.keyspace, false);
        let session = runtime.block_on(session.build())?;
        let insert = runtime.block_on(session.prepare(INSERT))?;
        let blocks = blocks.into_iter().map(Arc::new).collect();
        Ok(Self { runtime, config, blocks, product: Arc::new(product), session, insert })
    }

    /// What the product costs: a block of each partition at a time, as the processor has it.
    ///
    /// # Errors
    /// What the nodes say.
    pub fn ours(&self) -> Result<Cost> {
        self.measure(async {
            let mut left = self.blocks.iter();
            let mut under_way = FuturesUnordered::new();
            loop {
                while under_way.len() < self.config.log.partitions as usize
                    && let Some(block) = left.next()
                {
                    under_way.push(self.product.put(block));
                }
                match under_way.next().await {
                    Some(put) => put?,
                    None => return Ok(()),
                }
            }
        })
    }

    /// What the bare loop costs with batches of so many rows; of one row, it is single inserts.
    ///
    /// # Errors
    /// What the nodes say.
    pub fn bare(&self, batch_rows: usize) -> Result<Cost> {
        let rows: Vec<Vec<Row<'_>>> = self.blocks.iter().map(|block| self.rows(block)).collect();
        let full = self.batch(batch_rows);
        let write = async |rows: &[Row<'_>]| -> Result<()> {
            if let [row] = rows {
                self.session.execute_unpaged(&self.insert, row).await?;
            } else if rows.len() == batch_rows {
                self.session.batch(&full, rows).await?;
            } else {
                self.session.batch(&self.batch(rows.len()), rows).await?;
            }
            Ok(())
        };
        self.measure(async {
            // Neighbours are of one bucket, and this data is of one hour or two.
            let mut left = rows.iter().flat_map(|rows| {
                rows.chunk_by(|a, b| (a.hour, a.bucket) == (b.hour, b.bucket))
                    .flat_map(|rows| rows.chunks(batch_rows))
            });
            let mut under_way = FuturesUnordered::new();
            loop {
                while under_way.len() < self.config.cassandra.in_flight
                    && let Some(rows) = left.next()
                {
                    under_way.push(write(rows));
                }
                match under_way.next().await {
                    Some(written) => written?,
                    None => return Ok(()),
                }
            }
        })
    }

    /// Deletes the keyspace.
    ///
    /// # Errors
    /// What the nodes say.
    pub fn drop_keyspace(self) -> Result<()> {
        self.runtime.block_on(drop_keyspace(&self.config.cassandra))
    }

    fn batch(&self, rows: usize) -> Batch {
        let mut batch = Batch::new(BatchType::Unlogged);
        (0..rows).for_each(|_| batch.append_statement(self.insert.clone()));
        batch
    }

    fn rows<'b>(&self, block: &'b Block) -> Vec<Row<'b>> {
        let buckets = cassandra::buckets(&self.config.cassandra, self.config.log.partitions);
        let row = |order: &'b pipeline::block::StoredOrder| Row {
            hour: CqlTimestamp(order.created_at / 3_600_000_000_000 * 3_600_000),
            bucket: partitioner::partition(order.order_id.as_bytes(), buckets).cast_signed(),
            order_id: &order.order_id,
            customer_id: order.customer_id,
            source: &order.source,
            quantity: i32::try_from(order.quantity).unwrap_or(i32::MAX),
            total_minor: order.total_minor,
            currency: order.currency.code(),
            state: MaybeUnset::from_option(order.state.as_deref()),
            store_id: MaybeUnset::from_option(order.store_id),
            product_id: MaybeUnset::from_option(order.product_id),
            category: MaybeUnset::from_option(order.category.as_deref()),
            created_at: order.created_at,
            received_at: order.received_at,
            topic: &block.row.topic_id,
            partition: block.row.partition.cast_signed(),
            offset: order.offset,
            write_time: order.received_at / 1_000,
        };
        block.orders.iter().map(row).collect()
    }

    fn measure(&self, write: impl Future<Output = Result<()>>) -> Result<Cost> {
        let orders: usize = self.blocks.iter().map(|block| block.orders.len()).sum();
        let (started, before) = (Instant::now(), processor_time());
        self.runtime.block_on(write)?;
        let (took, used) = (started.elapsed(), processor_time() - before);
        Ok(Cost {
            rate: orders as f64 / took.as_secs_f64(),
            cpu_us: used.as_secs_f64() * 1e6 / orders as f64,
        })
    }
}

/// Deletes the keyspace of a configuration.
///
/// # Errors
/// What the nodes say.
pub async fn drop_keyspace(config: &config::Cassandra) -> Result<()> {
    let session = SessionBuilder::new().known_nodes(&config.nodes).build().await?;
    let cql = format!("DROP KEYSPACE {}", config.keyspace);
    session.query_unpaged(cql, ()).await.context("failed to drop the keyspace")?;
    Ok(())
}

/// The processor time that this process has used.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::from_secs(used.tv_sec.unsigned_abs()) + Duration::from_nanos(used.tv_nsec.unsigned_abs())
}
