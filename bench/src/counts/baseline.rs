//! The counts that are kept with the source, and how others compare with them. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How far instructions may be from the baseline, as a share of it. Two runs of one build differ by far less; this leaves
/// room for another version of the C library beneath it. Sixteen an order are let through in any case: a stage of 458
/// took eleven more when code elsewhere in its crate changed and the compiler inlined otherwise.
pub const INSTRUCTIONS: Tolerance = Tolerance { share: 0.02, least: 16.0 };
/// How far allocations and their bytes may be. A thousandth of an allocation an order is one in a run, which may be a
/// buffer that grew a moment earlier.
pub const ALLOCATIONS: Tolerance = Tolerance { share: 0.01, least: 0.005 };

/// What is let through: the greater of a share of the baseline and so much an order.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The share.
    pub share: f64,
    /// So much an order.
    pub least: f64,
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % or {} an order", self.share * 100.0, self.least)
    }
}

/// What one order costs a stage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Count {
    /// Instructions.
    pub instructions: f64,
    /// Calls for memory.
    pub allocations: f64,
    /// Bytes that were called for.
    pub bytes: f64,
    /// What the stage came to: other work is not compared.
    pub digest: String,
}

/// What decides counts beside the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct With {
    /// The compiler.
    pub rustc: String,
    /// The C library, whose `memcpy` and `malloc` are counted with the rest.
    pub libc: String,
    /// Valgrind, which decides what the processor seems to be able to do.
    pub valgrind: String,
    /// What simd-json chooses on such a processor.
    pub simd_json: String,
}

/// Counts by stage.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Baseline {
    /// What they were counted with.
    pub with: With,
    /// Each stage's.
    pub stages: BTreeMap<String, Count>,
}

/// One figure of a stage beside the baseline's.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    stage: String,
    what: &'static str,
    baseline: f64,
    now: f64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Dearer,
    Cheaper,
}

impl Line {
    /// Whether it lies outside the tolerance. One that has become cheaper does, too: else the baseline would hide it when
    /// it becomes dear again.
    pub fn differs(&self) -> bool {
        self.verdict != Verdict::Same
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, what, baseline, now, verdict } = self;
        let verdict = match verdict {
            Verdict::Same => "",
            Verdict::Dearer => "  DEARER",
            Verdict::Cheaper => "  CHEAPER",
        };
        let ratio = if *baseline > 0.0 { now / baseline } else { f64::NAN };
        write!(out, "{stage:<18} {what:<12} {baseline:>12.1} {now:>12.1} {ratio:>8.3}{verdict}")
    }
}

/// The head of the table whose lines these are.
pub const HEAD: &str = "stage              an order's       baseline          now    ratio";

/// Compares counts with the baseline's of the same stages, of which those that were counted matter.
///
/// # Errors
/// What cannot be compared: a stage that the baseline does not have or that is not there any more, or that came to
/// something else.
pub fn compare(baseline: &Baseline, now: &Baseline, all: bool) -> Result<Vec<Line>, Vec<String>> {
    let (mut lines, mut complaints) = (Vec::new(), Vec::new());
    for (stage, count) in &now.stages {
        match baseline.stages.get(stage) {
            None => complaints.push(format!("{stage}: the baseline does not have it")),
            Some(kept) if kept.digest != count.digest => {
                complaints.push(format!(
                    "{stage}: comes to {}, and to {} in the baseline",
                    count.digest, kept.digest
                ));
            }
            Some(kept) => {
                let mut add = |what, baseline: f64, now: f64, tolerance| {
                    let verdict = judge(baseline, now, tolerance);
                    lines.push(Line { stage: stage.clone(), what, baseline, now, verdict });
                };
                add("instructions", kept.instructions, count.instructions, INSTRUCTIONS);
                add("allocations", kept.allocations, count.allocations, ALLOCATIONS);
                add("bytes", kept.bytes, count.bytes, ALLOCATIONS);
            }
        }
    }
    for stage in baseline.stages.keys().filter(|stage| all && !now.stages.contains_key(*stage)) {
        complaints.push(format!("{stage}: is in the baseline and not counted any more"));
    }
    if complaints.is_empty() { Ok(lines) } else { Err(complaints) }
}

fn judge(baseline: f64, now: f64, tolerance: Tolerance) -> Verdict {
    if (now - baseline).abs() <= (baseline * tolerance.share).max(tolerance.least) {
        Verdict::Same
    } else if now > baseline {
        Verdict::Dearer
    } else {
        Verdict::Cheaper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(stage: &str, instructions: f64, allocations: f64, digest: &str) -> Baseline {
        let count = Count { instructions, allocations, bytes: 10.0, digest: digest.to_owned() };
        Baseline { with: With::default(), stages: [(stage.to_owned(), count)].into() }
    }

    fn differing(now: &Baseline) -> Vec<(&'static str, Verdict)> {
        let lines = compare(&counted("parse", 1_000.0, 2.0, "a"), now, true).unwrap();
        lines.into_iter().filter(Line::differs).map(|line| (line.what, line.verdict)).collect()
    }

    #[test]
    fn what_is_within_the_tolerance_is_the_same_and_what_is_not_is_named() {
        assert_eq!(differing(&counted("parse", 1_019.0, 2.004, "a")), []);
        assert_eq!(differing(&counted("parse", 1_021.0, 2.0, "a")), [("instructions", Verdict::Dearer)]);
        assert_eq!(differing(&counted("parse", 979.0, 2.0, "a")), [("instructions", Verdict::Cheaper)]);
        assert_eq!(differing(&counted("parse", 1_000.0, 3.0, "a")), [("allocations", Verdict::Dearer)]);
    }

    #[test]
    fn a_small_stage_may_be_laid_out_otherwise() {
        assert_eq!(judge(400.0, 415.0, INSTRUCTIONS), Verdict::Same);
        assert_eq!(judge(400.0, 417.0, INSTRUCTIONS), Verdict::Dearer);
    }

    #[test]
    fn a_first_allocation_in_each_order_is_found_where_there_was_none() {
        assert_eq!(judge(0.0, 1.0, ALLOCATIONS), Verdict::Dearer);
        assert_eq!(judge(0.0, 0.001, ALLOCATIONS), Verdict::Same);
    }

    #[test]
    fn other_work_and_stages_that_only_one_side_has_are_not_compared() {
        let baseline = counted("parse", 1_000.0, 2.0, "a");
        let complaints = |now: &Baseline, all| compare(&baseline, now, all).unwrap_err();
        assert!(complaints(&counted("parse", 1_000.0, 2.0, "b"), true)[0].contains("comes to b, and to a"));
        assert_eq!(complaints(&counted("frame", 1_000.0, 2.0, "a"), true).len(), 2);
        assert_eq!(complaints(&counted("frame", 1_000.0, 2.0, "a"), false).len(), 1);
    }
}
