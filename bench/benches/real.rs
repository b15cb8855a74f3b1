//! How long do the stages take with what really stands behind them: SQLite's files on this disk, and Kafka, Cassandra and
//! ClickHouse where a stack is up (`eval "$(deploy/native/stack env)"`)?
//!
//! A server that no setting of the environment names is said to be not measured. Whoever asks for it, as in
//! `cargo bench -p bench --bench real -- real/`, gets an error instead.
#![expect(clippy::print_stderr, reason = "a bench is a command line")]

mod timed;

use std::process::ExitCode;

use anyhow::{Result, bail};
use bench::stages::Orders;
use bench::stages::real::{EMBEDDED, SERVERS};
use criterion::Criterion;

fn main() -> ExitCode {
    match all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("real: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let orders = Orders::new()?;
    for entry in &EMBEDDED {
        timed::time(&mut criterion, entry, &orders)?;
    }
    let mut left_out = Vec::new();
    for (entry, setting) in SERVERS {
        if std::env::var_os(setting).is_some() {
            timed::time(&mut criterion, &entry, &orders)?;
        } else {
            left_out.push(format!("{}: {setting} is not set", entry.name));
            // Anything on the command line that is no flag chooses benches by their names.
            if std::env::args().skip(1).any(|word| !word.starts_with('-') && entry.name.contains(&word)) {
                bail!("{} cannot be measured: {setting} is not set", entry.name);
            }
        }
    }
    criterion.final_summary();
    for line in left_out {
        eprintln!("NOT MEASURED: {line}");
    }
    Ok(())
}
