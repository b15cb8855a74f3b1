//! The commands that say what the servers, or the files, hold.

use super::{Answer, Schema};
use crate::config::Config;
use crate::{time, wire};
use anyhow::{Result, anyhow};
use std::fmt::Write;
use std::process::ExitCode;

pub(super) async fn schema(config: &Config, what: Schema) -> Result<Answer> {
    let report = match what {
        Schema::Apply => wire::apply_schema(config).await?,
        Schema::Check => wire::check_schema(config).await?,
    };
    let mut text = String::new();
    for line in &report.lines {
        writeln!(text, "{line}")?;
    }
    if !report.wrong.is_empty() {
        let wrong = report.wrong.join("\n") + "\n";
        return Ok(Answer { wrong, ..Answer::new(text, ExitCode::FAILURE) });
    }
    writeln!(text, "topics, keyspace and database are as this build needs them")?;
    Ok(Answer::new(text, ExitCode::SUCCESS))
}

pub(super) async fn order(
    config: &Config,
    order_id: &str,
    around: Option<&str>,
    json: bool,
) -> Result<Answer> {
    let around = match around {
        Some(text) => Some(
            time::parse(text)
                .ok_or_else(|| anyhow!("--around {text}: a time as 2026-11-22T10:00:00Z is wanted"))?,
        ),
        None => None,
    };
    let Some(found) = wire::whereabouts(config, order_id, around).await? else {
        eprintln!("order {order_id} belongs to no partition of this log");
        return Ok(ExitCode::FAILURE.into());
    };
    let code = if found.is_accepted() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if json {
        return Ok(Answer::new(serde_json::to_string_pretty(&found)? + "\n", code));
    }
    let mut text = format!("order {order_id}: {}\n", found.sentence());
    for (name, value) in found.stored.iter().flatten() {
        let instant = matches!(name.as_str(), "created_at" | "received_at");
        let shown = value.parse().ok().filter(|_| instant).map_or_else(|| value.clone(), time::format);
        writeln!(text, "{name:<12} {shown}")?;
    }
    for record in &found.records {
        let refused = record.refused.as_deref().map_or_else(String::new, |why| format!(", refused: {why}"));
        let received = time::format(record.received_at);
        writeln!(text, "in the log   {}:{}, received {received}{refused}", found.partition, record.offset)?;
    }
    for letter in &found.dead {
        writeln!(text, "dead letter  {}, {}: {}", letter.place, letter.reason, letter.detail)?;
    }
    let ((from, end), (first, last)) = (found.looked, found.log);
    writeln!(
        text,
        "looked at    offsets {from} to {end} of partition {}, which holds {first} to {last}",
        found.partition
    )?;
    Ok(Answer::new(text, code))
}

pub(super) async fn sales(config: &Config) -> Result<Answer> {
    let mut text = String::new();
    writeln!(
        text,
        "{:<8} {:<16} {:<16} {:>10} {:>12} {:>20}",
        "currency", "source", "state", "orders", "quantity", "total"
    )?;
    for (key, sums) in wire::sales(config).await? {
        writeln!(
            text,
            "{:<8} {:<16} {:<16} {:>10} {:>12} {:>20}",
            key.currency.code(),
            key.source,
            key.state,
            sums.orders,
            sums.quantity,
            key.currency.format(sums.total_minor)
        )?;
    }
    Ok(Answer::new(text, ExitCode::SUCCESS))
}
