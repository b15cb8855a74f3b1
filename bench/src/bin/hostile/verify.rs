//! What must hold afterwards: the process is well, each request was counted under its reason, and the log has exactly the
//! orders that were accepted.

use crate::windows::Run;
use crate::{Options, good::Good};
use anyhow::{Result, ensure};
use bench::child::Pipeline;
use bench::machine::Usage;
use pipeline::config::{Config, Layers};
use pipeline::order::Reason;
use pipeline::outcomes::{Outcome, OutcomeWriter};
use pipeline::receive::Refusal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// The result.
pub struct Report {
    /// What does not hold; nothing, if all is well.
    pub complaints: Vec<String>,
    figures: Value,
}

/// Compares the pipeline's own counts with what was sent, stops it, and draws up its ledger.
///
/// # Errors
/// Where something cannot be read.
pub fn verify(options: &Options, pipeline: Pipeline, data: &Path, run: &Run, usage: Usage) -> Result<Report> {
    let mut complaints = Vec::new();
    let page = pipeline.page("/metrics")?;
    let counted = |name: &str, label: &str, value: &str| -> f64 {
        let line = format!("tillflow_{name}_total{{{label}=\"{value}\"}} ");
        page.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0.0)
    };
    let mut same = |what: String, given: u64, counted: f64| {
        if given as f64 != counted {
            complaints.push(format!("{what}: {given} given, {counted} counted"));
        }
    };
    let mut reasons = BTreeMap::new();
    for reason in Reason::ALL.map(Reason::tag) {
        let given = run.tally.rejected.get(reason).copied().unwrap_or(0);
        same(format!("rejected, {reason}"), given, counted("validate_rejections", "reason", reason));
        reasons.insert(reason, given);
    }
    for reason in Refusal::ALL.map(Refusal::tag) {
        let given = run.tally.refused.get(reason).copied().unwrap_or(0);
        same(format!("refused, {reason}"), given, counted("receive_refusals", "reason", reason));
        *reasons.entry(reason).or_default() += given;
    }
    let good: usize = run.quiet.iter().chain(&run.hostile).map(|window| window.accepted.len()).sum();
    let all = good + run.tally.orders.len();
    same("accepted".to_owned(), all as u64, counted("receive_orders", "outcome", "accepted"));
    same("requests".to_owned(), options.requests as u64, run.tally.requests as f64);
    let failures = run.quiet.iter().chain(&run.hostile).flat_map(|window| &window.failures);
    complaints.extend(failures.map(|failure| format!("good order {failure}")));

    let status = pipeline.stop()?;
    if !status.success() {
        complaints.push(format!("the pipeline ended with {status}"));
    }
    let ledger = ledger(data, run)?;
    let found = |pointer: &str| ledger.pointer(pointer).cloned().unwrap_or_default();
    for (pointer, wanted) in [
        ("/total/orders", all as u64),
        ("/total/duplicates", 0),
        ("/total/dead", 0),
        ("/ids/accepted", all as u64),
        ("/ids/lost", 0),
        ("/ids/not_told", 0),
    ] {
        if found(pointer) != wanted {
            complaints.push(format!("in the ledger, {pointer} is {}, not {wanted}", found(pointer)));
        }
    }
    if found("/balanced") != true {
        complaints.push("the ledger does not balance".to_owned());
    }
    let [quiet, hostile] = [&run.quiet, &run.hostile].map(|windows| median(windows));
    let figures = json!({
        "requests": run.tally.requests,
        "requests_per_second": run.tally.requests as f64 / run.attacked_for.as_secs_f64(),
        "good_orders": good,
        "good_orders_per_second": options.rate,
        "windows": options.windows,
        "p99_ms": { "quiet": quiet, "hostile": hostile },
        "windows_p99_ms": {
            "quiet": run.quiet.iter().map(Good::p99_ms).collect::<Vec<_>>(),
            "hostile": run.hostile.iter().map(Good::p99_ms).collect::<Vec<_>>(),
        },
        "reasons": reasons,
        "memory_peak_bytes": usage.memory_peak_bytes,
        "balanced": found("/balanced"),
        "complaints": complaints,
    });
    Ok(Report { complaints, figures })
}

/// The ledger of the files, with the ids of all that was accepted.
fn ledger(data: &Path, run: &Run) -> Result<Value> {
    let path = data.join("outcomes.zst");
    let mut writer = OutcomeWriter::create(&path)?;
    for id in run.quiet.iter().chain(&run.hostile).flat_map(|window| &window.accepted) {
        writer.write(id, Outcome::Accepted)?;
    }
    for (id, outcome) in &run.tally.orders {
        writer.write(id, *outcome)?;
    }
    writer.finish()?;
    let flags = [("embedded.data_dir".to_owned(), data.display().to_string())];
    let config = Config::read(&Layers::load(Some("embedded"), None, [], &flags)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ledger = runtime.block_on(pipeline::wire::ledger(&config, Some(&path)))?;
    let json: Value = serde_json::from_str(&ledger.to_json().to_string())?;
    ensure!(json.get("total").is_some(), "the ledger has no total");
    Ok(json)
}

/// The median of the windows' 99th percentiles.
fn median(windows: &[Good]) -> f64 {
    let mut all: Vec<f64> = windows.iter().map(Good::p99_ms).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let at = |pointer: &str| self.figures.pointer(pointer).cloned().unwrap_or_default();
        let number = |pointer: &str| at(pointer).as_f64().unwrap_or_default();
        let mut text = format!(
            "{} hostile requests, {:.0} a second, beside {} good orders at {} a second: {}\n\
             p99 of the good orders, median of {} windows each: {:.2} ms without hostile requests, {:.2} ms with them\n\
             peak memory {:.0} MiB\n",
            at("/requests"),
            number("/requests_per_second"),
            at("/good_orders"),
            at("/good_orders_per_second"),
            if self.complaints.is_empty() { "no harm done" } else { "NOT as it must be" },
            at("/windows"),
            number("/p99_ms/quiet"),
            number("/p99_ms/hostile"),
            number("/memory_peak_bytes") / f64::from(1 << 20),
        );
        let reasons = at("/reasons");
        for (reason, count) in reasons.as_object().into_iter().flatten().filter(|(_, count)| **count != 0) {
            text += &format!("{reason:<24} {count:>9}\n");
        }
        self.complaints.iter().for_each(|complaint| text += &format!("wrong: {complaint}\n"));
        text
    }

    /// For machines.
    pub const fn json(&self) -> &Value {
        &self.figures
    }
}
