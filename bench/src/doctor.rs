//! What on a machine would spoil a measurement, why, and how to mend it.
//!
//! [`facts`] gathers texts and figures as the system gives them; the rest judges them and is pure, so that a machine
//! that is not at hand can be judged by its texts. A fact that could not be read leads to no finding.

pub mod facts;
mod judge;
mod limits;
mod load;
mod measured;
mod place;
mod processor;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use facts::Facts;
pub use judge::judge;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It costs precision, or has to be known beside the figures.
    Note,
    /// Figures that are taken so mislead.
    Spoils,
}

impl Level {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Spoils => "spoils",
        }
    }
}

/// One thing that was looked at. Part of `tillflow.report.v1` and `tillflow.result.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, a short name that stays the same from version to version.
    pub check: String,
    /// How much it matters.
    pub level: Level,
    /// What is so on this machine.
    pub found: String,
    /// Why it matters to a measurement.
    pub why: String,
    /// What to do about it; empty where there is nothing to do.
    pub mend: String,
}

/// Looks at this machine for some two seconds. `data` is the folder where a run would keep its data.
pub fn examine(data: &Path) -> Vec<Finding> {
    judge(&Facts::gather(data))
}

/// The findings for a terminal, what matters most first.
pub fn text(findings: &[Finding]) -> String {
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let mut text = String::new();
    for Finding { check, level, found, why, mend } in sorted {
        text += &format!("{:<6}  {check}: {found}\n", level.name());
        if *level != Level::Ok {
            text += &format!("        why:  {why}\n");
            if !mend.is_empty() {
                text += &format!("        mend: {mend}\n");
            }
        }
    }
    let spoiling = findings.iter().filter(|finding| finding.level == Level::Spoils).count();
    text += &match spoiling {
        0 => "Nothing was found that spoils a measurement.\n".to_owned(),
        1 => "One thing spoils a measurement here.\n".to_owned(),
        many => format!("{many} things spoil a measurement here.\n"),
    };
    // Names come from processes and files, and a terminal obeys control characters.
    text.chars().filter(|&char| char == '\n' || !char.is_control()).collect()
}
