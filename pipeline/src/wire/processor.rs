//! The processor on a thread and an event loop of its own, so that parsing never delays a reply.

use crate::consume::{self, Shared, Until};
use crate::log::{Consume, Publish};
use crate::store::Stores;
use anyhow::Result;
use std::sync::Arc;
use std::thread;
use tokio::sync::watch;

pub(super) fn start<C: Consume, P: Publish, S: Stores>(
    consumer: C,
    shared: Arc<Shared<P, S>>,
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
