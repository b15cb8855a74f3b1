//! The latencies to each hop apart for each second in which orders were due, for a harness that takes them as the run
//! goes: it can then leave a warm-up out, and show a run over time.
//!
//! Nothing is kept until somebody asks, and nothing any more when nobody has for a minute. What is kept
//! meanwhile is limited; orders beyond the limit are counted, so that a reader knows that it has not all.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{Hop, text_of};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// A harness asks every second; after a minute of silence it has gone.
const ASKED_WITHIN: i64 = 60 * NANOS_PER_SECOND;
/// Seconds of all hops that are kept between two takings: at some 100 KiB each 60 MiB at most, and in a run that is
/// taken every second about ten.
const SECONDS_MAX: usize = 600;
/// The part of a second of which the first order is kept apart, to be compared with what a reader sees.
pub const PART: i64 = NANOS_PER_SECOND / 10;

/// The first order due in a part of a second, and when it reached the hop: orders of one request share their due
/// instant and may reach it one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct First {
    /// When it was due, in nanoseconds of Unix time.
    pub due_at: i64,
    /// When the first order of the request reached the hop.
    pub earliest: i64,
    /// When the last one did.
    pub latest: i64,
}

impl First {
    fn take(&mut self, other: Self) {
        match other.due_at.cmp(&self.due_at) {
            std::cmp::Ordering::Less => *self = other,
            std::cmp::Ordering::Equal => {
                self.earliest = self.earliest.min(other.earliest);
                self.latest = self.latest.max(other.latest);
            }
            std::cmp::Ordering::Greater => {}
        }
    }
}

/// One hop in one second.
#[derive(Clone, Debug)]
pub struct Interval {
    /// From due to the hop, in nanoseconds.
    pub histogram: Histogram<u64>,
    /// The first orders of its parts, by the part's number since 1970.
    pub firsts: BTreeMap<i64, First>,
}

impl Interval {
    /// An interval of nothing.
    #[expect(clippy::unwrap_used, reason = "three digits are a constant that the library takes")]
    pub fn new() -> Self {
        Self { histogram: Histogram::new(3).unwrap(), firsts: BTreeMap::new() }
    }

    fn record(&mut self, due_at: i64, reached_at: i64) {
        let nanos = reached_at.saturating_sub(due_at).max(0).cast_unsigned();
        // It grows as needed, which a saturating record would not make it do; what is beyond 2^63 ns cannot come.
        let recorded = self.histogram.record(nanos);
        debug_assert!(recorded.is_ok());
        let first = First { due_at, earliest: reached_at, latest: reached_at };
        self.firsts.entry(due_at.div_euclid(PART)).and_modify(|kept| kept.take(first)).or_insert(first);
    }

    /// Adds what another taking found of the same second.
    pub fn add(&mut self, other: &Self) {
        // Both grow as needed.
        let added = self.histogram.add(&other.histogram);
        debug_assert!(added.is_ok());
        for (part, first) in &other.firsts {
            self.firsts.entry(*part).and_modify(|kept| kept.take(*first)).or_insert(*first);
        }
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::new()
    }
}

/// What was taken: intervals by hop and second of Unix time, and how many orders were beyond the limit.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// The intervals.
    pub intervals: BTreeMap<(String, i64), Interval>,
    /// Orders that were not recorded.
    pub missed: u64,
}

/// What is kept until it is taken.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    asked_at: Option<i64>,
    intervals: BTreeMap<(Hop, i64), Interval>,
    missed: u64,
}

impl Seconds {
    pub(super) fn record(&mut self, hop: Hop, reached_at: i64, due_at: impl Iterator<Item = i64>) {
        match self.asked_at {
            None => return,
            Some(asked_at) if reached_at.saturating_sub(asked_at) > ASKED_WITHIN => {
                *self = Self::default();
                return;
            }
            Some(_) => {}
        }
        for due_at in due_at {
            let key = (hop, due_at.div_euclid(NANOS_PER_SECOND));
            if self.intervals.len() >= SECONDS_MAX && !self.intervals.contains_key(&key) {
                self.missed += 1;
                continue;
            }
            self.intervals.entry(key).or_default().record(due_at, reached_at);
        }
    }

