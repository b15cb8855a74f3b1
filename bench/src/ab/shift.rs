//! By how much the second of each pair is greater: Hodges and Lehmann's estimate, with the interval that inverts Wilcoxon's
//! signed-rank test (Annals of Mathematical Statistics 34, 1963). Pure.
//!
//! It asks for no shape of the distribution, only that it is symmetric; that of the logarithm of a ratio is, where it is
//! left to chance who goes first and the two do not differ.

/// More pairs than this are not looked at: averages of pairs grow with the square.
pub const PAIRS_MAX: usize = 500;

/// The estimate and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The middle of all averages of two differences, each with itself, too.
    pub estimate: f64,
    /// Between which the true one lies.
    pub interval: [f64; 2],
}

/// The shift of these differences, at a level such as 0.01. `None` where there are too few for the level, or more than
/// [`PAIRS_MAX`].
pub fn shift(differences: &[f64], level: f64) -> Option<Shift> {
    let cut = cut(differences.len(), level)?;
    let averages = averages(differences);
    let last = averages.len().checked_sub(cut + 1)?;
    let interval = [*averages.get(cut)?, *averages.get(last)?];
    Some(Shift { estimate: middle(&averages)?, interval })
}

/// The averages of all pairs of differences, each with itself, too; rising.
fn averages(differences: &[f64]) -> Vec<f64> {
    let mut averages: Vec<f64> = differences
        .iter()
        .enumerate()
        .flat_map(|(at, a)| differences.iter().skip(at).map(move |b| f64::midpoint(*a, *b)))
        .collect();
    averages.sort_by(f64::total_cmp);
    averages
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let [low, high] = [sorted.len().checked_sub(1)? / 2, sorted.len() / 2].map(|at| sorted.get(at));
    Some(f64::midpoint(*low?, *high?))
}

/// How many averages are cut off at each end: the greatest number that Wilcoxon's sum is at or below with at most half the
/// level, by its exact distribution.
fn cut(count: usize, level: f64) -> Option<usize> {
    if count > PAIRS_MAX {
        return None;
    }
    // The probability of each sum of ranks, when each rank counts or does not with one half.
    let mut sums = vec![1.0];
    for rank in 1..=count {
        let with = std::iter::repeat_n(0.0, rank).chain(sums.iter().copied());
        let without = sums.iter().copied().chain(std::iter::repeat_n(0.0, rank));
        sums = with.zip(without).map(|(with, without)| (with + without) / 2.0).collect();
    }
    let mut up_to = 0.0;
    let fits = sums.iter().take_while(|probability| {
        up_to += **probability;
        up_to <= level / 2.0
    });
    fits.count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_that_of_the_printed_tables() {
        // Wilcoxon's critical values, two-sided, as they stand in every table.
        for (count, level, printed) in [
            (6, 0.05, 0),
            (8, 0.05, 3),
            (10, 0.05, 8),
            (10, 0.01, 3),
            (20, 0.05, 52),
            (20, 0.01, 37),
            (25, 0.01, 68),
        ] {
            assert_eq!(cut(count, level), Some(printed), "{count} {level}");
        }
        assert_eq!(cut(7, 0.01), None, "7 pairs can be alike by chance once in 64");
        assert_eq!(cut(0, 0.01), None);
    }

    #[test]
    fn the_estimate_is_the_middle_of_the_averages_and_lies_within_the_interval() {
        let found = shift(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 80.0], 0.05).unwrap();
        assert!((4.0..6.0).contains(&found.estimate), "{found:?}");
        let [low, high] = found.interval;
        assert!(low < found.estimate && found.estimate < high, "{found:?}");
    }

    #[test]
    fn equal_differences_leave_no_doubt() {
        let found = shift(&[0.25; 12], 0.01).unwrap();
        assert_eq!((found.estimate, found.interval), (0.25, [0.25, 0.25]));
    }
}
