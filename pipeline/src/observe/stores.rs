//! The metrics of the two servers that are stored in, by the same names for both, told apart by the label `store`.

use super::counters::{Label, add, latency};
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::fmt;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Where every order is.
    Orders,
    /// Where the sums and the blocks are.
    Rollups,
}

impl Store {
    const fn tag(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Rollups => "rollups",
        }
    }
}

/// Which store, and what went wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ErrorLabels {
    store: &'static str,
    kind: &'static str,
}

impl EncodeLabelSet for ErrorLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        ("store", self.store).encode(encoder.encode_label())?;
        ("kind", self.kind).encode(encoder.encode_label())
    }
}

/// The metrics of both stores.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    request_seconds: Family<Label, Histogram>,
    request_retries: Family<Label, Counter>,
    requests_in_flight: Family<Label, Gauge>,
    sent_bytes: Family<Label, Counter>,
    rows: Family<Label, Counter>,
    burned: Counter,
    errors: Family<ErrorLabels, Counter>,
}

/// The metrics of one store.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct OneStore {
    store: Store,
    pub request_seconds: Histogram,
    pub request_retries: Counter,
    requests_in_flight: Gauge,
    pub sent_bytes: Counter,
    pub rows: Counter,
    pub burned: Counter,
    errors: Family<ErrorLabels, Counter>,
}

impl StoreMetrics {
    /// Registers them.
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            request_seconds: add(
                it,
                "store_request_seconds",
                "From sending a batch or an insert to its acknowledgement, by store",
                Family::new_with_constructor(latency),
            ),
            request_retries: add(
                it,
                "store_request_retries",
                "Batches and inserts sent again after an error, by store",
                Family::default(),
            ),
            requests_in_flight: add(
                it,
                "store_requests_in_flight",
                "Batches and inserts sent and not yet answered, by store",
                Family::default(),
            ),
            sent_bytes: add(
                it,
                "store_sent_bytes",
                "Bytes of the rows that were sent, by store",
                Family::default(),
            ),
            rows: add(it, "store_rows", "Rows acknowledged, by store", Family::default()),
            burned: add(
                it,
                "store_burned_tokens",
                "Inserts that were acknowledged and not stored, so that another attempt was made",
                Counter::default(),
            ),
            errors: add(it, "store_errors", "Errors, by store and kind", Family::default()),
        }
    }

    /// Those of one store.
    pub fn of(&self, store: Store) -> OneStore {
        let label = Label("store", store.tag().to_owned());
        OneStore {
            store,
            request_seconds: self.request_seconds.get_or_create(&label).clone(),
            request_retries: self.request_retries.get_or_create(&label).clone(),
            requests_in_flight: self.requests_in_flight.get_or_create(&label).clone(),
            sent_bytes: self.sent_bytes.get_or_create(&label).clone(),
            rows: self.rows.get_or_create(&label).clone(),
            burned: self.burned.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl OneStore {
    /// Counts an error.
    pub fn errors(&self, kind: &'static str) {
        self.errors.get_or_create(&ErrorLabels { store: self.store.tag(), kind }).inc();
    }

    /// Counts a request as under way until the guard is dropped, also where whoever sent it has gone.
    pub fn requests_in_flight(&self) -> UnderWay {
        self.requests_in_flight.inc();
        UnderWay(self.requests_in_flight.clone())
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::Metrics;
    use crate::observe::stores::Store;

    #[test]
    fn both_stores_stand_under_the_same_names() {
        let metrics = Metrics::default();
        let (orders, rollups) = (metrics.stores.of(Store::Orders), metrics.stores.of(Store::Rollups));
        orders.rows.inc_by(5);
        rollups.rows.inc();
        rollups.errors("timeout");
        let guard = orders.requests_in_flight();
        let line = |line: &str| assert!(metrics.encode().contains(line), "{line} in {}", metrics.encode());
        line("tillflow_store_rows_total{store=\"orders\"} 5");
        line("tillflow_store_rows_total{store=\"rollups\"} 1");
        line("tillflow_store_errors_total{store=\"rollups\",kind=\"timeout\"} 1");
        line("tillflow_store_requests_in_flight{store=\"orders\"} 1");
        drop(guard);
        line("tillflow_store_requests_in_flight{store=\"orders\"} 0");
    }
}
