//! The embedded way: ingest, log, processor and stores in one process, on two SQLite files.

use super::{bind, dimension, manage, processor, recipe};
use crate::config::Config;
use crate::consume::{Shared, Until, watch_dimension};
use crate::ledger::{self, Ask, Ledger, LedgerError};
use crate::log::sqlite::{self as sqlite_log, SqliteLogLimits, SqliteReader};
use crate::observe::counters::Label;
use crate::observe::manage::Observed;
use crate::observe::process::ProcessMetrics;
use crate::receive::{self, Server};
use crate::store::sqlite::{self as sqlite_store, SqliteBooks};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
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
    let dimension = dimension(config)?;
    let observed = Observed::default();
    let listener = bind(config.receive.listen).await?;

    let opened = sqlite_log::open(&log_file(data_dir), config.log.partitions, config.embedded.cache_bytes)?;
    let log = sqlite_log::start(opened, log_limits(config))?;
    let recipe = recipe(config);
    let stores = sqlite_store::start(&stores_file(data_dir), config.embedded.cache_bytes, &recipe)?;
    let (until, follow) = watch::channel(Until::Stopped);
    let shared = Arc::new(Shared {
        log: log.log.clone(),
        stores: stores.stores,
        recipe,
        dimension: Arc::clone(&dimension),
        limits: config.process.clone(),
        observed: observed.clone(),
    });
    let processor = processor::start(log.consumer, shared, follow)?;
    let ingest = Arc::new(super::ingest(config, log.log, &observed)?);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(watch_dimension(dimension, config.customers_reload, observed.clone()));
    let shown = Arc::clone(&ingest);
    let folder = data_dir.clone();
    let manage = manage(config, &mut tasks, observed, move || {
        super::show(&shown, shown.log.waiting_bytes());
        show_disk(&folder, &shown.observed.metrics.process);
    });
    let manage = manage.await?;
    let server = receive::start(listener, ingest)?;
    Ok(Embedded {
        address: server.address,
        manage,
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

/// Shows how much room the log has: full, no order is taken.
fn show_disk(folder: &Path, metrics: &ProcessMetrics) {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let label = Label("folder", folder.display().to_string());
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(disk.f_frsize)).unwrap_or(i64::MAX);
    metrics.log_disk_bytes.get_or_create(&label).set(bytes(disk.f_blocks));
    metrics.log_disk_free_bytes.get_or_create(&label).set(bytes(disk.f_bavail));
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
        super::join(threads.into_iter().flatten(), started, drain_timeout).await?;
        tracing::info!(milliseconds = started.elapsed().as_millis(), "drained");
        Ok(())
    }
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
pub(super) fn lock(data_dir: &Path) -> Result<File> {
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

/// The books of the embedded files, whether or not a pipeline is running on them.
pub(super) fn books(config: &Config) -> SqliteBooks {
    SqliteBooks::new(&stores_file(&config.embedded.data_dir))
}

/// Draws up their ledger.
pub(super) async fn ledger(config: &Config, ask: Ask<'_>) -> Result<Ledger, LedgerError> {
    let data_dir = &config.embedded.data_dir;
    let books = books(config);
    let opened = sqlite_log::open_for_reading(&log_file(data_dir))?;
    let readers = (0..opened.place.partitions).map(|partition| SqliteReader::detached(&opened, partition));
    ledger::draw_up(readers.collect(), &books, &recipe(config), ask).await
}
