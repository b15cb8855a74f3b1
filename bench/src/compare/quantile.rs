//! A run's percentiles and mean from its seconds, each with its error.
//!
//! A percentile is that of all requests of the run; how far to trust it is Woodruff's way (JASA 47, 1952), which needs no
//! shape of the distribution: the share of requests above it is a mean over seconds, whose error [`series::mean`] gives;
//! moving the percentile by two such errors to either side gives the values between which it lies. All of it is
//! about the logarithm, so that errors are ratios.

use std::collections::BTreeMap;

use super::series::{self, INDEPENDENT_MIN};

/// What was counted in one second: values and how often each was, rising.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    counts: Vec<(u64, u64)>,
    total: u64,
    sum: f64,
}

/// A figure of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// What was measured, above 0.
    pub value: f64,
    /// How far its logarithm can be trusted, if that is known from the run alone.
    pub error: Result<Variance, Unknown>,
}

/// A variance of a logarithm, and its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// The variance.
    pub value: f64,
    /// Degrees of freedom.
    pub freedom: f64,
}

/// Why a run alone does not say how far to trust a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no log of its seconds.
    #[error("there is no log of its seconds")]
    NoLog,
    /// Its seconds depend on each other so much, or are so few, that they are worth less than [`INDEPENDENT_MIN`].
    #[error("the run is worth fewer than {INDEPENDENT_MIN} independent seconds")]
    FewSeconds,
    /// Hardly any request lies beyond the percentile.
    #[error("too few requests lie beyond it")]
    FewBeyond,
}

impl Second {
    /// Collects what was counted; values may come in any order.
    pub fn new(counts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut sorted = BTreeMap::new();
        for (value, count) in counts {
            *sorted.entry(value).or_insert(0_u64) += count;
        }
        let counts: Vec<(u64, u64)> = sorted.into_iter().filter(|(_, count)| *count > 0).collect();
        Self {
            total: counts.iter().map(|(_, count)| count).sum(),
            sum: counts.iter().map(|(value, count)| *value as f64 * *count as f64).sum(),
            counts,
        }
    }

    /// How many lie above a value, or at it, too.
    fn above(&self, value: u64, or_at: bool) -> u64 {
        let from = self.counts.partition_point(|(each, _)| *each < value || !or_at && *each == value);
        self.counts.iter().skip(from).map(|(_, count)| count).sum()
    }
}

/// The seconds of one run, and all of them together.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    seconds: &'a [Second],
    /// Values, and how many counts there are up to each.
    pooled: Vec<(u64, u64)>,
    total: f64,
}

impl<'a> Run<'a> {
    /// Adds the seconds up. `None` where nothing was counted.
    pub fn new(seconds: &'a [Second]) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (value, count) in seconds.iter().flat_map(|second| &second.counts) {
            *all.entry(*value).or_insert(0_u64) += count;
        }
        let mut total = 0;
        let pooled: Vec<_> = all
            .into_iter()
            .map(|(value, count)| {
                total += count;
                (value, total)
            })
            .collect();
        (total > 0).then_some(Self { seconds, pooled, total: total as f64 })
    }

    /// The value at a quantile between 0 and 1: the least with so many counts at or below it.
    fn at(&self, quantile: f64) -> u64 {
        let wanted = (quantile * self.total).ceil().max(1.0);
        let at = self.pooled.partition_point(|(_, up_to)| (*up_to as f64) < wanted);
        self.pooled.get(at).or(self.pooled.last()).map_or(0, |(value, _)| *value)
    }

    /// The value at a quantile, in the unit of the counts.
    pub fn quantile(&self, quantile: f64) -> Sample {
        let value = self.at(quantile);
        // Many may be equal to the value, so that it makes a difference to which side they are counted.
        let error = self.share(value, false).and_then(|above| {
            let or_at = self.share(value, true)?;
            let share = if above.value > or_at.value { above } else { or_at };
            let step = 2.0 * share.value.sqrt();
            if quantile + step >= 1.0 {
                return Err(Unknown::FewBeyond);
            }
            let (low, high) = (self.at((quantile - step).max(0.0)), self.at(quantile + step));
            let deviation = (high.max(1) as f64 / low.max(1) as f64).ln() / 4.0;
            Ok(Variance { value: deviation * deviation, ..share })
        });
        Sample { value: value as f64, error }
    }

    /// How far the share of requests above a value can be trusted.
    fn share(&self, value: u64, or_at: bool) -> Result<Variance, Unknown> {
        let above = |second: &Second| second.above(value, or_at);
        let all = self.seconds.iter().map(above).sum::<u64>() as f64 / self.total;
        self.error(self.seconds.iter().map(|second| (above(second) as f64, second.total as f64)), all)
    }

    /// The mean, in the unit of the counts.
    pub fn mean(&self) -> Sample {
        let value = self.seconds.iter().map(|second| second.sum).sum::<f64>() / self.total;
        let sums = self.seconds.iter().map(|second| (second.sum, second.total as f64));
        let error = self.error(sums, value).map(|of_mean| Variance {
            value: of_mean.value / (value * value).max(f64::MIN_POSITIVE),
            ..of_mean
        });
        Sample { value, error }
    }

    /// How far the number of requests a second can be trusted.
    pub fn rate(&self) -> Result<Variance, Unknown> {
        let each = self.total / self.seconds.len() as f64;
        let counts: Vec<f64> = self.seconds.iter().map(|second| second.total as f64 / each).collect();
        known(&counts)
    }

    /// The variance of a ratio of two sums over the seconds, by what each second adds to it beyond its share.
    fn error(&self, parts: impl Iterator<Item = (f64, f64)>, ratio: f64) -> Result<Variance, Unknown> {
        let each = self.total / self.seconds.len() as f64;
        let influences: Vec<f64> = parts.map(|(above, below)| (above - ratio * below) / each).collect();
        known(&influences)
    }
}

