//! `result.json`: what `bench latency` and `bench capacity` found over all their runs, in the schema `tillflow.result.v1`.
//!
//! It owns the names and units of the fields, and how runs are put together; both are pure. The schema is published as
//! `bench/schema/result.v1.json`, against which a test holds what is written. Each run has a report of its own beside it,
//! and interval logs with all that was measured.

mod pool;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::capacity::search;
use crate::case::Case;
use crate::doctor::Finding;
use crate::lag::{Lag, Waiting};
use crate::objective::Held;
use crate::probe::agree::Compared;
use crate::report::{LatencyMs, Machine, Resources, Spectrum};
use crate::saturation::Load;

pub use pool::{Pooled, pool};

/// The value of [`Measurement::schema`].
pub const SCHEMA: &str = "tillflow.result.v1";

/// What was measured. All floats are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// [`SCHEMA`].
    pub schema: String,
    /// Which command it is of.
    pub kind: Kind,
    /// The case's title.
    pub title: String,
    /// When the first order was due, RFC 3339 in UTC.
    pub started_at: String,
    /// Whether every run that the figures are of is valid.
    pub valid: bool,
    /// Why not, by run.
    pub reasons: Vec<String>,
    /// What the runs ran on.
    pub machine: Machine,
    /// What would spoil a measurement there, looked at before the first run.
    pub doctor: Vec<Finding>,
    /// Git revision of the folder in which the runs were started, asked of git after them, with `-dirty` behind it if
    /// tracked files were changed; `unknown` outside git. It is the build's where what was run was built from that state.
    pub commit: String,
    /// SHA-256 of `flake.lock`, which pins all that a Nix build depends on; absent outside the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake_lock: Option<String>,
    /// Versions of what the runs went through.
    pub services: BTreeMap<String, String>,
    /// The config of the first run, secrets masked: dotted key to value.
    pub config: BTreeMap<String, String>,
    /// Seed of the payloads.
    pub seed: u64,
    /// The case as it was run.
    pub case: Case,
    /// What was left out of each run's beginning.
    pub warm_up: WarmUp,
    /// The folders of the runs that the figures below are of: all of `bench latency`; of `bench capacity` those at the
    /// rate that it found.
    pub runs: Vec<String>,
    /// Every run, in their order.
    pub every_run: Vec<Run>,
    /// Latencies of these runs together, in milliseconds.
    pub latency_ms: LatencyMs,
    /// Their percentile spectra.
    pub spectra: BTreeMap<String, Spectrum>,
    /// What the pipeline's own processes used in them, together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// What each process used in them.
    pub processes: BTreeMap<String, Resources>,
    /// Hops by probe and by record, by the hop's name.
    pub probes: BTreeMap<String, Compared>,
    /// What was found by a search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `bench latency`.
    Latency,
    /// `bench capacity`.
    Capacity,
}

/// What was left out of the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// How it was found, in words.
    pub rule: String,
    /// Whole seconds, by run.
    pub seconds: Vec<u64>,
}

/// One run, in short; the whole of it is in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The name of its folder under `runs`.
    pub folder: String,
    /// Orders a second that the schedule asked for.
    pub offered_per_second: f64,
    /// Orders a second that were sent.
    pub achieved_per_second: f64,
    /// Whether its figures may be quoted.
    pub valid: bool,
    /// Whether its ledger balances.
    pub balanced: bool,
    /// The objective's terms held against it; empty without an objective.
    pub held: Vec<Held>,
    /// How what waits for the stores went.
    pub lag: Lag,
    /// What waited, over the run.
    pub waiting: Vec<Waiting>,
    /// What was used while orders were sent.
    pub load: Load,
}

impl Run {
    /// Whether it met every term, with figures that may be quoted.
    pub fn met(&self) -> bool {
        self.valid && self.held.iter().all(|held| held.met)
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The highest rate that holds, and the lowest above it that does not.
    pub found: search::Capacity,
    /// The rungs, in the order in which they were run.
    pub rungs: Vec<Rung>,
    /// What was at its limit in the first run of the lowest rate that failed, the most telling first.
    pub saturated: Vec<String>,
}

/// A rate and its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Orders a second.
    pub rate: f64,
    /// True for the rung that confirms what was found.
    pub confirms: bool,
    /// Whether the majority of its runs met the objective.
    pub met: bool,
    /// Its runs.
    pub runs: Vec<RunAtRate>,
}

/// All runs at a rate, of every rung that has it.
pub fn runs_at(rungs: &[Rung], rate: f64) -> impl Iterator<Item = &RunAtRate> {
    rungs.iter().filter(move |rung| rung.rate.total_cmp(&rate).is_eq()).flat_map(|rung| &rung.runs)
}

/// A run of a rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunAtRate {
    /// The name of its folder under `runs`.
    pub folder: String,
    /// Whether it met the objective.
    pub met: bool,
    /// The terms that it did not meet with what was found instead, and why it is not valid.
    pub missed: Vec<String>,
    /// Its latencies in milliseconds.
    pub latency_ms: LatencyMs,
}

/// Why a `result.json` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MeasurementError {
    /// It is not JSON, or a field is missing or of another type.
    #[error("result is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// It is a result of a schema that this build does not read.
    #[error("result has the schema `{0}`, not `{SCHEMA}`")]
    Schema(String),
}

impl Measurement {
    /// Reads a `result.json`.
    ///
    /// # Errors
    /// When it is not JSON, not of [`SCHEMA`], or a field is missing or of another type.
    pub fn from_json(json: &str) -> Result<Self, MeasurementError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Head = serde_json::from_str(json)?;
        if head.schema != SCHEMA {
            return Err(MeasurementError::Schema(head.schema));
        }
        Ok(serde_json::from_str(json)?)
    }

    /// Writes a `result.json`, indented, with a line end.
    ///
    /// # Errors
    /// Never for one whose maps have string keys, as these have; the writer's signature says otherwise.
    pub fn to_json(&self) -> Result<String, MeasurementError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// Whether what was asked for was reached: valid figures, the objective met where there is one, a capacity found and
    /// confirmed where one was searched for.
    pub fn good(&self) -> bool {
        let met = match &self.capacity {
            Some(capacity) => capacity.found.confirmed(),
            None => self.every_run.iter().all(Run::met),
        };
        self.valid && met && self.probes.values().all(|compared| compared.agree)
    }
}
