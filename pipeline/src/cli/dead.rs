//! `pipeline dead`: the records that were refused.

use super::Answer;
use crate::config::Config;
use crate::dead::{Act, Ask, Filter, Listing, verdict};
use crate::log::dead::DeadPlace;
use crate::{time, wire};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Over the log's own time for a delivery, how long its answer may take.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Subcommand)]
pub(super) enum Dead {
    /// List them, with a summary by reason.
    List {
        #[command(flatten)]
        which: Which,
        /// How many are listed at most; the summary counts all.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Print one: its bytes, as they are, on standard output, and what is known of it on standard error. Exits 1 if the
    /// rules of today refuse it as well.
    Show {
        /// Where the record lies in the log of orders, as 3:1234.
        #[arg(value_name = "PARTITION:OFFSET")]
        place: DeadPlace,
    },
    /// Send them again, under the same order ids and with the instants at which they were received. What was sent before is
    /// left alone, so it may be repeated and interrupted. Exits 1 if one was not sent.
    Replay {
        /// Which ones, by place.
        #[arg(value_name = "PARTITION:OFFSET")]
        places: Vec<DeadPlace>,
        #[command(flatten)]
        which: Which,
        /// The corrected body of the one letter that is named.
        #[arg(long, value_name = "FILE")]
        with: Option<PathBuf>,
        /// Send those that the rules of today refuse, too; they become dead letters again.
        #[arg(long)]
        refused_too: bool,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Args)]
pub(super) struct Which {
    /// Those with this reason, as not_json.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Those of this partition.
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
    /// Those received since then: a time as 2026-11-22T10:00:00Z, or how long ago, as 2h.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
}

impl Which {
    fn filter(self, places: Vec<DeadPlace>) -> Filter {
        Filter { reason: self.reason, partition: self.partition, since: self.since, places }
    }
}

fn since(text: &str) -> Result<i64, String> {
    let ago = || {
        let ago = i64::try_from(humantime::parse_duration(text).ok()?.as_nanos()).ok()?;
        Some(time::now().saturating_sub(ago))
    };
    time::parse(text)
        .or_else(ago)
        .ok_or_else(|| "a time as 2026-11-22T10:00:00Z, or 2h, is wanted".to_owned())
}

pub(super) async fn run(config: &Config, what: Dead) -> Result<Answer> {
    match what {
        Dead::List { which, limit, json } => {
            let filter = which.filter(Vec::new());
            let mut listing = wire::dead_letters(config, &filter)?;
            let text = if json {
                serde_json::to_string_pretty(&listing)? + "\n"
            } else {
                let all = listing.letters.len();
                listing.letters.truncate(limit);
                table(&listing, all)?
            };
            Ok(Answer::new(text, ExitCode::SUCCESS))
        }
        Dead::Show { place } => show(config, &place),
        Dead::Replay { places, which, with, refused_too, dry_run } => {
            let filter = which.filter(places);
            if filter.places.is_empty() && filter.reason.is_none() {
                bail!("say which: PARTITION:OFFSET, or --reason");
            }
            let with = match with {
                Some(_) if filter.places.len() != 1 => bail!("--with is for one letter: name its place"),
                Some(path) => {
                    let body =
                        std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
                    Some(Bytes::from(body))
                }
                None => None,
            };
            let timeout = config.log.delivery_timeout + ANSWER;
            let rules = config.rules.clone();
            replay(config, &Ask { filter, with, refused_too, dry_run, rules, timeout }).await
        }
    }
}

fn table(listing: &Listing, all: usize) -> Result<String> {
    let mut text = String::new();
    if !listing.letters.is_empty() {
        writeln!(text, "{:<12} {:<30} {:<18} {:<24} detail", "place", "received", "reason", "key")?;
    }
    for line in &listing.letters {
        let received = time::format(line.received_at);
        let key = line.key.as_deref().unwrap_or("-");
        writeln!(text, "{:<12} {received:<30} {:<18} {key:<24} {}", line.place, line.reason, line.detail)?;
        if let (Some(at), Some(outcome)) = (line.replayed_at, &line.outcome) {
            writeln!(text, "{:<12} {:<30} {outcome}", "", time::format(at))?;
        }
    }
    if all > listing.letters.len() {
        writeln!(text, "... and {} more: --limit shows them", all - listing.letters.len())?;
    }
    writeln!(text, "\n{:<18} {:>10} {:>10}", "reason", "letters", "replayed")?;
    for (reason, count) in &listing.reasons {
        writeln!(text, "{reason:<18} {:>10} {:>10}", count.letters, count.replayed)?;
    }
    writeln!(text, "{:<18} {all:>10}", "all")?;
    if listing.stray > 0 {
        writeln!(
            text,
            "{} records among the dead letters are none: somebody else wrote them",
            listing.stray
        )?;
    }
    Ok(text)
}

fn show(config: &Config, place: &DeadPlace) -> Result<Answer> {
    let found = wire::dead_letter(config, place)?;
    let (letter, note) = match found.as_slice() {
        [] => bail!("there is no dead letter at {place}"),
        [one] => one,
        several => {
            let places =
                several.iter().map(|(letter, _)| format!("{}/{}", letter.place.topic_id, letter.place));
            let places: Vec<_> = places.collect();
            bail!("the topic was made anew, and there are several: {}", places.join(", "));
        }
    };
    eprintln!(
        "place       {place}, {} bytes, received {}",
        letter.value.len(),
        time::format(letter.received_at)
    );
    let key = letter.key.as_deref().map(String::from_utf8_lossy);
    eprintln!("key         {}", key.as_deref().unwrap_or("none"));
    for (name, value) in &letter.headers {
        eprintln!("header      {name} = {}", String::from_utf8_lossy(value));
    }
    if let Some(note) = note {
        eprintln!("replayed    {} as {}: {}", time::format(note.at), note.order_id, note.outcome);
    }
    let verdict = verdict(letter, &config.rules);
    match &verdict {
        Ok(order) => eprintln!("today       it would be accepted: {order}"),
        Err(reason) => eprintln!("today       it would be refused again: {reason}"),
    }
    let code = if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok(Answer::new(letter.value.as_ref(), code))
}

async fn replay(config: &Config, ask: &Ask) -> Result<Answer> {
    let report = wire::replay_dead_letters(config, ask).await?;
    let (mut text, mut counts) = (String::new(), BTreeMap::<bool, usize>::new());
    for step in report.steps.values() {
        let act = match &step.act {
            Act::Send if ask.dry_run => "would be sent".to_owned(),
            act => act.to_string(),
        };
        writeln!(text, "{:<12} as {:<40} {act}", step.place.to_string(), step.order_id)?;
        *counts.entry(step.act == Act::Send).or_default() += 1;
    }
    let of = |sent| counts.get(&sent).copied().unwrap_or_default();
    let how = if ask.dry_run { "would be sent" } else { "sent" };
    writeln!(text, "{} {how}, {} left alone", of(true), of(false))?;
    let settled = report.steps.values().all(|step| step.act.settled());
    Ok(Answer::new(text, if settled { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}
