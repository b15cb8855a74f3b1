//! The mean of a series whose neighbours depend on each other, and how far to trust it.
//!
//! Seconds of a run are not independent: a slow one is followed by slow ones. `n` of them tell as much as `n / tau`
//! independent ones, where `tau` is 1 plus twice the sum of the autocorrelations. That sum is estimated in two ways, and the
//! greater is taken, for an error that is too small is a false alarm:
//! - Geyer's initial positive sequence (Statistical Science 7, 1992): pairs of neighbouring lags are added up until a pair
//!   is not positive;
//! - as if the series were autoregressive of order one, with Kendall's correction (Biometrika 41, 1954) of what a short
//!   series hides of its first autocorrelation.
//!
//! Both are done with the values and with their ranks: a few enormous values hide how the others depend on each other.
//!
//! latte (scylladb/latte, `src/stats/timeseries.rs`) has the same idea with batch means.

/// With fewer independent seconds than this, a mean says too little.
pub const INDEPENDENT_MIN: f64 = 8.0;

/// A mean and its error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Variance of the mean, with what neighbours have in common taken into account.
    pub variance: f64,
    /// Degrees of freedom of the variance.
    pub freedom: f64,
    /// How many independent values the series is worth.
    pub independent: f64,
}

/// The mean of a series in the order of time. `None` for fewer than two values, or where one is not finite.
pub fn mean(values: &[f64]) -> Option<Mean> {
    let count = values.len() as f64;
    if values.len() < 2 || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let value = values.iter().sum::<f64>() / count;
    let deviations: Vec<f64> = values.iter().map(|each| each - value).collect();
    let spread = autocovariance(&deviations, 0);
    // Constant, but for rounding.
    if spread <= (value.abs() * 1e-12).powi(2) {
        return Some(Mean { value, variance: 0.0, freedom: count - 1.0, independent: count });
    }
    let tau = correlation_time(&deviations).max(correlation_time(&ranks(values))).min(count);
    let independent = count / tau;
    // The sample's own mean takes away a part of the spread: the greater, the fewer independent values there are.
    let variance = spread / (independent - 1.0).max(f64::MIN_POSITIVE);
    Some(Mean { value, variance, freedom: independent - 1.0, independent })
}

/// How many neighbours tell no more than one.
fn correlation_time(deviations: &[f64]) -> f64 {
    let spread = autocovariance(deviations, 0);
    let correlation = |lag| autocovariance(deviations, lag) / spread;
    let count = deviations.len() as f64;
    let first = correlation(1);
    let corrected = (first + (1.0 + 3.0 * first.max(0.0)) / count).clamp(0.0, 0.999);
    let autoregressive = (1.0 + corrected) / (1.0 - corrected);

    let mut positive = -1.0;
    let mut lag = 0;
    while lag + 1 < deviations.len() {
        let pair = correlation(lag) + correlation(lag + 1);
        if pair <= 0.0 {
            break;
        }
        positive += 2.0 * pair;
        lag += 2;
    }
    autoregressive.max(positive).max(1.0)
}

/// The ranks of values, less their mean; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let rank = |value: &f64| {
        let below = sorted.partition_point(|other| other < value);
        let up_to = sorted.partition_point(|other| other <= value);
        (below + up_to) as f64 / 2.0 - 0.5 - middle
    };
    values.iter().map(rank).collect()
}

/// Of values whose mean is 0. The sum is divided by the whole length at every lag, as Geyer's sequence needs it.
fn autocovariance(deviations: &[f64], lag: usize) -> f64 {
    let products = deviations.iter().zip(deviations.iter().skip(lag)).map(|(a, b)| a * b);
    products.sum::<f64>() / deviations.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_values_are_worth_about_as_many_and_repeated_ones_as_many_as_differ() {
        // Multiples of the golden ratio, less their whole part, are spread evenly and never come back; every other one is
        // turned around, so that they do not alternate.
        let scattered: Vec<f64> = (1..=400_u32).map(|at| (f64::from(at * at) * 0.618_034).fract()).collect();
        let alone = mean(&scattered).unwrap();
        assert!(alone.independent > 250.0, "{alone:?}");
        let repeated: Vec<f64> = scattered.iter().flat_map(|&value| [value; 8]).collect();
        let eightfold = mean(&repeated).unwrap();
        assert!((eightfold.value - alone.value).abs() < 1e-9);
        assert!(eightfold.independent < 400.0 * 1.5, "{eightfold:?}");
        assert!(eightfold.variance > alone.variance * 0.6, "{eightfold:?} {alone:?}");
    }

    #[test]
    fn a_drift_is_worth_next_to_nothing() {
        let drifting: Vec<f64> = (0..300_u32).map(f64::from).collect();
        assert!(mean(&drifting).unwrap().independent < INDEPENDENT_MIN);
    }

    #[test]
    fn a_constant_is_known_exactly() {
        let constant = mean(&[0.1; 60]).unwrap();
        assert_eq!((constant.variance, constant.independent), (0.0, 60.0));
        assert_eq!(mean(&[0.0; 3]).unwrap().variance, 0.0);
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 5.0, 9.0]), [0.0, -2.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn nothing_is_said_of_one_value_or_of_none_or_of_what_is_no_number() {
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0]), None);
        assert_eq!(mean(&[1.0, f64::NAN, 2.0]), None);
    }
}
