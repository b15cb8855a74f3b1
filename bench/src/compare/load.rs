//! Reads a result from its folder, or a single report with the logs beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde::Deserialize;

use super::quantile::Second;
use crate::doctor::Finding;
use crate::report::{Machine, Percentiles, Resources};

/// One of the two results.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Where it was read.
    pub path: String,
    /// The case of a result directory; nothing for a single report.
    pub case: serde_json::Value,
    /// Its runs, at least one.
    pub runs: Vec<Run>,
}

/// A run: its report, and what each of its histograms counted second by second, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What it says of itself.
    pub report: Told,
    /// The logs beside it, by the name of the histogram.
    pub logs: BTreeMap<String, Vec<Second>>,
}

/// What reports of the harness and of the load generator have in common, as far as it is compared.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Told {
    /// The schema's name and version.
    pub schema: String,
    /// Whether its figures may be quoted.
    pub valid: bool,
    /// Why not.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What the schedule asked for, a second.
    pub offered_per_second: f64,
    /// What was sent, a second.
    pub achieved_per_second: f64,
    /// Latencies by histogram.
    pub latency_ms: BTreeMap<String, Percentiles>,
    /// The way the system ran.
    pub way: Option<String>,
    /// What it ran on.
    pub machine: Option<Machine>,
    /// What would have spoilt it.
    #[serde(default)]
    pub doctor: Vec<Finding>,
    /// The build.
    pub commit: Option<String>,
    /// The configuration.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// What was sent, by the harness's report.
    pub data: Option<Sent>,
    /// What was offered, by the generator's: equal fingerprints, equal schedules and bytes.
    pub fingerprint: Option<String>,
    /// How the generator sent: `open loop`, or what a closed one is called.
    pub mode: Option<String>,
    /// What all processes used.
    pub resources: Option<Resources>,
    /// What each of them used.
    #[serde(default)]
    pub processes: BTreeMap<String, Resources>,
}

/// What was sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Sent {
    /// Equal fingerprints, equal bytes.
    pub fingerprint: String,
}

/// A `result.json`, as far as it is needed to find the rest.
#[derive(Deserialize)]
struct ResultHead {
    schema: String,
    #[serde(default)]
    case: serde_json::Value,
    runs: Vec<String>,
}

const RESULT_SCHEMA: &str = "tillflow.result.v1";
/// The reports whose fields are [`Told`]'s.
const REPORT_SCHEMAS: [&str; 2] = [crate::report::SCHEMA, "tillflow.loadgen."];

/// Reads a result directory, a folder that holds a `report.json`, or a report.
///
/// # Errors
/// Where it is none of these, or a file cannot be read.
pub fn load(path: &Path) -> Result<Side> {
    let read = || -> Result<(serde_json::Value, Vec<Run>)> {
        if path.is_file() {
            return Ok((serde_json::Value::Null, vec![run(path)?]));
        }
        let result = path.join("result.json");
        if !result.exists() {
            return Ok((serde_json::Value::Null, vec![run(&path.join("report.json"))?]));
        }
        let head: ResultHead = json(&result)?;
        if head.schema != RESULT_SCHEMA {
            bail!("{} has the schema `{}`, not `{RESULT_SCHEMA}`", result.display(), head.schema);
        }
        let runs = head.runs.iter().map(|name| run(&path.join("runs").join(name).join("report.json")));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        if runs.is_empty() {
            bail!("{} names no run", result.display());
        }
        Ok((head.case, runs))
    };
    let (case, runs) = read().with_context(|| format!("failed to read the result {}", path.display()))?;
    Ok(Side { path: path.display().to_string(), case, runs })
}

fn run(path: &Path) -> Result<Run> {
    let report: Told = json(path)?;
    if !REPORT_SCHEMAS.iter().any(|known| report.schema.starts_with(known)) {
        bail!("{} has the schema `{}`, which is not known here", path.display(), report.schema);
    }
    let mut logs: BTreeMap<String, Vec<Second>> = BTreeMap::new();
    for path in interval_logs(path)? {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        for (tag, second) in seconds(&bytes).with_context(|| format!("failed to read {}", path.display()))? {
            logs.entry(tag.unwrap_or_else(|| stem.clone())).or_default().push(second);
        }
    }
    Ok(Run { report, logs })
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what it should be", path.display()))
}

/// The interval logs of a report, by name: the one that is named like it, or, of a `report.json`, all that lie beside it.
fn interval_logs(report: &Path) -> Result<Vec<PathBuf>> {
    let own = report.with_extension("hlog");
    if own.exists() {
        return Ok(vec![own]);
    }
    let mut found = Vec::new();
    if report.file_name().is_some_and(|name| name == "report.json") {
        let folder = report.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "hlog") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The intervals of a log in its order, with their tags. What is compared of an interval is what it counted, not when.
fn seconds(log: &[u8]) -> Result<Vec<(Option<String>, Second)>> {
    let mut deserializer = Deserializer::new();
    let mut found = Vec::new();
    for entry in IntervalLogIterator::new(log) {
        let entry = entry.map_err(|error| anyhow::anyhow!("not an interval log: {error:?}"))?;
        let LogEntry::Interval(interval) = entry else { continue };
        let bytes = STANDARD.decode(interval.encoded_histogram()).context("a histogram is not base64")?;
        let histogram: hdrhistogram::Histogram<u64> = deserializer
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| anyhow::anyhow!("a histogram cannot be read: {error:?}"))?;
        let counts = histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
        found.push((interval.tag().map(|tag| tag.as_str().to_owned()), Second::new(counts)));
    }
    Ok(found)
}
