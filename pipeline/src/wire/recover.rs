//! The ways on for a partition that stopped because its stores and its log do not fit. Nothing is done that was not asked
//! for by name, and nothing while a processor is at work.

use super::{embedded, recipe, servers};
use crate::block::Block;
use crate::config::{Config, Mode};
use crate::log::kafka;
use crate::log::sqlite as sqlite_log;
use crate::log::{Assignment, Consume, ReadPartition};
use crate::observe::metrics::Metrics;
use crate::position::{Lost, Position};
use crate::store::Stores;
use crate::store::{server, sqlite as sqlite_store};
use anyhow::{Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the threads of the embedded files may take to end when all was done.
const END: Duration = Duration::from_secs(30);

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To go on behind what the stores hold, though more was stored once: the log still has it.
    StoreAgain,
    /// To accept that these offsets are lost, and go on behind them.
    AcceptLoss(i64, i64),
}

/// Takes a step for a partition, and says what was done, or with `dry_run` would be.
///
/// # Errors
/// Where the partition is not in the state that the step is for, or a processor is at work, or something does not answer.
pub async fn recover(config: &Config, partition: u32, step: Step, dry_run: bool) -> Result<String> {
    match config.mode {
        Mode::Embedded => in_files(config, partition, step, dry_run).await,
        Mode::Servers => on_servers(config, partition, step, dry_run).await,
    }
}

/// What is to be done: a position to commit, or a block to store.
enum Plan {
    Commit(i64, String),
    Store(Arc<Block>, String),
}

async fn plan<R: ReadPartition>(
    reader: Option<&mut R>,
    stores: &impl Stores,
    partition: u32,
    step: Step,
) -> Result<Plan> {
    let Some(reader) = reader else { bail!("there is no partition {partition}") };
    let committed = reader.committed().await?;
    let newest = stores.newest_block(partition).await?;
    let bounds = reader.bounds().await?;
    match (Position::resume((reader.topic_id(), partition), newest.as_ref(), committed, bounds), step) {
        (Ok(position), _) => {
            bail!("partition {partition} has lost nothing: it goes on at offset {}", position.stored())
        }
        (Err(Lost::StoresWentBack { from, to, .. }), Step::StoreAgain) => {
            let mut text = format!("goes on at offset {from}, and stores {from} to {to} again");
            if bounds.first > from {
                text = format!(
                    "goes on at offset {from}; but the log begins at {}, so that {from} to {} are lost: \
                     `pipeline recover lost` is for that, as a next step",
                    bounds.first,
                    bounds.first - 1
                );
            }
            Ok(Plan::Commit(from, text))
        }
        (Err(Lost::LogWentOn { from, to, .. }), Step::AcceptLoss(first, last))
            if (first, last) == (from, to) =>
        {
            let block = Block::lost(reader.topic_id(), partition, (from, to));
            let text = format!("goes on at offset {}; {from} to {to} stand in the ledger as lost", to + 1);
            Ok(Plan::Store(Arc::new(block), text))
        }
        (Err(lost), _) => bail!("partition {partition}: {lost}"),
    }
}

async fn in_files(config: &Config, partition: u32, step: Step, dry_run: bool) -> Result<String> {
    let began = Instant::now();
    let (data_dir, cache) = (&config.embedded.data_dir, config.embedded.cache_bytes);
    let _lock = embedded::lock(data_dir)?;
    let opened = sqlite_log::open(&embedded::log_file(data_dir), config.log.partitions, cache)?;
    let sqlite_log::Started { log, mut consumer, writer } =
        sqlite_log::start(opened, embedded::log_limits(config))?;
    let stores = sqlite_store::start(&embedded::stores_file(data_dir), cache, &recipe(config))?;
    let done = async {
        let Assignment::Assigned(mut readers) = consumer.next().await? else { bail!("no partitions") };
        let mut reader = readers.iter_mut().find(|reader| reader.partition() == partition);
        let text = match plan(reader.as_deref_mut(), &stores.stores, partition, step).await? {
            Plan::Commit(_, text) | Plan::Store(_, text) if dry_run => text,
            Plan::Commit(next, text) => {
                if let Some(reader) = reader {
                    reader.commit(next).await?;
                }
                text
            }
            Plan::Store(block, text) => {
                stores.stores.put(block).await?;
                text
            }
        };
        Ok(text)
    }
    .await;
    drop((log, consumer, stores.stores));
    super::join([writer, stores.writer].into_iter(), began, began.elapsed() + END).await?;
    done
}

async fn on_servers(config: &Config, partition: u32, step: Step, dry_run: bool) -> Result<String> {
    let stores = server::connect(config, &recipe(config), &Metrics::default()).await?;
    let (mut readers, _polled) = servers::readers(config).await?;
    let reader = readers.iter_mut().find(|reader| reader.partition() == partition);
    let plan = plan(reader, &stores, partition, step).await?;
    let settings = config.kafka.clone();
    match plan {
        Plan::Commit(_, text) | Plan::Store(_, text) if dry_run => Ok(text),
        Plan::Commit(next, text) => {
            tokio::task::spawn_blocking(move || kafka::commit_for(&settings, partition, next)).await??;
            Ok(text)
        }
        Plan::Store(block, text) => {
            // A processor beside would do no harm, since the server takes one block of an offset: but it would have to be
            // started again all the same.
            let members = tokio::task::spawn_blocking(move || kafka::members(&settings)).await??;
            if members > 0 {
                bail!("the group has {members} members: stop the processors first");
            }
            stores.put(block).await?;
            Ok(text)
        }
    }
}
