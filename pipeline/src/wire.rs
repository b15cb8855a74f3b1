//! Wiring: the only place that chooses implementations. Everything else sees the traits.

mod dead;
mod embedded;
mod processor;
mod reader;
mod rebuild;
mod recover;
mod servers;

pub use dead::{dead_letter, dead_letters, replay_dead_letters, whereabouts};
pub use embedded::{Embedded, log_file, log_limits, start_embedded, stores_file};
pub use reader::Reader;
pub use rebuild::{Rebuild, Store, drop_old, rebuild};
pub use recover::{Step, recover};
pub use servers::{Ingesting, Processing, apply_schema, check_schema, start_ingest, start_process};

use crate::block::Recipe;
use crate::config::{Config, Mode};
use crate::enrich::Dimension;
use crate::ledger::{Ask, Expires, Ledger};
use crate::observe::manage::{Observed, serve};
use crate::observe::process::{memory_bytes, now_seconds};
use crate::receive::admission::Admission;
use crate::receive::{Gate, Ingest};
use crate::rollup::Sums;
use crate::store::{Books, Found, Lookup, SalesKey};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What blocks are built with, by a configuration.
pub fn recipe(config: &Config) -> Arc<Recipe> {
    Arc::new(Recipe {
        rules: config.rules.clone(),
        categories: config.categories.as_ref().map(|names| names.iter().cloned().collect()),
        window: config.process.window,
    })
}

/// Draws up the ledger of the log and the books, wherever they are; nothing need be running but the servers.
///
/// # Errors
/// Where something cannot be read.
pub async fn ledger(config: &Config, outcomes: Option<&Path>) -> Result<Ledger> {
    ledger_as(config, Ask { outcomes, full: true, ..Ask::default() }).await
}

/// Draws up the ledger as it is asked for, from checkpoints on where there are some.
///
/// # Errors
/// Where something cannot be read.
pub async fn ledger_as(config: &Config, ask: Ask<'_>) -> Result<Ledger> {
    match config.mode {
        Mode::Embedded => Ok(embedded::ledger(config, ask).await?),
        Mode::Servers => {
            let (orders, rollups) =
                (!config.cassandra.retention.is_zero(), !config.clickhouse.retention.is_zero());
            servers::ledger(config, Ask { expires: Expires { orders, rollups }, ..ask }).await
        }
    }
}

/// Keeps the checkpoints of a ledger in which nothing differs, and says how many. Records that are still to be stored do
/// not matter: they lie behind.
///
/// # Errors
/// Where something differs, or the checkpoints cannot be kept.
pub async fn keep_checkpoints(config: &Config, ledger: &Ledger) -> Result<usize> {
    if !ledger.differences.is_empty() {
        bail!("no checkpoint of books that differ: they would hide it from every ledger after this one");
    }
    let texts = ledger.checkpoints.iter().map(|checkpoint| (checkpoint.name(), checkpoint.to_text()));
    let texts: BTreeMap<_, _> = texts.collect();
    match config.mode {
        Mode::Embedded => embedded::books(config).keep_checkpoints(&texts).await?,
        Mode::Servers => servers::books(config).await?.keep_checkpoints(&texts).await?,
    }
    Ok(texts.len())
}

/// The sales by currency, source and state.
///
/// # Errors
/// Where the rollups cannot be read.
pub async fn sales(config: &Config) -> Result<BTreeMap<SalesKey, Sums>> {
    Ok(match config.mode {
        Mode::Embedded => embedded::books(config).sales().await?,
        Mode::Servers => servers::books(config).await?.sales().await?,
    })
}

/// An order as it is stored; `around` is about when it was created, in nanoseconds of Unix time.
///
/// # Errors
/// Where the orders cannot be read.
pub async fn order(config: &Config, order_id: &str, around: Option<i64>) -> Result<Option<Found>> {
    Ok(match config.mode {
        Mode::Embedded => embedded::books(config).order(order_id, around).await?,
        Mode::Servers => servers::books(config).await?.order(order_id, around).await?,
    })
}

/// What takes orders in, by a configuration.
fn ingest<P>(config: &Config, log: P, observed: &Observed) -> Result<Ingest<P>> {
    let gate = Gate::open(&config.receive.access, &observed.metrics.access);
    Ok(Ingest {
        log,
        gate: gate.map_err(|error| anyhow!(error))?,
        rules: config.rules.clone(),
        admission: Admission::of(&config.receive),
        limits: config.receive.clone(),
        observed: observed.clone(),
    })
}

fn dimension(config: &Config) -> Result<Arc<Dimension>> {
    Ok(Arc::new(Dimension::open(config.customers.clone()).map_err(|error| anyhow!(error))?))
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))
}

/// Serves the management port, if there is to be one, and returns where. `show` brings the gauges up to date that
/// nobody sets as things happen.
async fn manage(
    config: &Config,
    tasks: &mut JoinSet<()>,
    observed: Observed,
    show: impl Fn() + Send + Sync + 'static,
) -> Result<Option<SocketAddr>> {
    let Some(address) = config.manage else { return Ok(None) };
    let listener = bind(address).await?;
    let address = listener.local_addr()?;
    let metrics = &observed.metrics.process;
    metrics.observe_start_seconds.set(now_seconds());
    let health = Arc::clone(&observed.health);
    tasks.spawn(serve(listener, observed, move |metrics| {
        let metrics = &metrics.process;
        metrics.observe_complaints.set(i64::try_from(health.complaints().len()).unwrap_or(i64::MAX));
        metrics.observe_memory_bytes.set(memory_bytes().unwrap_or(0));
        show();
    }));
    Ok(Some(address))
}

/// Shows what is in flight, and how much waits for the log.
fn show<P>(ingest: &Ingest<P>, waiting_bytes: usize) {
    let metrics = &ingest.observed.metrics;
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (bytes, requests) = ingest.admission.in_flight();
    metrics.receive_in_flight_bytes.set(gauge(bytes));
    metrics.receive_in_flight_requests.set(gauge(requests));
    metrics.log_queue_bytes.set(gauge(waiting_bytes));
}

/// Waits until threads have ended, all of them within the time for a drain.
async fn join(
    threads: impl Iterator<Item = thread::JoinHandle<()>>,
    started: Instant,
    drain_timeout: Duration,
) -> Result<()> {
    for thread in threads {
        while !thread.is_finished() {
            if started.elapsed() > drain_timeout {
                bail!(
                    "draining took longer than shutdown.drain_timeout; the rest is stored after the next start"
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
