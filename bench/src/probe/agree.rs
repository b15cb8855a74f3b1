//! Whether what a reader saw and what the pipeline recorded are the same instants, as far as polling can tell. Pure.
//!
//! A probe knows that its order became visible between its last look that did not find it and the look that did. The
//! record of the same order, found by its due instant, agrees when no look that began after the acknowledgement
//! failed to see the order, and when the acknowledgement was not noted more than a step after a reader had
//! the order in hand. Orders of one request share their due instant and not their block: their record is the time from the
//! first of them to the last, and says less.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use pipeline::observe::hops::seconds::{First, PART};
use serde::{Deserialize, Serialize};

use crate::report::Percentiles;

/// The share of the probes that must agree. A process of a busy machine may be put aside between an answer and
/// its noting it.
const AGREE_LEAST: f64 = 0.9;

/// A store that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// The orders store.
    Orders,
    /// The rollups.
    Rollup,
}

impl Hop {
    /// The hop's name in reports.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Rollup => "rollup",
        }
    }
}

/// An order that was seen. Instants are nanoseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub hop: Hop,
    /// When it was due.
    pub due_at: i64,
    /// When the last look that did not find it began; nothing if the first look did.
    pub unseen_at: Option<i64>,
    /// When the answer that had it was there.
    pub seen_at: i64,
}

/// Both, side by side, over the orders that have both. Of several runs, counts are of all; percentiles and differences are
/// of the run whose median difference is in the middle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The wait between two looks, in milliseconds.
    pub step_ms: f64,
    /// Orders that were looked for and seen.
    pub seen: u64,
    /// Of these, those of which there is a record.
    pub paired: u64,
    /// Of these, those that agree.
    pub agreed: u64,
    /// Whether enough of them do.
    pub agree: bool,
    /// From due to seen, of the paired, in milliseconds.
    pub probe_ms: Percentiles,
    /// From due to recorded, of the same.
    pub record_ms: Percentiles,
    /// Seen minus recorded, or minus the nearer end of what was recorded of a request of several orders: least, median
    /// and greatest, in milliseconds.
    pub difference_ms: [f64; 3],
}

/// Compares what was seen at a hop with what was recorded there, by part of a second.
pub fn compare(seen: &[Seen], firsts: &BTreeMap<i64, First>, step: Duration) -> Compared {
    let step_ns = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX);
    let paired: Vec<(Seen, First)> = seen
        .iter()
        .filter_map(|seen| Some((*seen, *firsts.get(&seen.due_at.div_euclid(PART))?)))
        .filter(|(seen, first)| seen.due_at == first.due_at)
        .collect();
    let agrees = |(seen, first): &&(Seen, First)| {
        seen.unseen_at.is_none_or(|unseen_at| unseen_at <= first.latest)
            && seen.seen_at.saturating_add(step_ns) >= first.earliest
    };
    let agreed = paired.iter().filter(agrees).count();
    let mut differences: Vec<i64> = paired
        .iter()
        .map(|(seen, first)| {
            seen.seen_at - seen.seen_at.clamp(first.earliest.min(first.latest), first.latest)
        })
        .collect();
    differences.sort_unstable();
    let at = |place: Option<&i64>| place.map_or(0.0, |nanos| *nanos as f64 / 1e6);
    let middle = differences.get(differences.len() / 2);
    Compared {
        step_ms: step.as_secs_f64() * 1e3,
        seen: seen.len() as u64,
        paired: paired.len() as u64,
        agreed: agreed as u64,
        agree: !paired.is_empty() && agreed as f64 >= AGREE_LEAST * paired.len() as f64,
        probe_ms: percentiles(paired.iter().map(|(seen, _)| seen.seen_at - seen.due_at)),
        record_ms: percentiles(paired.iter().map(|(_, first)| first.latest - first.due_at)),
        difference_ms: [at(differences.first()), at(middle), at(differences.last())],
    }
}

#[expect(clippy::unwrap_used, reason = "three digits are a constant that the library takes")]
fn percentiles(nanos: impl Iterator<Item = i64>) -> Percentiles {
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    for nanos in nanos {
        // It grows as needed.
        let recorded = histogram.record(u64::try_from(nanos).unwrap_or(0));
        debug_assert!(recorded.is_ok());
    }
    Percentiles::of(&histogram, 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const STEP: Duration = Duration::from_millis(5);

    /// Ten orders, one in each part: seen and recorded so many milliseconds after each was due.
    fn compared(unseen: i64, seen: i64, recorded: i64) -> Compared {
        let due = |at: i64| at * PART + 17;
        let probes: Vec<Seen> = (0..10)
            .map(|at| Seen {
                hop: Hop::Rollup,
                due_at: due(at),
                unseen_at: Some(due(at) + unseen * MS),
                seen_at: due(at) + seen * MS,
            })
            .collect();
        let record = |at: i64| First {
            due_at: due(at),
            earliest: due(at) + recorded * MS,
            latest: due(at) + recorded * MS,
        };
        let records = (0..10).map(|at| (at, record(at))).collect();
        compare(&probes, &records, STEP)
    }

    #[test]
    fn an_order_that_was_acknowledged_between_two_looks_agrees() {
        let found = compared(95, 101, 98);
        assert_eq!((found.seen, found.paired, found.agreed, found.agree), (10, 10, 10, true));
        assert_eq!(found.difference_ms, [3.0; 3]);
        assert!((found.probe_ms.p50 - 101.0).abs() < 0.1 && (found.record_ms.p50 - 98.0).abs() < 0.1);
    }

    #[test]
    fn an_acknowledgement_before_a_look_that_sees_nothing_is_a_false_claim() {
        let found = compared(95, 101, 90);
        assert_eq!((found.agreed, found.agree), (0, false));
    }

    #[test]
    fn a_record_long_after_readers_had_the_order_does_not_agree_either() {
        assert!(compared(95, 101, 105).agree);
        assert!(!compared(95, 101, 107).agree);
    }

    #[test]
    fn orders_without_a_record_are_not_compared_and_nothing_compared_is_no_agreement() {
        let seen = Seen { hop: Hop::Orders, due_at: 3, unseen_at: None, seen_at: 9 };
        let other = First { due_at: 2, earliest: 5, latest: 5 };
        let found = compare(&[seen], &BTreeMap::from([(0, other)]), STEP);
        assert_eq!((found.seen, found.paired, found.agree), (1, 0, false));
    }
}
