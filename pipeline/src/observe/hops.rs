//! How long an order of a load run took to each hop, from the instant at which the run's schedule wanted it sent.
//!
//! Orders carry that instant as `due_at`; orders that do not are not recorded. The histograms are HdrHistogram's, in
//! microseconds, and leave the process as that library's own V2 serialization in base64, so that nothing is lost on the
//! way into a report.

pub mod seconds;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use seconds::Seconds;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What an order reaches on its way. The reply is a hop as well; the generator itself sees that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// The log has it durably.
    Log,
    /// The orders store has acknowledged it.
    Orders,
    /// The rollups have acknowledged it.
    Rollup,
}

impl Hop {
    /// All hops, in the order of the flow.
    pub const ALL: [Self; 3] = [Self::Log, Self::Orders, Self::Rollup];

    /// The word used in reports.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Orders => "orders",
            Self::Rollup => "rollup",
        }
    }
}

/// The longest latency that is told from longer ones: an hour.
const MAX_US: u64 = 3_600_000_000;

/// The histograms.
#[derive(Debug)]
pub struct Hops {
    whole: [Mutex<Histogram<u64>>; 3],
    seconds: Mutex<Seconds>,
}

impl Default for Hops {
    fn default() -> Self {
        Self { whole: std::array::from_fn(|_| Mutex::new(empty())), seconds: Mutex::default() }
    }
}

#[expect(clippy::unwrap_used, reason = "these bounds and digits are constants that the library takes")]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_US, 3).unwrap()
}

impl Hops {
    /// Records that orders reached a hop at an instant, each by the instant at which it was due, both in nanoseconds of
    /// Unix time. A clock that was set back in between counts as no time at all.
    pub fn record(&self, hop: Hop, reached_at: i64, due_at: impl IntoIterator<Item = i64, IntoIter: Clone>) {
        let due_at = due_at.into_iter();
        if due_at.clone().next().is_none() {
            return;
        }
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner).record(hop, reached_at, due_at.clone());
        let Some(histogram) = self.whole.get(hop as usize) else { return };
        let mut histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
        for due_at in due_at {
            let microseconds = (reached_at.saturating_sub(due_at) / 1_000).max(0).cast_unsigned();
            histogram.saturating_record(microseconds);
        }
    }

    /// The histograms as JSON: `{"unit":"us","hops":{"log":"<base64>",…}}`.
    pub fn encode(&self) -> String {
        let mut hops = BTreeMap::new();
        for (hop, histogram) in Hop::ALL.into_iter().zip(&self.whole) {
            hops.insert(hop.tag(), text_of(&histogram.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        serde_json::json!({ "unit": "us", "hops": hops }).to_string()
    }

    /// Hands over what was kept by second since it was last taken, and forgets it. The first taking begins the keeping.
    pub fn take_seconds(&self, now: i64) -> String {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner).take(now)
    }

    /// Reads what [`Hops::encode`] wrote.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn decode(text: &str) -> Result<BTreeMap<String, Histogram<u64>>, String> {
        #[derive(serde::Deserialize)]
        struct Encoded {
            hops: BTreeMap<String, String>,
        }
        let encoded: Encoded = serde_json::from_str(text).map_err(|error| error.to_string())?;
        encoded.hops.into_iter().map(|(hop, text)| Ok((hop, histogram_of(&text)?))).collect()
    }
}

/// A histogram in the library's own form, in base64.
fn text_of(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = V2Serializer::new().serialize(histogram, &mut bytes) {
        tracing::error!(?error, "a histogram cannot be written");
    }
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn histogram_of(text: &str) -> Result<Histogram<u64>, String> {
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text)
        .map_err(|error| error.to_string())?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_out_as_it_went_in() {
        let hops = Hops::default();
        hops.record(Hop::Orders, 5_000_000, [0, 1_000_000, 9_000_000]);
        hops.record(Hop::Rollup, i64::MAX, [0]);
        let found = Hops::decode(&hops.encode()).unwrap();
        assert_eq!(found["orders"].len(), 3);
        assert_eq!(found["orders"].max(), found["orders"].highest_equivalent(5_000));
        assert_eq!(found["orders"].min(), 0);
        assert_eq!(found["rollup"].len(), 1);
        assert!(found["log"].is_empty());
    }
}
