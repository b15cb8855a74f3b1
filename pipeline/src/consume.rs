//! Consuming: the processor. Each partition that is assigned has a task of its own, which reads records, builds a block
//! of them, stores it, and goes on behind it; one block at a time, so that memory has a limit and order is kept.

mod count;
mod lag;
mod partition;
mod past;
mod resume;
mod stop;

use crate::block::Recipe;
use crate::config;
use crate::enrich::Dimension;
use crate::log::{Assignment, Consume, LogError, Publish, ReadPartition};
use crate::observe::manage::Observed;
use crate::store::Stores;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What all partitions share.
#[derive(Debug)]
pub struct Shared<P, S> {
    /// Where dead letters go.
    pub log: P,
    /// Where blocks go.
    pub stores: S,
    /// What blocks are built with.
    pub recipe: Arc<Recipe>,
    /// The customers dimension.
    pub dimension: Arc<Dimension>,
    /// The limits.
    pub limits: config::Process,
    /// What is observed.
    pub observed: Observed,
}

/// How far the processor should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// On and on.
    Stopped,
    /// Until the block under way is stored: others go on behind it.
    BlockStored,
    /// To the end of the log as it is, and no further: nothing is added to it any more.
    Drained,
}

/// Runs until `until` says that it is enough, and every partition is there. Dropping it at any
/// moment loses nothing: what was not stored is read again.
///
/// # Errors
/// Where the group cannot be read from any more. A partition that must stop is an alert and not an error: the others
/// go on.
pub async fn run<C, P, S>(
    mut consumer: C,
    shared: Arc<Shared<P, S>>,
    mut until: watch::Receiver<Until>,
) -> Result<(), LogError>
where
    C: Consume,
    P: Publish,
    S: Stores,
{
    let mut tasks: HashMap<u32, JoinHandle<()>> = HashMap::new();
    loop {
        let change = tokio::select! {
            change = consumer.next() => change?,
            _ = until.wait_for(|until| *until != Until::Stopped) => break,
        };
        match change {
            Assignment::Assigned(readers) => {
                for reader in readers {
                    let number = reader.partition();
                    let task = partition::run(reader, Arc::clone(&shared), until.clone());
                    if let Some(before) = tasks.insert(number, tokio::spawn(task)) {
                        before.abort();
                    }
                }
            }
            Assignment::Revoked(numbers) => {
                for number in numbers {
                    if let Some(task) = tasks.remove(&number) {
                        // Stopping anywhere is safe: the next owner goes on behind the newest block.
                        task.abort();
                        shared.observed.health.gone(&partition::part(number));
                        count::forget(number, &shared.observed);
                    }
                }
            }
        }
        shared.observed.metrics.consume_partitions.set(i64::try_from(tasks.len()).unwrap_or(i64::MAX));
    }
    for (number, task) in tasks {
        if let Err(error) = task.await {
            tracing::error!(partition = number, %error, "a partition's task failed");
        }
    }
    Ok(())
}

/// Reads the dimension again whenever its file has changed. Runs until it is dropped.
pub async fn watch_dimension(dimension: Arc<Dimension>, every: Duration, observed: Observed) {
    let metrics = &observed.metrics.enrich;
    let customers = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.enrich_customers.set(customers(dimension.current().len()));
    loop {
        tokio::time::sleep(every).await;
        match dimension.look() {
            Ok(false) => {}
            Ok(true) => {
                let count = dimension.current().len();
                tracing::info!(customers = count, "the customers dimension was read again");
                metrics.enrich_reloads.inc();
                metrics.enrich_customers.set(customers(count));
            }
            Err(error) => {
                tracing::error!(error, "the customers dimension could not be read and stays as it was");
                metrics.enrich_reload_errors.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests;
