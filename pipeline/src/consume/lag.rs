//! How far a partition's stored offsets are behind its log.

use crate::log::ReadPartition;
use crate::observe::metrics::{self, Metrics};
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::time::Duration;

/// How often the log's end is asked for while nothing is read.
const EVERY: Duration = Duration::from_secs(1);

/// The lag of one partition, in records.
pub(super) struct Lag(Gauge);

impl Lag {
    pub(super) fn of(partition: u32, metrics: &Metrics) -> Self {
        Self(metrics.consume_lag_records.get_or_create(&metrics::partition(partition)).clone())
    }

    /// Shows it, as far as the reader knows the log's end; `next` is the offset behind the newest block.
    pub(super) fn note(&self, reader: &impl ReadPartition, next: i64) {
        if let Some(end) = reader.known_end() {
            self.0.set((end - next).max(0));
        }
    }

    /// Asks for the log's end, again and again: while a store is slow nothing is read, so that nothing else tells of it,
    /// and just then somebody wants to see how fast the lag grows.
    pub(super) async fn watch(&self, reader: &mut impl ReadPartition, next: i64) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Ok(bounds) = reader.bounds().await {
                self.0.set((bounds.end - next).max(0));
            }
        }
    }
}
