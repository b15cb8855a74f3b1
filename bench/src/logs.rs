//! The latencies of a run second by second, and the HdrHistogram interval logs that hold them: one file a latency, one
//! interval a second of the due instant, values in nanoseconds, readable by HdrHistogram's own tools.
//!
//! Pure: what is written is bytes, and whose they are is the caller's affair.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

/// The latencies, in the order in which an order passes them: the names of the files and of the report's fields.
pub const NAMES: [&str; 6] = ["delay", "service", "response", "log", "orders", "rollup"];

/// Nanoseconds in a millisecond, the unit of reports.
pub const PER_MS: f64 = 1e6;

/// One histogram of nanoseconds for each second of the schedule in which orders were due.
pub type Seconds = BTreeMap<u64, Histogram<u64>>;

/// All latencies of a run.
#[derive(Clone, Debug, Default)]
pub struct Logs(BTreeMap<&'static str, Seconds>);

impl Logs {
    /// Adds what was measured of a latency in a second.
    pub fn add(&mut self, name: &'static str, second: u64, histogram: &Histogram<u64>) {
        let kept = self.0.entry(name).or_default().entry(second).or_insert_with(empty);
        // It grows as needed.
        let added = kept.add(histogram);
        debug_assert!(added.is_ok());
    }

    /// The seconds of a latency.
    pub fn seconds(&self, name: &str) -> impl Iterator<Item = (u64, &Histogram<u64>)> {
        self.0.get(name).into_iter().flatten().map(|(second, histogram)| (*second, histogram))
    }

    /// Without the first seconds.
    pub fn after(&self, seconds: u64) -> Self {
        let left = |kept: &Seconds| {
            kept.range(seconds..).map(|(second, histogram)| (*second, histogram.clone())).collect()
        };
        Self(self.0.iter().map(|(name, kept)| (*name, left(kept))).collect())
    }

    /// All seconds of a latency together.
    pub fn whole(&self, name: &str) -> Histogram<u64> {
        self.seconds(name).fold(empty(), |mut whole, (_, histogram)| {
            let added = whole.add(histogram);
            debug_assert!(added.is_ok());
            whole
        })
    }

    /// The interval log of a latency, of a run that started at an instant of Unix time, in nanoseconds.
    ///
    /// # Errors
    /// Where a histogram cannot be written, which one of nanoseconds can.
    pub fn interval_log(&self, name: &str, started_at: i64) -> Result<Vec<u8>, String> {
        let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        let started = Duration::from_nanos(u64::try_from(started_at).unwrap_or(0));
        let mut writer = IntervalLogWriterBuilder::new()
            .add_comment(&format!(
                "{name}: nanoseconds from the due instant, by the second in which orders were due"
            ))
            .with_start_time(UNIX_EPOCH + started)
            .with_base_time(UNIX_EPOCH + started)
            .with_max_value_divisor(PER_MS)
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(|error| error.to_string())?;
        for (second, histogram) in self.seconds(name) {
            writer
                .write_histogram(histogram, Duration::from_secs(second), Duration::from_secs(1), None)
                .map_err(|error| format!("{error:?}"))?;
        }
        Ok(bytes)
    }
}

impl Logs {
    /// Adds the intervals of a log that [`Logs::interval_log`] wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, name: &'static str, log: &[u8]) -> Result<(), String> {
        for entry in IntervalLogIterator::new(log) {
            if let LogEntry::Interval(interval) = entry.map_err(|error| format!("{error:?}"))? {
                self.add(name, interval.start_timestamp().as_secs(), &decoded(&interval)?);
            }
        }
        Ok(())
    }
}

fn decoded(interval: &IntervalLogHistogram<'_>) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|error| error.to_string())?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("{error:?}"))
}

/// A histogram of nanoseconds that grows as needed.
#[expect(clippy::unwrap_used, reason = "three digits are a constant that the library takes")]
pub fn empty() -> Histogram<u64> {
    Histogram::new(3).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Logs {
        let mut logs = Logs::default();
        for second in 0..4_u64 {
            let mut histogram = empty();
            for at in 1..=10 {
                histogram.record((second + 1) * at * 1_000_000).unwrap();
            }
            logs.add("response", second, &histogram);
        }
        logs
    }

    #[test]
    fn an_interval_log_has_a_line_a_second_with_all_that_was_measured() {
        let text = logs().after(1).interval_log("response", 1_700_000_000_000_000_000).unwrap();
        let mut seconds = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            let histogram = decoded(&interval).unwrap();
            assert_eq!((interval.duration(), histogram.len()), (Duration::from_secs(1), 10));
            seconds.push((interval.start_timestamp().as_secs(), histogram.max() / 10_000_000));
        }
        assert_eq!(seconds, [(1, 2), (2, 3), (3, 4)]);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("#[StartTime: 1700000000.000 (seconds since epoch)]\n"), "{text}");
    }

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let written = logs().interval_log("response", 7_000_000_000).unwrap();
        let mut read = Logs::default();
        read.read("response", &written).unwrap();
        assert!(read.seconds("response").eq(logs().seconds("response")));
        assert!(Logs::default().read("response", b"0.0,1.0,2.0,rubbish!\n").is_err());
    }

    #[test]
    fn what_is_left_out_is_in_no_figure() {
        assert_eq!(logs().whole("response").len(), 40);
        let left = logs().after(3);
        assert_eq!((left.whole("response").len(), left.whole("response").min() / 1_000_000), (10, 3));
        assert!(left.whole("rollup").is_empty());
    }
}
