//! Rebuilding a store from the log, wherever it is.

use super::{dimension, embedded, recipe, servers};
use crate::block::Recipe;
use crate::config::{Config, Mode};
use crate::enrich::Customers;
use crate::log::sqlite::{self as sqlite_log, SqliteReader};
use crate::log::{ReadPartition, kafka};
use crate::observe::metrics::Metrics;
use crate::observe::stores;
use crate::rebuild::{By, Change, Source};
use crate::store::cassandra::RebuiltOrders;
use crate::store::clickhouse::{ClickHouseBooks, RebuiltRollups};
use crate::store::sqlite::{Rebuilt, RebuiltFile};
use crate::store::{Books, Ends, Rebuilding, server};
use anyhow::{Result, bail};
use std::sync::Arc;

/// Which store is rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Every order.
    Orders,
    /// The sums per minute, and the blocks.
    Rollups,
}

/// How it is rebuilt.
#[derive(Clone, Copy, Debug)]
pub struct Rebuild {
    /// By which rules.
    pub by: By,
    /// Whether all is said and nothing done.
    pub dry_run: bool,
}

/// Counts a store again from the log and says what changes; unless it is a dry run, puts the result in force.
///
/// # Errors
/// Where a processor is at work, the log does not hold all that is stored, or something does not answer. Nothing is
/// changed then.
pub async fn rebuild(config: &Config, store: Store, how: Rebuild) -> Result<Change> {
    let (own, customers) = (recipe(config), dimension(config)?.current());
    match config.mode {
        Mode::Embedded => in_files(config, store, how, (&own, customers)).await,
        Mode::Servers => on_servers(config, store, how, (&own, customers)).await,
    }
}

/// Deletes the tables that were in force before the last rebuild, and says whether there were any.
///
/// # Errors
/// Where something does not answer.
pub async fn drop_old(config: &Config, store: Store) -> Result<bool> {
    Ok(match (config.mode, store) {
        (Mode::Embedded, _) => {
            let _lock = embedded::lock(&config.embedded.data_dir)?;
            open(config, store)?.drop_old()?
        }
        (Mode::Servers, Store::Rollups) => RebuiltRollups::new(&config.clickhouse).drop_old().await?,
        (Mode::Servers, Store::Orders) => orders(config, false).await?.drop_old().await?,
    })
}

type With<'w> = (&'w Arc<Recipe>, Arc<Customers>);

/// The lock keeps every processor out while this runs.
async fn in_files(config: &Config, store: Store, how: Rebuild, (own, customers): With<'_>) -> Result<Change> {
    let data_dir = &config.embedded.data_dir;
    let log = sqlite_log::open_for_reading(&embedded::log_file(data_dir))?;
    let _lock = embedded::lock(data_dir)?;
    let books = embedded::books(config);
    let (blocks, recipes) = (books.blocks().await?, books.recipes().await?);
    let source = Source { blocks, recipes, own, by: how.by, customers };
    let readers = (0..log.place.partitions).map(|partition| SqliteReader::detached(&log, partition));
    fill(&source, readers.collect(), &mut open(config, store)?, how, async || Ok(())).await
}

async fn on_servers(
    config: &Config,
    store: Store,
    how: Rebuild,
    (own, customers): With<'_>,
) -> Result<Change> {
    server::check(config).await?.verdict()?;
    stopped(config).await?;
    let books = servers::books(config).await?;
    let (blocks, recipes) = (books.blocks().await?, books.recipes().await?);
    let (readers, _polled) = servers::readers(config).await?;
    let source = Source { blocks, recipes, own, by: how.by, customers };
    let ends = source.ends();
    let unchanged = async || {
        stopped(config).await?;
        no_new_block(config, &ends).await
    };
    match store {
        Store::Rollups => {
            let mut into = RebuiltRollups::new(&config.clickhouse);
            fill(&source, readers, &mut into, how, unchanged).await
        }
        Store::Orders => {
            let mut into = orders(config, how.dry_run).await?;
            fill(&source, readers, &mut into, how, unchanged).await
        }
    }
}

/// Fills the new tables and puts them in force, where everything is as it was right before and right after.
async fn fill<R: ReadPartition>(
    source: &Source<'_>,
    readers: Vec<R>,
    into: &mut impl Rebuilding,
    how: Rebuild,
    unchanged: impl AsyncFn() -> Result<()>,
) -> Result<Change> {
    let counted = match source.count_again(readers, into).await {
        Ok(change) if !how.dry_run => unchanged().await.map(|()| change),
        counted => counted.map_err(Into::into),
    };
    let change = match counted {
        Ok(change) if !how.dry_run => change,
        // What failed is told, whether or not what it has left can be taken away: the next rebuild does that.
        counted => {
            let discarded = into.discard().await;
            let change = counted?;
            discarded?;
            return Ok(change);
        }
    };
    into.swap(&source.ends()).await?;
    if let Err(error) = unchanged().await {
        into.swap_back().await?;
        return Err(error.context("the old tables are in force again"));
    }
    Ok(change)
}

async fn stopped(config: &Config) -> Result<()> {
    let settings = config.kafka.clone();
    let members = tokio::task::spawn_blocking(move || kafka::members(&settings)).await??;
    if members > 0 {
        bail!("the group has {members} members: stop the processors first");
    }
    Ok(())
}

async fn no_new_block(config: &Config, ends: &Ends) -> Result<()> {
    if ClickHouseBooks::new(&config.clickhouse).ends().await? != *ends {
        bail!("a block was stored meanwhile: a processor is at work");
    }
    Ok(())
}

async fn orders(config: &Config, dry_run: bool) -> Result<RebuiltOrders> {
    let metrics = Metrics::default().stores.of(stores::Store::Orders);
    Ok(RebuiltOrders::connect(&config.cassandra, config.log.partitions, metrics, dry_run).await?)
}

fn open(config: &Config, store: Store) -> Result<RebuiltFile> {
    let what = match store {
        Store::Orders => Rebuilt::Orders,
        Store::Rollups => Rebuilt::Rollups,
    };
    Ok(RebuiltFile::open(&embedded::stores_file(&config.embedded.data_dir), what)?)
}
