//! What metrics are made of: counters by the values of one label, gauges of seconds, the buckets of latencies.

use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::atomic::AtomicU64;

/// A gauge that holds seconds.
pub type SecondsGauge = Gauge<f64, AtomicU64>;

/// 50 us to 26 s, each twice the one before.
pub(super) fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 20))
}

/// Registers a metric and returns it.
pub(super) fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// One label: `name="value"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub &'static str, pub String);

impl EncodeLabelSet for Label {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        (self.0, self.1.as_str()).encode(encoder.encode_label())
    }
}

/// A counter for each value of one label that a closed set can have, looked up by index and not by name.
#[derive(Debug)]
pub struct Counters<const N: usize>([Counter; N]);

impl<const N: usize> Counters<N> {
    /// Registers the counters under one name, with a value of the label for each.
    pub(super) fn register(
        registry: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        values: [&str; N],
    ) -> Self {
        let family = Family::<Label, Counter>::default();
        registry.register(name, help, family.clone());
        Self(values.map(|value| family.get_or_create(&Label(label, value.to_owned())).clone()))
    }

    /// The counter of an index; one behind the end counts under the last.
    #[expect(clippy::indexing_slicing, reason = "the index is at most the last")]
    pub fn at(&self, index: usize) -> &Counter {
        &self.0[index.min(N - 1)]
    }
}
