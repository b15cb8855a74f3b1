//! Two builds compared by interleaved pairs: A, B, A, B, … on one machine, and the ratios of neighbours.
//!
//! A machine's speed wanders by tens of percent over minutes, but little between neighbours, so the ratio within a
//! pair holds where the figures themselves do not. Pure statistics; running the pairs is the caller's.

use thiserror::Error;

/// The least number of pairs that a median is given for. The range from the least to the greatest of 7 ratios holds
/// the true median in 98.4 % of cases, whatever their distribution.
pub const PAIRS_MIN: usize = 7;

/// One measurement of each build, taken next to each other, in the same unit: CPU time per order, instructions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The build that is compared to.
    pub base: f64,
    /// The build that is looked at.
    pub changed: f64,
}

/// What the pairs say: changed over base, below 1 where the change is cheaper.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratios {
    /// The ratio of every pair, in the order they were taken.
    pub ratios: Vec<f64>,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// Why pairs say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum PairsError {
    /// Fewer than [`PAIRS_MIN`].
    #[error("{0} pairs are too few, {PAIRS_MIN} are needed")]
    TooFew(usize),
    /// A measurement of the pair with this index is not a positive number.
    #[error("pair {0} holds a measurement that is not a positive number")]
    NotPositive(usize),
}

impl Ratios {
    /// Compares the pairs.
    ///
    /// # Errors
    /// When there are fewer than [`PAIRS_MIN`], or a measurement is not positive and finite.
    pub fn of(pairs: &[Pair]) -> Result<Self, PairsError> {
        if let Some(at) = pairs.iter().position(|pair| !measured(pair.base) || !measured(pair.changed)) {
            return Err(PairsError::NotPositive(at));
        }
        let too_few = PairsError::TooFew(pairs.len());
        if pairs.len() < PAIRS_MIN {
            return Err(too_few);
        }
        let ratios: Vec<f64> = pairs.iter().map(|pair| pair.changed / pair.base).collect();
        let mut sorted = ratios.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max), Some(median)) = (sorted.first(), sorted.last(), median(&sorted)) else {
            return Err(too_few);
        };
        Ok(Self { ratios, median, min, max })
    }

    /// Whether every pair says the same: all below 1 or all above. With 7 pairs chance does so once in 64.
    pub fn agree(&self) -> bool {
        self.max < 1.0 || self.min > 1.0
    }
}

fn measured(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// The median of values in their order, of an even number the mean of the two in the middle; nothing of nothing.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(changed: &[f64]) -> Vec<Pair> {
        changed.iter().map(|&changed| Pair { base: 2.0, changed }).collect()
    }

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_ratio_and_order_is_kept() {
        let found = Ratios::of(&pairs(&[2.2, 1.8, 1.9, 2.0, 30.0, 1.6, 1.7])).unwrap();
        assert_eq!(found.ratios, [1.1, 0.9, 0.95, 1.0, 15.0, 0.8, 0.85]);
        assert_eq!((found.median, found.min, found.max), (0.95, 0.8, 15.0));
        assert!(!found.agree());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let found = Ratios::of(&pairs(&[1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 1.5])).unwrap();
        assert_eq!(found.median, 0.625);
        assert!(found.agree());
    }

    #[test]
    fn a_drift_that_both_builds_share_does_not_move_the_ratio() {
        let drifting: Vec<Pair> =
            (1..=9).map(|slow| Pair { base: f64::from(slow), changed: f64::from(slow) * 0.5 }).collect();
        let found = Ratios::of(&drifting).unwrap();
        assert_eq!((found.min, found.median, found.max), (0.5, 0.5, 0.5));
    }

    #[test]
    fn six_pairs_or_a_measurement_of_nothing_say_nothing() {
        assert_eq!(Ratios::of(&pairs(&[1.0; 6])), Err(PairsError::TooFew(6)));
        assert_eq!(Ratios::of(&pairs(&[1.0, 0.0, 1.0])), Err(PairsError::NotPositive(1)));
        assert_eq!(Ratios::of(&pairs(&[1.0, 1.0, f64::NAN])), Err(PairsError::NotPositive(2)));
        assert_eq!(Ratios::of(&[]), Err(PairsError::TooFew(0)));
    }
}
