//! The way with servers: ingest and processor as processes of their own, with Kafka between them, and Cassandra and
//! ClickHouse behind.

use super::{bind, dimension, manage, processor, recipe};
use crate::config::Config;
use crate::consume::{Shared, Until, watch_dimension};
use crate::ledger::{self, Ask, Ledger};
use crate::log::kafka::{self, KafkaConsumer, KafkaReader};
use crate::observe::manage::Observed;
use crate::receive::{self, Server};
use crate::store::schema::Report;
use crate::store::server::{self, ServerBooks};
use anyhow::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An ingest while it runs.
#[derive(Debug)]
pub struct Ingesting {
    /// Where orders are taken.
    pub address: SocketAddr,
    /// The management port.
    pub manage: Option<SocketAddr>,
    server: Server,
    poller: thread::JoinHandle<()>,
    tasks: JoinSet<()>,
    drain_timeout: Duration,
}

/// Starts an ingest and returns when it takes orders. Kafka need not be there yet: orders fail until it is.
///
/// # Errors
/// Whatever keeps it from starting, with its reason.
pub async fn start_ingest(config: &Config) -> Result<Ingesting> {
    let observed = Observed::default();
    let listener = bind(config.receive.listen).await?;
    let kafka::Started { log, poller } = kafka::start(&config.kafka, &config.log, &observed)?;
    let (first, timeout) = (log.clone(), config.kafka.timeout);
    if let Err(error) = tokio::task::spawn_blocking(move || first.connect(timeout)).await? {
        tracing::warn!(%error, "orders are taken, and fail until Kafka answers");
        observed.health.down("kafka producer", error.to_string());
    }
    let ingest = Arc::new(super::ingest(config, log, &observed)?);
    let mut tasks = JoinSet::new();
    let shown = Arc::clone(&ingest);
    let manage = manage(config, &mut tasks, observed, move || {
        super::show(&shown, shown.log.waiting_bytes());
    });
    let manage = manage.await?;
    let server = receive::start(listener, ingest)?;
    Ok(Ingesting {
        address: server.address,
        manage,
        server,
        poller,
        tasks,
        drain_timeout: config.drain_timeout,
    })
}

impl Ingesting {
    /// Stops taking orders and answers those that were taken, within the drain time-out.
    ///
    /// # Errors
    /// Where the time was not enough.
    pub async fn stop(self) -> Result<()> {
        let started = Instant::now();
        let Self { server, poller, mut tasks, drain_timeout, .. } = self;
        server.stop(drain_timeout).await;
        // With the management port goes the last clone of the log, and then its thread.
        tasks.shutdown().await;
        super::join([poller].into_iter(), started, drain_timeout).await?;
        tracing::info!(milliseconds = started.elapsed().as_millis(), "drained");
        Ok(())
    }
}

/// A processor while it runs.
#[derive(Debug)]
pub struct Processing {
    /// The management port.
    pub manage: Option<SocketAddr>,
    until: watch::Sender<Until>,
    processor: thread::JoinHandle<()>,
    poller: thread::JoinHandle<()>,
    tasks: JoinSet<()>,
    drain_timeout: Duration,
}

/// Starts a processor and returns when it is a member of the group.
///
/// # Errors
/// Whatever keeps it from starting, with its reason.
pub async fn start_process(config: &Config) -> Result<Processing> {
    let (observed, recipe) = (Observed::default(), recipe(config));
    let stores = server::connect(config, &recipe, &observed.metrics).await?;
    let dimension = dimension(config)?;
    let kafka::Started { log, poller } = kafka::start(&config.kafka, &config.log, &observed)?;
    let consumer = {
        let (settings, log, observed) = (config.kafka.clone(), config.log.clone(), observed.clone());
        let rules = recipe.fingerprint();
        let join = move || {
            let topic_id = kafka::topic_id(&settings, &log)?;
            KafkaConsumer::join_by_rules(&settings, topic_id, &rules, &observed)
        };
        tokio::task::spawn_blocking(join).await??
    };
    stores.check_table().await?;
    let (until, follow) = watch::channel(Until::Stopped);
    let shared = Arc::new(Shared {
        log,
        stores: stores.clone(),
        recipe,
        dimension: Arc::clone(&dimension),
        limits: config.process.clone(),
        observed: observed.clone(),
    });
    let processor = processor::start(consumer, shared, follow)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_dimension(dimension, config.customers_reload, observed.clone()));
    tasks.spawn(stores.clone().forget_old_blocks());
    let manage = manage(config, &mut tasks, observed, || ()).await?;
    Ok(Processing { manage, until, processor, poller, tasks, drain_timeout: config.drain_timeout })
}

impl Processing {
    /// Stores the blocks under way and leaves the group, within the drain time-out. What is behind them in the log is
    /// for the next processor.
    ///
    /// # Errors
    /// Where the time was not enough.
    pub async fn stop(self) -> Result<()> {
        let started = Instant::now();
        let Self { until, processor, poller, mut tasks, drain_timeout, .. } = self;
        until.send_replace(Until::BlockStored);
        tasks.shutdown().await;
        super::join([processor, poller].into_iter(), started, drain_timeout).await?;
        tracing::info!(milliseconds = started.elapsed().as_millis(), "drained");
        Ok(())
    }
}

/// The books of the servers.
pub(super) async fn books(config: &Config) -> Result<ServerBooks> {
    Ok(ServerBooks::connect(config).await?)
}

/// Readers of all partitions that take no part in the group, and what keeps them going.
pub(super) async fn readers(config: &Config) -> Result<(Vec<KafkaReader>, KafkaConsumer)> {
    let (settings, log) = (config.kafka.clone(), config.log.clone());
    let open = move || KafkaConsumer::detached(&settings, &log, kafka::topic_id(&settings, &log)?);
    Ok(tokio::task::spawn_blocking(open).await??)
}

/// Draws up their ledger.
pub(super) async fn ledger(config: &Config, ask: Ask<'_>) -> Result<Ledger> {
    let books = books(config).await?;
    let (readers, _polled) = readers(config).await?;
    Ok(ledger::draw_up(readers, &books, &recipe(config), ask).await?)
}

/// Makes topics, keyspace and database, or brings them up to date.
///
/// # Errors
/// Where a server does not answer, or what is there must not be changed.
pub async fn apply_schema(config: &Config) -> Result<Report> {
    let mut report = Report { lines: kafka::apply(&config.kafka, &config.log).await?, ..Report::default() };
    report.merge(server::apply(config).await?);
    Ok(report)
}

/// Compares topics, keyspace and database with what this build needs.
///
/// # Errors
/// Where a server does not answer.
pub async fn check_schema(config: &Config) -> Result<Report> {
    let mut report = Report { wrong: kafka::check(&config.kafka, &config.log).await?, ..Report::default() };
    report.merge(server::check(config).await?);
    Ok(report)
}
