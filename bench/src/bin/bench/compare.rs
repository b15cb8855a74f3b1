//! `bench compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bench::compare::judge::{Asked, Verdict};
use bench::compare::{compare, load, text};
use clap::{Args, ValueEnum};

use crate::NOT_DONE;

/// Compare two results: is B better than A, worse, or is no difference shown?
///
/// A and B are result directories of `bench latency`, or single reports of `loadgen run` or `cargo demo` with their interval
/// logs (NAME.hlog) beside them. Each percentile, the throughput and the cost (CPU an order and memory, by process) is
/// shown side by side, with an interval for B over A that allows for seconds that depend on each other and for runs
/// that differ, and that holds for all figures together. Three runs of each side or more measure how much runs differ; with
/// fewer it is assumed (--spread), and only great differences can be shown.
///
/// Exit code 0: compared. 1: B is worse, with --fail-on worse. 2: could not be compared: a run is not valid, machines or cases
/// differ (each is named), or a file cannot be read.
#[derive(Args)]
pub(crate) struct Compare {
    /// What is compared to
    a: PathBuf,
    /// What is looked at
    b: PathBuf,
    /// Exit with 1 if B is worse
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<FailOn>,
    /// How often two equal builds may be told apart by any of the figures
    #[arg(long, default_value_t = 0.01, value_parser = part)]
    level: f64,
    /// Differences up to this part of a figure are of no interest
    #[arg(long, default_value_t = 0.02, value_parser = part)]
    least: f64,
    /// How much runs of one build are taken to differ, as a part of a figure, where there are fewer than 3 of each
    #[arg(long, default_value_t = 0.1, value_parser = part)]
    spread: f64,
    /// Compare them though a run is not valid, or machines or cases differ
    #[arg(long)]
    anyway: bool,
    /// Print the comparison as JSON (tillflow.compare.v1)
    #[arg(long)]
    json: bool,
}

/// What makes a comparison fail.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// B is worse in at least one figure
    Worse,
}

/// Reads a part of a whole, above 0 and below 1.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(part) if part > 0.0 && part < 1.0 => Ok(part),
        _ => Err("a number above 0 and below 1 is wanted, as 0.05 for 5 %".to_owned()),
    }
}

impl Compare {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let (a, b) = (load::load(&self.a)?, load::load(&self.b)?);
        let asked = Asked { level: self.level, least: self.least, spread: self.spread };
        let comparison = compare(&a, &b, asked, self.anyway);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&comparison)?);
        } else {
            print!("{}", text::render(&comparison));
        }
        Ok(match comparison.verdict {
            Verdict::NotJudged => ExitCode::from(NOT_DONE),
            Verdict::Worse if self.fail_on == Some(FailOn::Worse) => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        })
    }
}
