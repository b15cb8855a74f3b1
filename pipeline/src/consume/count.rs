//! What a stored block adds to the metrics and to the latencies by hop.

use crate::block::{Block, BlockRow};
use crate::log::DeadLetter;
use crate::observe::hops::Hop;
use crate::observe::manage::Observed;
use crate::observe::metrics;
use crate::order::Reason;
use crate::store::Stored;
use crate::window::Window;

/// Counts a block that is stored, with the window as it is behind it.
pub(super) fn count(block: &Block, stored: &Stored, window: &Window, observed: &Observed) {
    let metrics = &observed.metrics;
    for reason in block.dead.iter().filter_map(reason_of) {
        metrics.dead(reason).inc();
    }
    metrics.parse_duplicates.inc_by(block.row.duplicates);
    metrics.parse_conflicts.inc_by(block.notes.conflicts);
    metrics.roll_up_rows.inc_by(block.sums.len() as u64);
    metrics.store_blocks.inc();
    metrics.store_orders.inc_by(block.row.orders);
    note_newest(&block.row, observed);
    let newest = &metrics.store_newest_created_at_seconds;
    newest.set(newest.get().max(seconds(block.row.newest_created_at)));
    let newest = &metrics.store_newest_received_at_seconds;
    newest.set(newest.get().max(seconds(block.row.newest_received_at)));
    note_window(block.row.partition, window, observed);
    let due = || block.orders.iter().filter_map(|order| order.due_at);
    observed.hops.record(Hop::Orders, stored.orders_at, due());
    observed.hops.record(Hop::Rollup, stored.rollup_at, due());
    let metrics = &observed.metrics.enrich;
    metrics.enrich_unknown_states.inc_by(block.notes.unknown_states);
    metrics.enrich_other_categories.inc_by(block.notes.other_categories);
}

/// Shows how far a partition is in time: up to which receipt it is stored. Also where nothing was stored since the start, so
/// that a store which is down from then on does not hide it.
pub(super) fn note_newest(row: &BlockRow, observed: &Observed) {
    let (label, metrics) = (metrics::partition(row.partition), &observed.metrics);
    metrics.consume_newest_received_at_seconds.get_or_create(&label).set(seconds(row.newest_received_at));
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// Shows a partition's window as it is.
pub(super) fn note_window(partition: u32, window: &Window, observed: &Observed) {
    let (label, metrics) = (metrics::partition(partition), &observed.metrics.window);
    let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    metrics.window_ids.get_or_create(&label).set(size(window.len()));
    metrics.window_bytes.get_or_create(&label).set(size(window.memory_bytes()));
}

/// Shows nothing more of a partition that another processor reads now.
pub(super) fn forget(partition: u32, observed: &Observed) {
    let (label, metrics) = (metrics::partition(partition), &observed.metrics);
    metrics.consume_stopped.remove(&label);
    metrics.consume_lag_records.remove(&label);
    metrics.consume_newest_received_at_seconds.remove(&label);
    metrics.window.forget(&label);
}

/// The reason of a dead letter.
fn reason_of(letter: &DeadLetter) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.tag() == letter.reason)
}
