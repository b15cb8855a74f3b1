//! Runs that are simulated, so that what is true of them is known: seconds that depend on each other, tails that are heavy
//! or not, runs that differ.

use std::collections::BTreeMap;
use std::time::Duration;

use bench::compare::compare;
use bench::compare::judge::{Asked, Verdict};
use bench::compare::load::{Run, Side, Told};
use bench::compare::quantile::Second;
use bench::faults::random::Random;
use bench::report::Resources;

/// Draws of a second, each of which stands for so many requests that were alike.
const DRAWS: usize = 60;
const ALIKE: u64 = 10;

/// A machine and a load.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) seconds: usize,
    /// How much of a second's state the next one keeps.
    pub(crate) memory: f64,
    /// The deviation of the logarithm of a second's state.
    pub(crate) wander: f64,
    /// The deviation of the logarithm of a whole run's.
    pub(crate) between: f64,
    /// Whether a request's latency has a power law for a tail, without variance, or is lognormal.
    pub(crate) heavy: bool,
}

fn unit(random: &mut Random) -> f64 {
    ((random.number() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

/// By Box and Muller.
pub(crate) fn normal(random: &mut Random) -> f64 {
    (-2.0 * unit(random).ln()).sqrt() * (std::f64::consts::TAU * unit(random)).cos()
}

impl World {
    fn run(self, random: &mut Random, slower: f64) -> Run {
        let mut state = normal(random);
        let run = self.between * normal(random);
        let seconds: Vec<Second> = (0..self.seconds)
            .map(|_| {
                state = self.memory * state + (1.0 - self.memory * self.memory).sqrt() * normal(random);
                let scale = 1e6 * slower * (run + self.wander * state).exp();
                Second::new((0..DRAWS).map(|_| {
                    let one =
                        if self.heavy { unit(random).powf(-1.0 / 1.5) } else { (0.5 * normal(random)).exp() };
                    // A histogram of three digits has as many steps to a doubling.
                    let stepped = (1024.0 * (scale * one).log2()).round() / 1024.0;
                    (u64::try_from(Duration::from_secs_f64(stepped.exp2() / 1e9).as_nanos()).unwrap(), ALIKE)
                }))
            })
            .collect();
        let cost = 40.0 * slower * (run + 0.02 * normal(random)).exp();
        let used = Resources {
            cpu_seconds: 1.0,
            cpu_us_per_order: cost,
            memory_peak_bytes: 80 << 20,
            memory_last_bytes: 80 << 20,
            written_bytes: None,
            context_switches: None,
        };
        let report = Told {
            schema: "tillflow.report.v1".to_owned(),
            valid: true,
            offered_per_second: 1000.0,
            achieved_per_second: 1000.0,
            resources: Some(used),
            ..Told::default()
        };
        Run { report, logs: BTreeMap::from([("response".to_owned(), seconds)]) }
    }

    /// A result of so many runs, slower by a factor.
    pub(crate) fn side(self, random: &mut Random, runs: usize, slower: f64) -> Side {
        Side { runs: (0..runs).map(|_| self.run(random, slower)).collect(), ..Side::default() }
    }

    /// How many of so many comparisons come to a verdict, where B is slower by this factor.
    pub(crate) fn shown(
        self,
        seed: u64,
        trials: usize,
        runs: usize,
        slower: f64,
        asked: Asked,
    ) -> [usize; 2] {
        let mut random = Random::new(seed, 0);
        let mut shown = [0, 0];
        for _ in 0..trials {
            let (a, b) = (self.side(&mut random, runs, 1.0), self.side(&mut random, runs, slower));
            match compare(&a, &b, asked, false).verdict {
                Verdict::Worse => shown[0] += 1,
                Verdict::Better => shown[1] += 1,
                Verdict::NoDifferenceShown | Verdict::NotJudged => {}
            }
        }
        shown
    }
}
