//! How long an order of a load run took to each hop, from the instant at which the run's schedule wanted it sent.
//!
//! Orders carry that instant as `due_at`; orders that do not are not recorded. The histograms are HdrHistogram's, in
//! microseconds, and leave the process as that library's own V2 serialization in base64, so that nothing is lost on the
//! way into a report.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
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
pub struct Hops([Mutex<Histogram<u64>>; 3]);

impl Default for Hops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(empty())))
    }
}

#[expect(clippy::unwrap_used, reason = "these bounds and digits are constants that the library takes")]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_US, 3).unwrap()
}

impl Hops {
    /// Records that orders reached a hop at an instant, each by the instant at which it was due, both in nanoseconds of
    /// Unix time. A clock that was set back in between counts as no time at all.
    pub fn record(&self, hop: Hop, reached_at: i64, due_at: impl IntoIterator<Item = i64>) {
        let mut due_at = due_at.into_iter().peekable();
        if due_at.peek().is_none() {
            return;
        }
        let Some(histogram) = self.0.get(hop as usize) else { return };
        let mut histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
        for due_at in due_at {
            let microseconds = (reached_at.saturating_sub(due_at) / 1_000).max(0).cast_unsigned();
            histogram.saturating_record(microseconds);
        }
    }

    /// The histograms as JSON: `{"unit":"us","hops":{"log":"<base64>",…}}`.
    pub fn encode(&self) -> String {
        let mut hops = BTreeMap::new();
        for (hop, histogram) in Hop::ALL.into_iter().zip(&self.0) {
            let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
            let mut bytes = Vec::new();
            if let Err(error) = V2Serializer::new().serialize(&histogram, &mut bytes) {
                tracing::error!(?error, hop = hop.tag(), "a histogram cannot be written");
            }
            hops.insert(hop.tag(), base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes));
        }
        serde_json::json!({ "unit": "us", "hops": hops }).to_string()
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
        let decode = |text: &str| {
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text)
                .map_err(|error| error.to_string())?;
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("{error:?}"))
        };
        encoded.hops.into_iter().map(|(hop, text)| Ok((hop, decode(&text)?))).collect()
    }
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
