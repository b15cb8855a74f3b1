//! `bench latency`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use bench::case::Case;
use bench::latency;
use bench::measurement::Measurement;
use clap::Args;

/// Run a case at its rate and write a result directory: the latency of every hop, what every process used, and whether
/// the books balance.
///
/// CASE is a TOML file; bench/cases has some to begin with, and bench/docs/latency.md says what can stand in one. Exit
/// code 0: valid, and the objective is met. 1: not, for the reasons printed. 2: it could not be run, or was interrupted.
#[derive(Args)]
pub(crate) struct Latency {
    /// The case
    case: PathBuf,
    /// The result directory, by default target/bench/CASE; an earlier result in it is replaced
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Latency {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let case = Case::read(&self.case)?;
        let out = folder(self.out.as_ref(), &self.case)?;
        let measurement = latency::measure(&case, &out, |told| eprintln!("{told}"))?;
        Ok(end(&measurement, &out))
    }
}

/// The folder that was asked for, or one by the case's name.
pub(crate) fn folder(out: Option<&PathBuf>, case: &Path) -> Result<PathBuf> {
    match out {
        Some(out) => Ok(out.clone()),
        None => {
            let name = case.file_stem().context("the case has no name that a folder could have")?;
            Ok(PathBuf::from("target/bench").join(name))
        }
    }
}

/// Prints the result and says by the exit code whether it is good.
pub(crate) fn end(measurement: &Measurement, out: &Path) -> ExitCode {
    print!("{}", bench::text::measurement(measurement));
    println!("the result is in {}: report.html, result.json, runs", out.display());
    if measurement.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
