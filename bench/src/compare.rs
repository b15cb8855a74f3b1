//! Two results compared: percentiles, throughput and cost side by side, each with an interval and a plain verdict.
//!
//! [`load`] reads them; from there on all is pure: [`comparable`] says whether they may be compared at all, `figures` what
//! is, [`quantile`] and [`series`] how far each figure is to be trusted, [`judge`] what follows, [`text`] shows it.

pub mod comparable;
mod figures;
pub mod judge;
pub mod load;
pub mod quantile;
pub mod series;
mod student;
pub mod text;

use serde::Serialize;

use comparable::Comparable;
use judge::{Asked, Judged, Verdict};
use load::Side;

/// The value of [`Comparison::schema`].
pub const SCHEMA: &str = "tillflow.compare.v1";

/// A comparison, as it is printed as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What is compared to.
    pub a: About,
    /// What is looked at.
    pub b: About,
    /// What was asked.
    pub asked: Asked,
    /// Why the two should not be compared. Without `anyway` nothing is judged then.
    pub refusals: Vec<String>,
    /// What has to be known beside the figures.
    pub notes: Vec<String>,
    /// The figures.
    pub figures: Vec<Judged>,
    /// The answer over all of them.
    pub verdict: Verdict,
}

/// One side, in a few words.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Where it was read.
    pub path: String,
    /// The commit that was built, if the result says so.
    pub commit: Option<String>,
    /// How many runs it has.
    pub runs: usize,
    /// How many seconds all of them have together, as far as there are logs.
    pub seconds: usize,
}

/// Compares two sides. Where they should not be compared, nothing is judged, unless it is wanted `anyway`.
pub fn compare(a: &Side, b: &Side, asked: Asked, anyway: bool) -> Comparison {
    let Comparable { refusals, notes } = comparable::comparable(a, b);
    let figures = if refusals.is_empty() || anyway { figures::figures(a, b) } else { Vec::new() };
    let (figures, verdict) = judge::judge(&figures, asked);
    Comparison { schema: SCHEMA, a: about(a), b: about(b), asked, refusals, notes, figures, verdict }
}

fn about(side: &Side) -> About {
    let seconds = |run: &load::Run| run.logs.get("response").map_or(0, Vec::len);
    About {
        path: side.path.clone(),
        commit: side.runs.first().and_then(|run| run.report.commit.clone()),
        runs: side.runs.len(),
        seconds: side.runs.iter().map(seconds).sum(),
    }
}
