//! `pipeline ledger`: draws up the ledger, prints it, and tells Prometheus of it by way of a file.

use super::Answer;
use crate::config::Config;
use crate::ledger::{self, Ask};
use crate::observe::books::LedgerMetrics;
use crate::observe::counters::Label;
use crate::observe::process::now_seconds;
use crate::wire;
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is asked for.
#[derive(Args)]
pub(super) struct Ledger {
    /// An outcome file of a load run, whose ids are compared with those in the log.
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Count all that can still be counted, also what a checkpoint would spare.
    #[arg(long)]
    full: bool,
    /// When nothing differs, keep what was counted as checkpoints, from which later ledgers go on.
    #[arg(long)]
    checkpoint: bool,
    /// Write what was found as metrics too, for node exporter's textfile collector, which wants the ending .prom.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, what: &Ledger) -> Result<Answer> {
    let ask = Ask { outcomes: what.outcomes.as_deref(), full: what.full, ..Ask::default() };
    let ledger = wire::ledger_as(config, ask).await?;
    let text = if what.json { format!("{:#}\n", ledger.to_json()) } else { ledger.to_string() };
    let answer = Answer::new(text, if ledger.balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    // What was found is shown whatever becomes of the rest: nobody needs it more than where the books differ.
    Ok(match keep(config, what, &ledger).await {
        Ok(()) => answer,
        Err(error) => {
            let code = if ledger.balanced() { ExitCode::from(2) } else { ExitCode::FAILURE };
            answer.and_wrong(error, code)
        }
    })
}

/// Keeps of a ledger what was asked for: its metrics and its checkpoints.
async fn keep(config: &Config, what: &Ledger, ledger: &ledger::Ledger) -> Result<()> {
    if let Some(file) = &what.metrics {
        write(file, &metrics(ledger).encode())
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    if what.checkpoint {
        let count = wire::keep_checkpoints(config, ledger).await?;
        eprintln!("{count} checkpoints are kept");
    }
    Ok(())
}

fn metrics(ledger: &ledger::Ledger) -> LedgerMetrics {
    let (metrics, total) = (LedgerMetrics::default(), ledger.total());
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.observe_ledger_at_seconds.set(now_seconds());
    metrics.observe_ledger_differences.set(gauge(ledger.differences.len() as u64));
    metrics.observe_ledger_pending_records.set(gauge(total.pending));
    metrics.observe_ledger_lost_records.set(total.lost.iter().map(|(first, last)| last - first + 1).sum());
    let kinds = [
        ("log", total.log),
        ("orders", total.orders),
        ("duplicates", total.duplicates),
        ("dead", total.dead),
    ];
    for (kind, count) in kinds {
        metrics.observe_ledger_records.get_or_create(&Label("kind", kind.to_owned())).set(gauge(count));
    }
    metrics
}

/// Whole or not at all: it may be read at any moment.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::PartitionBooks;

    #[test]
    fn what_prometheus_is_told_is_what_the_ledger_found() {
        let books = |lost| PartitionBooks {
            log: 10,
            orders: 7,
            duplicates: 2,
            pending: 1,
            lost,
            ..Default::default()
        };
        let ledger =
            ledger::Ledger { partitions: vec![books(vec![(5, 7)]), books(vec![])], ..Default::default() };
        let text = metrics(&ledger).encode();
        for line in [
            "tillflow_observe_ledger_differences 0",
            "tillflow_observe_ledger_pending_records 2",
            "tillflow_observe_ledger_lost_records 3",
            "tillflow_observe_ledger_records{kind=\"log\"} 20",
            "tillflow_observe_ledger_records{kind=\"orders\"} 14",
            "tillflow_observe_ledger_records{kind=\"duplicates\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
        // Node exporter's reader would take a counter's type line for another metric's.
        assert!(!text.contains(" counter\n"), "{text}");
    }
}
