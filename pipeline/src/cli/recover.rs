//! `pipeline recover`: the ways on for a partition that stopped.

use super::Answer;
use crate::config::Config;
use crate::wire::{self, Step};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Subcommand, Clone, Copy)]
pub(super) enum Recover {
    /// The stores were restored from an older state: go on behind what they hold, and store again from the log what they
    /// held once.
    Stored {
        #[command(flatten)]
        which: Which,
    },
    /// Records were deleted from the log before they were stored: accept that they are lost, by name, and go on behind them.
    /// The range stands in the ledger for ever.
    Lost {
        #[command(flatten)]
        which: Which,
        /// The first lost offset.
        #[arg(long, value_name = "OFFSET")]
        from: i64,
        /// The last lost offset.
        #[arg(long, value_name = "OFFSET")]
        to: i64,
    },
}

#[derive(Args, Clone, Copy)]
pub(super) struct Which {
    /// The partition.
    #[arg(long, value_name = "N")]
    partition: u32,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(config: &Config, what: Recover) -> Result<Answer> {
    let (which, step) = match what {
        Recover::Stored { which } => (which, Step::StoreAgain),
        Recover::Lost { which, from, to } => (which, Step::AcceptLoss(from, to)),
    };
    let said = wire::recover(config, which.partition, step, which.dry_run).await?;
    let how = if which.dry_run { "would be done" } else { "done; the processors may be started" };
    Ok(Answer::new(format!("partition {} {said}\n{how}\n", which.partition), ExitCode::SUCCESS))
}
