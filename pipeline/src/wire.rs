//! Wiring: the only place that chooses implementations. Everything else sees the traits.

use crate::block::Recipe;
use crate::config::Config;
use crate::consume::{self, Shared, Until, watch_dimension};
use crate::enrich::Dimension;
use crate::ledger::{self, Ledger, LedgerError};
use crate::log::sqlite::{self as sqlite_log, SqliteLog, SqliteLogLimits, SqliteReader};
use crate::observe::manage::{Observed, serve};
use crate::receive::admission::Admission;
use crate::receive::{self, Ingest, Server};
use crate::store::sqlite::{self as sqlite_store, SqliteBooks};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The embedded pipeline while it runs: ingest, log, processor and stores in one process.
#[derive(Debug)]
pub struct Embedded {
    /// Where orders are taken.
    pub address: SocketAddr,
    /// The management port.
    pub manage: Option<SocketAddr>,
    server: Server,
    until: watch::Sender<Until>,
    processor: Option<thread::JoinHandle<()>>,
    log_writer: thread::JoinHandle<()>,
    stores_writer: thread::JoinHandle<()>,
    drain_timeout: Duration,
    tasks: tokio::task::JoinSet<()>,
    /// Held as long as the files are in use.
    _lock: File,
}

/// What blocks are built with, by a configuration.
pub fn recipe(config: &Config) -> Arc<Recipe> {
    Arc::new(Recipe {
        rules: config.rules.clone(),
        categories: config.categories.as_ref().map(|names| names.iter().cloned().collect()),
        window: config.process.window,
    })
}

/// The log's file.
pub fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("log.db")
}

/// The stores' file.
pub fn stores_file(data_dir: &Path) -> PathBuf {
    data_dir.join("stores.db")
}

/// Starts the embedded pipeline and returns when it takes orders.
///
/// # Errors
/// Whatever keeps it from starting, with its reason.
pub async fn start_embedded(config: &Config) -> Result<Embedded> {
    let data_dir = &config.embedded.data_dir;
    std::fs::create_dir_all(data_dir).with_context(|| format!("failed to create {}", data_dir.display()))?;
    let lock = lock(data_dir)?;
    let dimension = Dimension::open(config.customers.clone()).map_err(|error| anyhow!(error))?;
    let dimension = Arc::new(dimension);
    let observed = Observed::default();
    let listener = bind(config.receive.listen).await?;
    let manage = match config.manage {
        Some(address) => Some(bind(address).await?),
        None => None,
    };

    let opened = sqlite_log::open(&log_file(data_dir), config.log.partitions, config.embedded.cache_bytes)?;
    let log = sqlite_log::start(opened, log_limits(config))?;
    let stores = sqlite_store::start(&stores_file(data_dir), config.embedded.cache_bytes)?;
    let (until, follow) = watch::channel(Until::Stopped);
    let shared = Arc::new(Shared {
        log: log.log.clone(),
        stores: stores.stores,
        recipe: recipe(config),
        dimension: Arc::clone(&dimension),
        limits: config.process.clone(),
        observed: observed.clone(),
    });
    let processor = start_processor(log.consumer, shared, follow)?;

    let ingest = Arc::new(Ingest {
        log: log.log,
        rules: config.rules.clone(),
        admission: Admission::new(config.receive.max_in_flight_bytes, config.receive.max_in_flight_requests),
        limits: config.receive.clone(),
        observed: observed.clone(),
    });
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(watch_dimension(dimension, config.customers_reload, observed.clone()));
    let manage_address = manage.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = manage {
        let shown = Arc::clone(&ingest);
        tasks.spawn(serve(listener, observed, move |_| show(&shown)));
    }
    let server = receive::start(listener, ingest)?;
    Ok(Embedded {
        address: server.address,
        manage: manage_address,
        server,
        until,
        processor: Some(processor),
        log_writer: log.writer,
        stores_writer: stores.writer,
        drain_timeout: config.drain_timeout,
        tasks,
        _lock: lock,
    })
}

impl Embedded {
    /// Stops taking orders, answers those that were taken, stores what is in the log, and closes the files, all within
    /// the drain time-out. What is not stored by then is stored after the next start.
    ///
    /// # Errors
    /// Where the time was not enough.
    pub async fn stop(self) -> Result<()> {
        let started = Instant::now();
        let Self {
            server, until, mut processor, log_writer, stores_writer, drain_timeout, mut tasks, ..
        } = self;
        server.stop(drain_timeout).await;
        until.send_replace(Until::Drained);
        tasks.shutdown().await;
        let threads = [processor.take(), Some(log_writer), Some(stores_writer)];
        for thread in threads.into_iter().flatten() {
            while !thread.is_finished() {
                if started.elapsed() > drain_timeout {
                    bail!(
                        "draining took longer than shutdown.drain_timeout; the rest is stored after the next start"
                    );
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        tracing::info!(milliseconds = started.elapsed().as_millis(), "drained");
        Ok(())
    }
}

/// The processor has a thread and an event loop of its own, so that parsing never delays a reply.
fn start_processor(
    consumer: sqlite_log::SqliteConsumer,
    shared: Arc<Shared<SqliteLog, sqlite_store::SqliteStores>>,
    follow: watch::Receiver<Until>,
) -> Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let health = Arc::clone(&shared.observed.health);
    let run = move || {
        if let Err(error) = runtime.block_on(consume::run(consumer, shared, follow)) {
            tracing::error!(%error, "the processor has stopped");
            health.down("processor", error.to_string());
        }
    };
    Ok(thread::Builder::new().name("process".into()).spawn(run)?)
}

/// Brings the gauges up to date that nobody sets as things happen.
fn show(ingest: &Ingest<SqliteLog>) {
    let metrics = &ingest.observed.metrics;
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (bytes, requests) = ingest.admission.in_flight();
    metrics.receive_in_flight_bytes.set(gauge(bytes));
    metrics.receive_in_flight_requests.set(gauge(requests));
    metrics.log_queue_bytes.set(gauge(ingest.log.waiting_bytes()));
}

/// The limits of the embedded log, by a configuration.
pub const fn log_limits(config: &Config) -> SqliteLogLimits {
    SqliteLogLimits {
        commit_records: config.embedded.commit_records,
        commit_interval: config.embedded.commit_interval,
        queue_bytes: config.log.max_queue_bytes,
        delivery_timeout: config.log.delivery_timeout,
    }
}

/// One process at a time: a second one would give offsets twice.
fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("{} is in use by another process", data_dir.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("failed to lock the data folder"),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}

/// Draws up the ledger of the embedded files, whether or not a pipeline is running on them.
///
/// # Errors
/// Where a file cannot be read.
pub async fn embedded_ledger(config: &Config, outcomes: Option<&Path>) -> Result<Ledger, LedgerError> {
    let data_dir = &config.embedded.data_dir;
    let books = SqliteBooks::new(&stores_file(data_dir));
    let opened = sqlite_log::open_for_reading(&log_file(data_dir))?;
    let readers = (0..opened.place.partitions).map(|partition| SqliteReader::detached(&opened, partition));
    ledger::draw_up(readers.collect(), &books, &recipe(config), outcomes).await
}
