//! `pipeline rebuild`: a store counted again from the log.

use super::Answer;
use crate::config::Config;
use crate::rebuild::By;
use crate::wire::{self, Store};
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use std::process::ExitCode;

#[derive(Args, Clone, Copy)]
pub(super) struct Rebuild {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Clone, Copy)]
enum What {
    /// The sums per minute and the blocks, in the ranges that the blocks have.
    Rollups {
        #[command(flatten)]
        how: How,
    },
    /// Every order.
    Orders {
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args, Clone, Copy)]
struct How {
    /// By which rules a block is counted: those of its own time, or those that are configured today.
    #[arg(long, value_enum, default_value_t = Rules::Own)]
    rules: Rules,
    /// Say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Rebuild nothing, but delete what was in force before the last rebuild.
    #[arg(long, conflicts_with_all = ["dry_run", "rules", "json"])]
    drop_old: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rules {
    Own,
    Today,
}

pub(super) async fn run(config: &Config, what: &Rebuild) -> Result<Answer> {
    let (store, how) = match what.what {
        What::Rollups { how } => (Store::Rollups, how),
        What::Orders { how } => (Store::Orders, how),
    };
    if how.drop_old {
        let dropped = wire::drop_old(config, store).await?;
        let text = if dropped { "the old tables are deleted\n" } else { "there are no old tables\n" };
        return Ok(Answer::new(text, ExitCode::SUCCESS));
    }
    let by = match how.rules {
        Rules::Own => By::Own,
        Rules::Today => By::Today,
    };
    let change = wire::rebuild(config, store, wire::Rebuild { by, dry_run: how.dry_run }).await?;
    if how.json {
        return Ok(Answer::new(format!("{:#}\n", change.to_json(!how.dry_run)), ExitCode::SUCCESS));
    }
    let outcome = match (change.is_none(), how.dry_run) {
        (true, true) => "nothing would change",
        (false, true) => "that would change",
        (true, false) => "the new tables are in force and say the same; the old ones are kept",
        (false, false) => {
            "the new tables are in force; the old ones are kept until --drop-old or the next rebuild"
        }
    };
    Ok(Answer::new(format!("{change}{outcome}\n"), ExitCode::SUCCESS))
}