    /// Hands over what was kept, as JSON, and keeps on from `now`.
    pub(super) fn take(&mut self, now: i64) -> String {
        let taken = std::mem::replace(self, Self { asked_at: Some(now), ..Self::default() });
        let seconds: Vec<_> = taken
            .intervals
            .iter()
            .map(|((hop, second), interval)| {
                serde_json::json!({
                    "hop": hop.tag(), "second": second, "histogram": text_of(&interval.histogram),
                    "firsts": interval.firsts,
                })
            })
            .collect();
        serde_json::json!({ "unit": "ns", "missed": taken.missed, "seconds": seconds }).to_string()
    }
}

impl Taken {
    /// Reads what [`super::Hops::take_seconds`] wrote.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn decode(text: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Encoded {
            missed: u64,
            seconds: Vec<Second>,
        }
        #[derive(serde::Deserialize)]
        struct Second {
            hop: String,
            second: i64,
            histogram: String,
            firsts: BTreeMap<i64, First>,
        }
        let encoded: Encoded = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let interval = |Second { hop, second, histogram, firsts }| {
            Ok(((hop, second), Interval { histogram: super::histogram_of(&histogram)?, firsts }))
        };
        let intervals = encoded.seconds.into_iter().map(interval).collect::<Result<_, String>>()?;
        Ok(Self { intervals, missed: encoded.missed })
    }

    /// Adds a later taking.
    pub fn add(&mut self, later: Self) {
        self.missed += later.missed;
        for (key, interval) in later.intervals {
            self.intervals.entry(key).or_default().add(&interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hops;
    use super::*;

    const S: i64 = NANOS_PER_SECOND;

    #[test]
    fn nothing_is_kept_before_somebody_asks_and_each_taking_begins_anew() {
        let hops = Hops::default();
        hops.record(Hop::Log, 100 * S, [99 * S]);
        assert!(Taken::decode(&hops.take_seconds(100 * S)).unwrap().intervals.is_empty());

        hops.record(Hop::Log, 101 * S, [99 * S + 1, 100 * S, 100 * S + PART]);
        let taken = Taken::decode(&hops.take_seconds(101 * S)).unwrap();
        let found: Vec<_> = taken.intervals.iter().map(|(key, kept)| (key.1, kept.histogram.len())).collect();
        assert_eq!(found, [(99, 1), (100, 2)]);
        assert_eq!(taken.intervals[&("log".to_owned(), 100)].histogram.max() / 1_000_000, 1_000);
        assert!(Taken::decode(&hops.take_seconds(102 * S)).unwrap().intervals.is_empty());
    }

    #[test]
    fn the_first_order_of_a_part_is_kept_with_the_first_and_last_of_its_request() {
        let hops = Hops::default();
        let due = 100 * S;
        hops.take_seconds(due);
        hops.record(Hop::Rollup, due + 50, [due + 7, due + 3]);
        hops.record(Hop::Rollup, due + 90, [due + 3, due + 4]);
        let mut taken = Taken::decode(&hops.take_seconds(due)).unwrap();
        hops.record(Hop::Rollup, due + 95, [due + 3]);
        taken.add(Taken::decode(&hops.take_seconds(due)).unwrap());
        let interval = &taken.intervals[&("rollup".to_owned(), 100)];
        assert_eq!(interval.firsts[&1000], First { due_at: due + 3, earliest: due + 50, latest: due + 95 });
        assert_eq!(interval.histogram.len(), 5);
    }

    #[test]
    fn what_nobody_takes_is_forgotten_and_what_is_beyond_the_limit_is_counted() {
        let hops = Hops::default();
        hops.take_seconds(0);
        hops.record(Hop::Log, S, (0..700).map(|second| second * S));
        let taken = Taken::decode(&hops.take_seconds(S)).unwrap();
        assert_eq!((taken.intervals.len(), taken.missed), (600, 100));

        hops.record(Hop::Log, S + ASKED_WITHIN + 1, [S]);
        assert!(Taken::decode(&hops.take_seconds(S)).unwrap().intervals.is_empty());
    }
}
