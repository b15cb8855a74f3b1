//! How much of a run's beginning is no measurement: caches fill, a JVM compiles, connections open. It is left out of the
//! figures and shown. Pure.
//!
//! Where it is not given it is found by MSER-5 (White 1997) over the median response of each second: the series is
//! cut into batches of five, and the truncation is the one after which the standard error of what is left is smallest.
//! A truncation beyond the middle of the run says that the run never settled, where what it cuts off differs by a tenth
//! from what it leaves: less is the wobble of a settled run, in which any place may be the best by chance, and then the
//! best of the first half is taken. A rest of which one half is half as slow again as the other is not settled either. A
//! run that is not is not valid. The median is taken rather than the 99th percentile, because one stall would otherwise
//! decide it.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::pairs;

/// Seconds in a batch.
const BATCH: usize = 5;
/// The halves of what is settled differ by less than this factor, in the median of their batches.
const HALVES_APART: f64 = 1.5;
/// What differs by less than this factor, in the median of its batches, is the same.
const SAME: f64 = 1.1;

/// How long the warm-up is, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUp {
    /// So many seconds.
    Fixed(u64),
    /// Found by MSER-5, run by run.
    Detected,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Found {
    /// Whole seconds at the beginning that are left out.
    pub seconds: u64,
    /// Whether the rest is settled.
    pub settled: bool,
}

impl WarmUp {
    /// A given length, in whole seconds, because what is measured is kept by the second.
    pub const fn fixed(length: Duration) -> Self {
        Self::Fixed(length.as_secs().saturating_add(if length.subsec_nanos() > 0 { 1 } else { 0 }))
    }

    /// The warm-up of a run by the median response of each of its seconds; a second without one is taken for as slow
    /// as the slowest.
    pub fn find(self, p50: &[Option<f64>]) -> Found {
        match self {
            Self::Fixed(seconds) => Found { seconds, settled: (seconds as usize) < p50.len() },
            Self::Detected => mser5(p50),
        }
    }
}

impl Display for WarmUp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(seconds) => write!(f, "{seconds} s, as given"),
            Self::Detected => f.write_str("detected by MSER-5 over the median response of each second"),
        }
    }
}

fn mser5(p50: &[Option<f64>]) -> Found {
    let slowest = p50.iter().flatten().copied().fold(0.0, f64::max);
    let batches: Vec<f64> = p50
        .chunks_exact(BATCH)
        .map(|batch| batch.iter().map(|ms| ms.unwrap_or(slowest)).sum::<f64>() / BATCH as f64)
        .collect();
    let count = batches.len();
    // Fewer than four batches have no halves that could be compared.
    if count < 4 {
        return Found { seconds: 0, settled: false };
    }
    // The last five truncations would be judged by a handful of batches, and by chance be the best (White).
    let last = count.saturating_sub(BATCH).max(count / 2);
    let statistic = |cut: usize| {
        let left = batches.get(cut..).unwrap_or_default();
        let size = left.len() as f64;
        let mean = left.iter().sum::<f64>() / size;
        left.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (size * size)
    };
    let best_to =
        |last: usize| (0..=last).min_by(|a, b| statistic(*a).total_cmp(&statistic(*b))).unwrap_or_default();
    let mut best = best_to(last);
    let mut settled = best * 2 <= count;
    if !settled && batches.split_at_checked(best).is_some_and(|(cut, left)| apart(cut, left) < SAME) {
        best = best_to(count / 2);
        settled = true;
    }
    let rest = batches.get(best..).unwrap_or_default();
    let (first, second) = rest.split_at(rest.len() / 2);
    Found { seconds: (best * BATCH) as u64, settled: settled && apart(first, second) < HALVES_APART }
}

/// How many times the median of one is that of the other, at least 1.
fn apart(one: &[f64], other: &[f64]) -> f64 {
    let (one, other) = (median(one), median(other));
    one.max(other) / one.min(other)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    pairs::median(&sorted).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute whose first seconds are slower. Its wobble is the same in each batch, and all sums of it are exact, so
    /// that nothing is left to chance.
    fn minute(slow: usize, by: f64) -> Vec<Option<f64>> {
        let wobble = |at: usize| f64::from(u32::try_from(at % BATCH).unwrap()) * 0.25;
        (0..60).map(|at| Some(1.0 + wobble(at) + if at < slow { by } else { 0.0 })).collect()
    }

    #[test]
    fn a_slow_beginning_is_cut_off_to_the_batch_in_which_it_ends() {
        assert_eq!(WarmUp::Detected.find(&minute(12, 4.0)), Found { seconds: 15, settled: true });
        assert_eq!(WarmUp::Detected.find(&minute(5, 0.8)), Found { seconds: 5, settled: true });
    }

    #[test]
    fn a_run_that_is_steady_from_the_start_keeps_nearly_all_of_it() {
        assert_eq!(WarmUp::Detected.find(&minute(0, 0.0)), Found { seconds: 0, settled: true });
        let uneven: Vec<_> = (0..60_u32).map(|at| Some(1.0 + f64::from(at * 7919 % 13) * 0.01)).collect();
        let found = WarmUp::Detected.find(&uneven);
        assert!(found.settled && found.seconds <= 10, "{found:?}");
    }

    #[test]
    fn a_run_that_settles_only_in_its_second_half_is_not_settled() {
        assert!(!WarmUp::Detected.find(&minute(40, 4.0)).settled);
    }

    /// A settled run as it was measured, in which MSER-5 alone would cut off 35 s.
    #[test]
    fn a_wobble_of_some_percent_is_settled() {
        let measured = [
            1.05, 1.05, 1.01, 0.96, 0.95, 0.97, 1.01, 1.0, 0.98, 0.97, 0.94, 0.95, 1.0, 0.94, 0.95, 0.94,
            0.94, 0.95, 0.94, 0.98, 0.93, 0.95, 1.05, 1.01, 1.08, 1.09, 1.05, 1.09, 1.04, 1.01, 1.0, 1.01,
            1.07, 1.04, 1.05, 1.01, 0.95, 0.95, 0.94, 0.95, 0.94, 0.95, 1.05, 1.05, 1.01, 0.95, 0.96, 0.96,
            0.99, 0.99, 1.01, 0.96, 0.95, 0.96, 0.95, 0.97, 1.0, 0.95, 0.95, 0.96,
        ]
        .map(Some);
        let found = WarmUp::Detected.find(&measured);
        assert!(found.settled && found.seconds <= 30, "{found:?}");
        let mut slower = measured;
        slower[..40].iter_mut().flatten().for_each(|ms| *ms *= 2.0);
        assert!(!WarmUp::Detected.find(&slower).settled);
    }

    #[test]
    fn a_run_of_less_than_four_batches_is_too_short_to_tell() {
        assert!(!WarmUp::Detected.find(&minute(0, 0.0)[..19]).settled);
        assert!(!WarmUp::Detected.find(&[]).settled);
    }

    #[test]
    fn seconds_without_an_answer_are_not_taken_for_fast_ones() {
        let mut silent = minute(0, 0.0);
        silent[..5].fill(None);
        silent[5] = Some(9.0);
        assert_eq!(WarmUp::Detected.find(&silent), Found { seconds: 10, settled: true });
    }

    #[test]
    fn a_given_length_is_rounded_up_and_must_leave_something() {
        let given = WarmUp::fixed(Duration::from_millis(2100));
        assert_eq!(given.find(&minute(0, 0.0)), Found { seconds: 3, settled: true });
        assert!(!given.find(&minute(0, 0.0)[..3]).settled);
    }
}
