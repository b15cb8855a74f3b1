//! Whether the stores keep up: how the number of orders that wait for them goes over a run. Pure.
//!
//! Lag is what the log has acknowledged and the stores have not. It goes up and down with every block, so that its
//! trend is taken by the median of the slopes between all pairs of samples (Theil and Sen), which a third of wild samples
//! does not move, and held against the load: lag is flat where the trend adds less than [`GROWTH_SECONDS`] of load
//! over the time that was looked at. What a store must be slower than the load to be found is therefore half a second
//! over the length of the run: 1.7 % in 30 s, 10 % in 5 s.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// The growth from which on lag is not flat, in seconds of load.
pub const GROWTH_SECONDS: f64 = 0.5;
/// More samples are thinned out, so that the pairs of an hour can be counted.
const SAMPLES_MAX: usize = 400;

/// How many orders waited at an instant of the run, in seconds after its start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Seconds since the first due instant.
    pub second: f64,
    /// Orders acknowledged and not yet stored.
    pub orders: f64,
}

/// What the samples say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// By how much lag grew over the run, as its trend says, in seconds of load; not there with fewer than three
    /// samples.
    pub growth_seconds: Option<f64>,
    /// The most orders that waited.
    pub orders_max: f64,
}

impl Lag {
    /// Reads the trend of samples under a load of `rate` orders a second.
    pub fn of(samples: &[Waiting], rate: f64) -> Self {
        let step = samples.len().div_ceil(SAMPLES_MAX).max(1);
        let thinned: Vec<&Waiting> = samples.iter().step_by(step).collect();
        let mut slopes = Vec::new();
        for (at, first) in thinned.iter().enumerate() {
            let later = thinned.iter().skip(at + 1).filter(|later| later.second > first.second);
            slopes.extend(later.map(|later| (later.orders - first.orders) / (later.second - first.second)));
        }
        slopes.sort_by(f64::total_cmp);
        let length = thinned.last().zip(thinned.first()).map(|(last, first)| last.second - first.second);
        let growth = slopes.get(slopes.len() / 2).zip(length).filter(|_| slopes.len() >= 3);
        Self {
            growth_seconds: growth.map(|(slope, length)| slope * length / rate),
            orders_max: samples.iter().map(|sample| sample.orders).fold(0.0, f64::max),
        }
    }

    /// Whether it does not grow. Where too little was seen, nobody can say that it does not.
    pub fn is_flat(&self) -> bool {
        self.growth_seconds.is_some_and(|growth| growth < GROWTH_SECONDS)
    }
}

impl Display for Lag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.growth_seconds {
            None => f.write_str("too few samples"),
            Some(growth) if self.is_flat() => write!(f, "flat ({growth:+.2} s of load)"),
            Some(growth) => write!(f, "grew by {growth:.2} s of load"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(f64) -> f64) -> Vec<Waiting> {
        (0..120).map(|at| f64::from(at) * 0.25).map(|second| Waiting { second, orders: of(second) }).collect()
    }

    #[test]
    fn a_sawtooth_of_blocks_is_flat_however_high_its_teeth() {
        let lag = Lag::of(&samples(|second| 1000.0 * second.fract() + 200.0), 1000.0);
        assert!(lag.is_flat(), "{lag}");
        assert!((lag.orders_max - 950.0).abs() < 1e-9);
    }

    #[test]
    fn a_store_that_takes_five_percent_less_than_it_is_given_is_found_in_half_a_minute() {
        let lag = Lag::of(&samples(|second| 50.0 * second + 1000.0 * second.fract()), 1000.0);
        assert!(!lag.is_flat(), "{lag}");
        assert!((lag.growth_seconds.unwrap() - 1.5).abs() < 0.3, "{lag}");
    }

    #[test]
    fn one_pause_of_the_store_that_it_makes_good_is_flat() {
        let pause = |second: f64| if (10.0..14.0).contains(&second) { (second - 10.0) * 1000.0 } else { 0.0 };
        assert!(Lag::of(&samples(pause), 1000.0).is_flat());
    }

    #[test]
    fn lag_that_was_not_seen_is_not_called_flat() {
        assert!(!Lag::of(&[], 1000.0).is_flat());
        assert!(!Lag::of(&[Waiting { second: 0.0, orders: 0.0 }; 2], 1000.0).is_flat());
    }
}
