//! The metrics of what the processor adds to orders: the customers dimension, and what it could not tell.

use super::counters::add;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct EnrichMetrics {
    pub enrich_customers: Gauge,
    pub enrich_reloads: Counter,
    pub enrich_reload_errors: Counter,
    pub enrich_unknown_states: Counter,
    pub enrich_other_categories: Counter,
}

impl EnrichMetrics {
    /// Registers them.
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            enrich_customers: add(it, "enrich_customers", "Customers in the dimension", Gauge::default()),
            enrich_reloads: add(
                it,
                "enrich_reloads",
                "Times the dimension was read again",
                Counter::default(),
            ),
            enrich_reload_errors: add(
                it,
                "enrich_reload_errors",
                "Times it could not be read",
                Counter::default(),
            ),
            enrich_unknown_states: add(
                it,
                "enrich_unknown_states",
                "Orders counted under the state unknown",
                Counter::default(),
            ),
            enrich_other_categories: add(
                it,
                "enrich_other_categories",
                "Orders counted under the category other",
                Counter::default(),
            ),
        }
    }
}
