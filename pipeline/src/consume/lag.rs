//! How far a partition's stored offsets are behind its log.

use crate::log::ReadPartition;
use crate::observe::metrics::{self, Metrics};
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often the log's end is asked for while nothing is read.
const EVERY: Duration = Duration::from_secs(1);

/// The lag of one partition, in records.
pub(super) struct Lag {
    shown: Gauge,
    /// The greatest end that was ever heard of. After a time without reads, what the reader knows is from before it.
    end: AtomicI64,
}

impl Lag {
    pub(super) fn of(partition: u32, metrics: &Metrics) -> Self {
        let shown = metrics.consume_lag_records.get_or_create(&metrics::partition(partition)).clone();
        Self { shown, end: AtomicI64::new(0) }
    }

    /// Shows it, as far as the log's end is known; `next` is the offset behind the newest block.
    pub(super) fn note(&self, reader: &impl ReadPartition, next: i64) {
        if let Some(end) = reader.known_end() {
            self.show(end, next);
        }
    }

    fn show(&self, end: i64, next: i64) {
        let end = self.end.fetch_max(end, Ordering::Relaxed).max(end);
        self.shown.set((end - next).max(0));
    }

    /// Asks for the log's end, again and again: while a store is slow nothing is read, so that nothing else tells of it,
    /// and just then somebody wants to see how fast the lag grows.
    pub(super) async fn watch(&self, reader: &mut impl ReadPartition, next: i64) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Ok(bounds) = reader.bounds().await {
                self.show(bounds.end, next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_reader_knew_before_a_pause_does_not_hide_what_came_in_it() {
        let metrics = Metrics::default();
        let lag = Lag::of(3, &metrics);
        lag.show(100, 90);
        assert_eq!(lag.shown.get(), 10);
        // A store was slow: the log was asked. When it has stored a block, the reader still knows the end of before.
        lag.show(5_000, 90);
        lag.show(100, 95);
        assert_eq!(lag.shown.get(), 4_905);
    }
}
