//! When enough pairs have been taken. Pure.
//!
//! Whoever looks after each pair and stops at the first difference finds one in anything. Here the looks are fixed
//! beforehand, and each may err with its share of the level (Bonferroni's way of spending it), so that the level holds
//! over all looks together, whenever it stops.

use serde::{Deserialize, Serialize};

use super::shift::{PAIRS_MAX, Shift, shift};
use crate::compare::judge::{Better, Verdict};

/// The first look: 12 pairs can be alike by chance once in 2,048, which is less than a share of any usual level.
const FIRST: usize = 12;
/// From one look to the next.
const GROWTH: f64 = 1.35;

/// The plan, made before the first pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How often two equal commands may be told apart.
    pub level: f64,
    /// Differences up to this part are of no interest; once it is settled that there is no greater one, it stops.
    pub least: f64,
    /// After so many pairs the ratios are looked at.
    pub looks: Vec<usize>,
}

/// How it stands after a look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Pairs that were taken.
    pub pairs: usize,
    /// B over A.
    pub ratio: f64,
    /// Between which the true ratio lies, at a level that holds over all looks.
    pub interval: [f64; 2],
    /// Whether it stopped because it was settled; else the pairs were used up.
    pub settled: bool,
}

/// Why a plan cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Fewer pairs than the level asks for.
    #[error("{0} pairs are too few to settle anything at this level")]
    TooFew(usize),
    /// More than [`PAIRS_MAX`].
    #[error("{0} pairs are too many, {PAIRS_MAX} are the most")]
    TooMany(usize),
}

impl Plan {
    /// Looks at 12 pairs, and then at a third more each time, up to `pairs`; below 12 only at the end.
    ///
    /// # Errors
    /// Where so many pairs settle nothing, or are more than can be looked at.
    pub fn new(pairs: usize, level: f64, least: f64) -> Result<Self, PlanError> {
        if pairs > PAIRS_MAX {
            return Err(PlanError::TooMany(pairs));
        }
        let mut looks = Vec::new();
        let mut next = FIRST;
        while next < pairs {
            looks.push(next);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most PAIRS_MAX")]
            let after = (next as f64 * GROWTH).round() as usize;
            next = after;
        }
        looks.push(pairs);
        let plan = Self { level, least, looks };
        let at_first = plan.looks.first().and_then(|first| shift(&vec![0.0; *first], plan.share()));
        at_first.is_some().then_some(plan).ok_or(PlanError::TooFew(pairs))
    }

    fn share(&self) -> f64 {
        self.level / self.looks.len() as f64
    }

    /// How it stands, if it is time to look and it is settled, or the pairs are used up. Takes the logarithms of the ratios.
    pub fn look(&self, logarithms: &[f64]) -> Option<Standing> {
        let pairs = logarithms.len();
        let last = self.looks.last().is_none_or(|last| pairs >= *last);
        if !last && !self.looks.contains(&pairs) {
            return None;
        }
        let Shift { estimate, interval: [low, high] } = shift(logarithms, self.share())?;
        let edge = self.least.ln_1p();
        // Either it is on one side of no difference and great enough to matter, or it is none that matters.
        let apart = (low > 0.0 || high < 0.0) && estimate.abs() > edge;
        let alike = low > -edge && high < edge;
        let settled = apart || alike;
        let (ratio, interval) = (estimate.exp(), [low, high].map(f64::exp));
        (settled || last).then_some(Standing { pairs, ratio, interval, settled })
    }
}

impl Standing {
    /// The answer.
    pub fn verdict(self, better: Better, least: f64) -> Verdict {
        let [low, high] = self.interval;
        let apart = (low > 1.0 || high < 1.0) && self.ratio.ln().abs() > least.ln_1p();
        match (apart, (self.ratio > 1.0) == (better == Better::Higher)) {
            (false, _) => Verdict::NoDifferenceShown,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        }
    }
}
