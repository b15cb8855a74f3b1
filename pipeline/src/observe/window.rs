//! The metrics of the windows of order ids: one window for each partition that is read here. Their sum over the
//! partitions is the processor's. Hits and conflicts are `parse_duplicates` and `parse_conflicts`.

use super::counters::{Label, add};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The metrics of the windows.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct WindowMetrics {
    pub window_offsets: Gauge,
    pub window_ids: Family<Label, Gauge>,
    pub window_bytes: Family<Label, Gauge>,
    pub window_rebuild_left: Family<Label, Gauge>,
    pub window_rebuild_seconds: Histogram,
}

impl WindowMetrics {
    /// Registers them.
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            window_offsets: add(
                it,
                "parse_window_offsets",
                "Preceding offsets of its partition that an order id is remembered for, as configured",
                Gauge::default(),
            ),
            window_ids: add(
                it,
                "parse_window_ids",
                "Order ids in the window, by partition",
                Family::default(),
            ),
            window_bytes: add(
                it,
                "parse_window_bytes",
                "Memory of the window, by partition",
                Family::default(),
            ),
            window_rebuild_left: add(
                it,
                "parse_window_rebuild_left",
                "Offsets still to be read before the window is rebuilt and the partition goes on, by partition",
                Family::default(),
            ),
            window_rebuild_seconds: add(
                it,
                "parse_window_rebuild_seconds",
                "From an assignment's place to go on at to its window, rebuilt from the log",
                // 1 ms to 16 s.
                Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            ),
        }
    }

    /// Forgets a partition that is not read here any more.
    pub fn forget(&self, partition: &Label) {
        for family in [&self.window_ids, &self.window_bytes, &self.window_rebuild_left] {
            family.remove(partition);
        }
    }
}
