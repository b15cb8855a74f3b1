//! What a ledger found, as metrics in a file of Prometheus's text format. A ledger is drawn up now and then by a command that
//! ends, so nobody could ask it: node exporter's textfile collector reads the file.

use super::counters::{Label, SecondsGauge, add};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics. All are gauges: the file's format knows counters by other names than `/metrics` gives them.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct LedgerMetrics {
    registry: Registry,
    pub observe_ledger_at_seconds: SecondsGauge,
    pub observe_ledger_differences: Gauge,
    pub observe_ledger_pending_records: Gauge,
    pub observe_ledger_lost_records: Gauge,
    pub observe_ledger_records: Family<Label, Gauge>,
}

impl Default for LedgerMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tillflow");
        let it = &mut registry;
        Self {
            observe_ledger_at_seconds: add(
                it,
                "observe_ledger_at_seconds",
                "Unix time at which the newest ledger was drawn up",
                SecondsGauge::default(),
            ),
            observe_ledger_differences: add(
                it,
                "observe_ledger_differences",
                "What does not balance in it",
                Gauge::default(),
            ),
            observe_ledger_pending_records: add(
                it,
                "observe_ledger_pending_records",
                "Records that were still to be stored then",
                Gauge::default(),
            ),
            observe_ledger_lost_records: add(
                it,
                "observe_ledger_lost_records",
                "Records that were deleted before they were stored, which an operator accepted",
                Gauge::default(),
            ),
            observe_ledger_records: add(
                it,
                "observe_ledger_records",
                "Records in the log, and what they came to: orders, duplicates, dead",
                Family::default(),
            ),
            registry,
        }
    }
}

impl LedgerMetrics {
    /// All of them in Prometheus's text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
