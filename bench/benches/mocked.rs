//! What does each stage cost by itself? An in-memory connection, a void log, librdkafka's own mock broker and a void
//! ClickHouse stand behind the stages, so that nothing but the product's own work is timed.
//!
//! `cargo bench -p bench --bench mocked -- parse` times one of them; the stages and what each answers are in
//! [`bench::stages::MOCKED`], and `counts --list` prints them.
#![expect(clippy::print_stderr, reason = "a bench is a command line")]

mod timed;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use bench::counts::baseline::Baseline;
use bench::stages::{MOCKED, Orders};
use criterion::Criterion;

/// Counted on the same work: one whose digest is another's is no longer the same.
const BASELINE: &str = include_str!("../counts.json");

fn main() -> ExitCode {
    match all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mocked: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let orders = Orders::new()?;
    let baseline: Baseline = serde_json::from_str(BASELINE)?;
    for entry in &MOCKED {
        let Some(digest) = timed::time(&mut criterion, entry, &orders)? else { continue };
        let (name, digest) = (entry.name, format!("{digest:016x}"));
        let kept = baseline.stages.get(name).with_context(|| format!("{name} is not in counts.json"))?;
        ensure!(kept.digest == digest, "{name} comes to {digest}, and to {} in counts.json", kept.digest);
    }
    criterion.final_summary();
    Ok(())
}