/// The variance of a series' mean, if it is worth enough independent seconds.
fn known(values: &[f64]) -> Result<Variance, Unknown> {
    let mean = series::mean(values).ok_or(Unknown::FewSeconds)?;
    if mean.independent < INDEPENDENT_MIN {
        return Err(Unknown::FewSeconds);
    }
    Ok(Variance { value: mean.variance, freedom: mean.freedom })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second with the values from `from`, each once.
    fn second(from: u64, count: u64) -> Second {
        Second::new((from..from + count).map(|value| (value, 1)))
    }

    #[test]
    fn quantiles_and_mean_are_those_of_all_seconds_together() {
        let seconds: Vec<Second> = (0..20).map(|at| second(1 + at * 50, 50)).collect();
        let run = Run::new(&seconds).unwrap();
        assert_eq!([0.0, 0.5, 0.9, 0.99, 1.0].map(|quantile| run.at(quantile)), [1, 500, 900, 990, 1000]);
        assert!((run.mean().value - 500.5).abs() < 1e-9);
    }

    #[test]
    fn a_drift_over_the_whole_run_says_that_its_figures_cannot_be_trusted() {
        let seconds: Vec<Second> = (0..60).map(|at| second(1 + at * 50, 50)).collect();
        let run = Run::new(&seconds).unwrap();
        assert_eq!(run.quantile(0.5).error, Err(Unknown::FewSeconds));
        assert_eq!(run.mean().error, Err(Unknown::FewSeconds));
    }

    #[test]
    fn a_single_stall_does_not_pass_for_knowledge_of_the_tail() {
        // 60 seconds of a thousand requests; in one of them all took a thousand times as long.
        let quiet = Second::new((900..1100).map(|value| (value, 5)));
        let mut seconds = vec![quiet; 60];
        seconds[30] = Second::new([(1_000_000, 1000)]);
        let run = Run::new(&seconds).unwrap();
        assert_eq!(run.quantile(0.99).value, 1_000_000.0);
        assert_eq!(run.quantile(0.99).error, Err(Unknown::FewBeyond));
        assert!(run.quantile(0.5).error.is_ok());
    }

    #[test]
    fn seconds_that_are_all_the_same_leave_no_doubt() {
        let seconds = vec![second(100, 100); 30];
        let run = Run::new(&seconds).unwrap();
        assert_eq!(run.quantile(0.9).error.unwrap().value, 0.0);
        assert_eq!(run.mean().error.unwrap().value, 0.0);
    }

    #[test]
    fn nothing_counted_is_no_run_and_few_seconds_are_no_error() {
        assert!(Run::new(&[]).is_none());
        assert!(Run::new(&[Second::default()]).is_none());
        let seconds = [second(1, 10), second(3, 10)];
        assert_eq!(Run::new(&seconds).unwrap().quantile(0.5).error, Err(Unknown::FewSeconds));
    }
}
