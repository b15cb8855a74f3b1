//! The latencies of a run and their percentile spectra, taken from HDR histograms.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Spectrum;

/// The histograms of a run. Delay, service and response are the sender's; all but delay and service count from the
/// instant at which the order was due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyMs {
    /// Due to sent: how late the generator was.
    pub delay: Percentiles,
    /// Sent to reply.
    pub service: Percentiles,
    /// Due to reply: the headline.
    pub response: Percentiles,
    /// Due to the record's place in the log.
    pub log: Percentiles,
    /// Due to the row in the orders store.
    pub orders: Percentiles,
    /// Due to the sums in which the order is counted.
    pub rollup: Percentiles,
}

impl LatencyMs {
    /// All histograms by name, in the order in which an order passes them.
    pub fn named(&self) -> [(&'static str, Percentiles); 6] {
        [
            ("delay", self.delay),
            ("service", self.service),
            ("response", self.response),
            ("log", self.log),
            ("orders", self.orders),
            ("rollup", self.rollup),
        ]
    }
}

/// A histogram in seven numbers, in milliseconds. A count of 0 says that it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Longest.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Values recorded.
    pub count: u64,
}

impl Percentiles {
    /// Reads them off a histogram that counts `per_ms` units to the millisecond: 1,000,000 for nanoseconds.
    pub fn of(histogram: &Histogram<u64>, per_ms: f64) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile| millis(histogram.value_at_quantile(quantile), per_ms);
        Self {
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max(), per_ms),
            mean: rounded(histogram.mean() / per_ms, 1e6),
            count: histogram.len(),
        }
    }
}

/// The percentile spectrum of a histogram, ten points for each halving of what is left above, as HDR's own logs have.
pub fn spectrum(histogram: &Histogram<u64>, per_ms: f64) -> Spectrum {
    histogram
        .iter_quantiles(10)
        .map(|step| [rounded(step.quantile_iterated_to(), 1e9), millis(step.value_iterated_to(), per_ms)])
        .collect()
}

/// Latencies are far below 2^53 units, where an f64 holds every integer.
fn millis(value: u64, per_ms: f64) -> f64 {
    value as f64 / per_ms
}

/// Digits beyond the histogram's own precision only make a report longer.
fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seven_numbers_and_the_spectrum_of_a_thousand_milliseconds_are_what_they_should_be() {
        let mut histogram = Histogram::<u64>::new(4).unwrap();
        for ms in 1..=1000 {
            histogram.record(ms * 1000).unwrap();
        }
        let found = Percentiles::of(&histogram, 1000.0);
        for (found, expected) in [
            (found.p50, 500.0),
            (found.p90, 900.0),
            (found.p99, 990.0),
            (found.p999, 999.0),
            (found.max, 1000.0),
        ] {
            assert!((found - expected).abs() < expected / 5000.0, "{found} is not {expected}");
        }
        assert_eq!(found.count, 1000);

        let spectrum = spectrum(&histogram, 1000.0);
        assert!(spectrum.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]));
        assert_eq!(spectrum.last().unwrap()[0].to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn an_empty_histogram_is_a_count_of_nothing() {
        let histogram = Histogram::<u64>::new(3).unwrap();
        assert_eq!(Percentiles::of(&histogram, 1.0), Percentiles::default());
        assert!(spectrum(&histogram, 1.0).is_empty());
    }
}
