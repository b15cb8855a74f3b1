//! `bench capacity`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bench::capacity;
use bench::case::Case;
use clap::Args;

use crate::latency::{end, folder};

/// Search the highest rate at which a case meets its objective, and say what was at its limit first.
///
/// It doubles the rate until a rung fails, then bisects, and runs what it found once more. Each rung is up to so many
/// runs as the case says, and held by the majority. Exit code 0: a rate was found and confirmed. 1: none holds, it was not
/// confirmed, or a run that holds is not valid. 2: it could not be run, or was interrupted.
#[derive(Args)]
pub(crate) struct Capacity {
    /// The case, with an objective and a table [capacity]
    case: PathBuf,
    /// The result directory, by default target/bench/CASE; an earlier result in it is replaced
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Capacity {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let case = Case::read(&self.case)?;
        let out = folder(self.out.as_ref(), &self.case)?;
        let measurement = capacity::measure(&case, &out, |told| println!("{told}"))?;
        Ok(end(&measurement, &out))
    }
}
