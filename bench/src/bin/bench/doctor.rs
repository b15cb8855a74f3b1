//! `bench doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bench::doctor::{self, Level};
use clap::Args;

/// Say what on this machine would spoil a measurement, why, and how to mend it.
///
/// It looks for some two seconds: at files of the kernel, at who else is at work, at how exactly a sleep ends and at how long
/// the disk takes to flush a file. Nothing is changed. Each finding is `ok`, a `note` (it costs precision, or belongs
/// beside the figures) or `spoils` (figures taken so mislead). Exit code 0, whatever it finds; with --strict 1 if
/// anything spoils.
#[derive(Args)]
pub(crate) struct Doctor {
    /// The folder where a run would keep its data; it is looked at whether it is on a disk, and written to once
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Exit with 1 if anything spoils a measurement
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let findings = doctor::examine(&self.data);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&findings)?);
        } else {
            print!("{}", doctor::text(&findings));
        }
        let spoilt = findings.iter().any(|finding| finding.level == Level::Spoils);
        Ok(if self.strict && spoilt { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
