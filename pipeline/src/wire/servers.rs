//! The way with servers: ingest and processor as processes of their own, with Kafka between them, and Cassandra and
//! ClickHouse behind.

use super::{bind, dimension, manage, processor, recipe};
use crate::config::Config;
use crate::consume::{Shared, Until, watch_dimension};
use crate::log::kafka::{self, KafkaConsumer};
use crate::observe::manage::Observed;
use crate::receive::{self, Server};
use crate::store::Stores;
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
    let ingest = Arc::new(super::ingest(config, log, &observed));
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

/// Starts a processor on the stores and returns when it is a member of the group.
///
/// # Errors
/// Whatever keeps it from starting, with its reason.
pub async fn start_process<S: Stores>(config: &Config, stores: S, observed: Observed) -> Result<Processing> {
    let dimension = dimension(config)?;
    let kafka::Started { log, poller } = kafka::start(&config.kafka, &config.log, &observed)?;
    let consumer = {
        let (settings, log, observed) = (config.kafka.clone(), config.log.clone(), observed.clone());
        let join = move || {
            let topic_id = kafka::topic_id(&settings, &log)?;
            KafkaConsumer::join(&settings, topic_id, &observed)
        };
        tokio::task::spawn_blocking(join).await??
    };
    let (until, follow) = watch::channel(Until::Stopped);
    let shared = Arc::new(Shared {
        log,
        stores,
        recipe: recipe(config),
        dimension: Arc::clone(&dimension),
        limits: config.process.clone(),
        observed: observed.clone(),
    });
    let processor = processor::start(consumer, shared, follow)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(watch_dimension(dimension, config.customers_reload, observed.clone()));
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
