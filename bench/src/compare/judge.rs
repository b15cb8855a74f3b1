//! Is B's figure better than A's, worse, or is no difference shown? Pure.
//!
//! Everything is about logarithms, so that a difference is a ratio. A side's figure is the mean over its runs; its variance
//! comes from how much runs of the same side differ, where there are enough of them, and never less than what the runs'
//! own seconds say. With fewer runs it cannot be known how much one run differs from the next, and the caller's
//! [`Asked::spread`] stands for it. Welch's test with Satterthwaite's degrees of freedom gives the interval; the level is
//! divided by the number of figures that can be judged (Bonferroni), so that it holds for all of them together.

use serde::{Deserialize, Serialize};

use super::quantile::{Sample, Unknown, Variance};
use super::student;

/// So many runs of both sides, less the two means, say how much runs differ.
const FREEDOM_MIN: usize = 4;

/// What is asked of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// How often a comparison of two equal builds may show a difference in any of its figures.
    pub level: f64,
    /// Differences up to this, as a part of the figure, are of no interest.
    pub least: f64,
    /// How much runs of one build are taken to differ, as the deviation in parts of the figure, where there are too few to
    /// measure it.
    pub spread: f64,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Latency, cost.
    Lower,
    /// Throughput.
    Higher,
}

/// One figure of both sides, a sample for each run.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name, as `response p99`.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What is compared to.
    pub a: Vec<Sample>,
    /// What is looked at.
    pub b: Vec<Sample>,
}

/// The answer for one figure, and over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// B is better.
    Better,
    /// B is worse.
    Worse,
    /// Which does not say that there is none.
    NoDifferenceShown,
    /// There is too little to judge by.
    NotJudged,
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifferenceShown => "no difference shown",
            Self::NotJudged => "not judged",
        }
    }
}

/// A figure, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Of A: the geometric mean over its runs. Absent where none has it.
    pub a: Option<f64>,
    /// Of B.
    pub b: Option<f64>,
    /// B over A.
    pub ratio: Option<f64>,
    /// Between which the true ratio lies, at a level that holds for all figures together. Absent where it is not judged.
    pub interval: Option<[f64; 2]>,
    /// Whether how much runs differ was measured; else it was assumed.
    pub runs_measured: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Why it is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The difference of two sides' logarithms, with its variance.
struct Difference {
    value: f64,
    variance: Variance,
    runs_measured: bool,
}

/// Judges all figures together, and says what comes of it over all.
pub fn judge(figures: &[Figure], asked: Asked) -> (Vec<Judged>, Verdict) {
    let differences: Vec<_> = figures.iter().map(|figure| difference(figure, asked)).collect();
    let judgeable = differences.iter().filter(|difference| difference.is_ok()).count();
    let level = asked.level / judgeable.max(1) as f64;
    let judged: Vec<_> = figures
        .iter()
        .zip(differences)
        .map(|(figure, difference)| one(figure, difference, level, asked.least))
        .collect();
    let any = |verdict| judged.iter().any(|figure| figure.verdict == verdict);
    let all = [Verdict::Worse, Verdict::Better, Verdict::NoDifferenceShown];
    let overall = all.into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::NotJudged);
    (judged, overall)
}

fn one(figure: &Figure, difference: Result<Difference, String>, level: f64, least: f64) -> Judged {
    let (a, b) = (mean_of_logarithms(&figure.a), mean_of_logarithms(&figure.b));
    let mut judged = Judged {
        name: figure.name.clone(),
        unit: figure.unit.to_owned(),
        a: a.map(f64::exp),
        b: b.map(f64::exp),
        ratio: a.zip(b).map(|(a, b)| (b - a).exp()),
        interval: None,
        runs_measured: false,
        verdict: Verdict::NotJudged,
        why: None,
    };
    match difference {
        Err(why) => judged.why = Some(why),
        Ok(Difference { value, variance, runs_measured }) => {
            let reach = match variance.value.sqrt() {
                // Without variance nothing is in doubt, whatever the degrees of freedom.
                0.0 => 0.0,
                deviation => student::two_sided(level, variance.freedom) * deviation,
            };
            judged.interval = Some([(value - reach).exp(), (value + reach).exp()]);
            judged.runs_measured = runs_measured;
            let shown = value.abs() > reach && value.abs() > least.ln_1p();
            judged.verdict = match (shown, (value > 0.0) == (figure.better == Better::Higher)) {
                (false, _) => Verdict::NoDifferenceShown,
                (true, true) => Verdict::Better,
                (true, false) => Verdict::Worse,
            };
        }
    }
    judged
}

fn mean_of_logarithms(samples: &[Sample]) -> Option<f64> {
    let positive = samples.iter().all(|sample| sample.value.is_finite() && sample.value > 0.0);
    let sum: f64 = samples.iter().map(|sample| sample.value.ln()).sum();
    (positive && !samples.is_empty()).then(|| sum / samples.len() as f64)
}

fn difference(figure: &Figure, asked: Asked) -> Result<Difference, String> {
    let mean = |side: &str, samples: &[Sample]| match samples {
        [] => Err(format!("{side} does not have it")),
        samples => mean_of_logarithms(samples).ok_or_else(|| format!("{side} has a run in which it is 0")),
    };
    let (a, b) = (mean("A", &figure.a)?, mean("B", &figure.b)?);
    let freedom = (figure.a.len() + figure.b.len()).saturating_sub(2);
    let runs_measured = freedom >= FREEDOM_MIN && figure.a.len() > 1 && figure.b.len() > 1;
    let squares = |samples: &[Sample], mean: f64| -> f64 {
        samples.iter().map(|sample| (sample.value.ln() - mean).powi(2)).sum()
    };
    let measured = (squares(&figure.a, a) + squares(&figure.b, b)) / freedom.max(1) as f64;
    let variance = |samples: &[Sample]| -> Result<Variance, Unknown> {
        let runs = samples.len() as f64;
        let within = within(samples);
        if !runs_measured {
            // The spread is taken for known.
            let Variance { value, freedom } = within?;
            let all = value + asked.spread.ln_1p().powi(2) / runs;
            return Ok(Variance {
                value: all,
                freedom: freedom * (all / value.max(f64::MIN_POSITIVE)).powi(2),
            });
        }
        let between = Variance { value: measured / runs, freedom: freedom as f64 / 2.0 };
        Ok(within.map_or(between, |within| if within.value > between.value { within } else { between }))
    };
    let [a_variance, b_variance] = [("A", &figure.a), ("B", &figure.b)]
        .map(|(side, samples)| variance(samples).map_err(|why| format!("of {side}, {why}")));
    Ok(Difference { value: b - a, variance: sum(&[a_variance?, b_variance?]), runs_measured })
}

/// The variance of the mean over runs, as far as their seconds tell.
fn within(samples: &[Sample]) -> Result<Variance, Unknown> {
    let errors = samples.iter().map(|sample| sample.error).collect::<Result<Vec<_>, _>>()?;
    let Variance { value, freedom } = sum(&errors);
    Ok(Variance { value: value / (samples.len() as f64).powi(2), freedom })
}

/// The variance of a sum of independent parts, with Satterthwaite's degrees of freedom.
fn sum(parts: &[Variance]) -> Variance {
    let value: f64 = parts.iter().map(|part| part.value).sum();
    let shares: f64 = parts.iter().map(|part| part.value.powi(2) / part.freedom).sum();
    Variance { value, freedom: if shares > 0.0 { value * value / shares } else { f64::INFINITY } }
}
