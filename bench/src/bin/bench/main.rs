//! `bench`: what measures, and what judges measurements. The subcommands' arguments are in a file each; what they do is in
//! the library's module of the same name.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

mod ab;
mod capacity;
mod compare;
mod doctor;
mod latency;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Nothing could be measured or judged: what was asked for is not possible, or the system refused.
const NOT_DONE: u8 = 2;

/// Measure latency and capacity, compare runs, and find what would spoil a measurement.
///
/// Exit code 0: done. 1: done, and the answer is no, where a command says so. 2: it could not be done.
#[derive(Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Latency(latency::Latency),
    Capacity(capacity::Capacity),
    Compare(compare::Compare),
    Ab(ab::Ab),
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    if let Some(code) = bench::child::pipeline_if_asked() {
        return code;
    }
    match run(&Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(NOT_DONE)
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Latency(latency) => latency.run(),
        Command::Capacity(capacity) => capacity.run(),
        Command::Compare(compare) => compare.run(),
        Command::Ab(ab) => ab.run(),
        Command::Doctor(doctor) => doctor.run(),
    }
}
