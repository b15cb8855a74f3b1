//! `report.json`: everything that a run says of itself, in the schema `tillflow.report.v1`.
//!
//! It owns the names and units of the fields and nothing else: what makes a run valid is in [`crate::verdict`],
//! how it is shown in [`crate::html`] and [`crate::text`]. Fields that a reader does not know are ignored, so that
//! an older reader opens a newer report; a field is never given another meaning within one schema.

mod latency;
mod ledger;
mod minor;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::doctor::Finding;

pub use latency::{LatencyMs, Percentiles, spectrum};
pub use ledger::{Across, Ledger};

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "tillflow.report.v1";

/// A percentile spectrum: pairs of a quantile (0 to 1) and the latency there in milliseconds, both rising.
pub type Spectrum = Vec<[f64; 2]>;

/// One run. All floats are finite; JSON has no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// When the first order was due, RFC 3339 in UTC.
    pub started_at: String,
    /// The way the system ran: `embedded`, `native` or `compose`.
    pub way: String,
    /// How long orders came due, in seconds: the schedule's length, or until an interrupt broke it off.
    pub duration_seconds: f64,
    /// Whole seconds at the beginning that are left out of the latencies, their spectra, and what processes used but for
    /// the greatest memory. All else is of the whole run: the ledger, the series, what was achieved, and what makes the
    /// run valid.
    #[serde(default)]
    pub warm_up_seconds: u64,
    /// Whether the figures may be quoted. False whenever `reasons` is not empty.
    pub valid: bool,
    /// Why the run is not valid, a sentence each.
    pub reasons: Vec<String>,
    /// Orders per second that the schedule asked for.
    pub offered_per_second: f64,
    /// Orders per second that were sent.
    pub achieved_per_second: f64,
    /// Latencies in milliseconds.
    pub latency_ms: LatencyMs,
    /// The count of every order, wherever it was seen.
    pub ledger: Ledger,
    /// What the run ran on.
    pub machine: Machine,
    /// What on that machine would spoil a measurement, looked at before the load; empty where it was not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doctor: Vec<Finding>,
    /// Git revision of the folder in which the run was started, asked of git at its end, with `-dirty` behind it if tracked
    /// files were changed; `unknown` outside git. It is the build's where what is run was built from that state.
    pub commit: String,
    /// Versions of what the run depended on, the lock file's hash included: name to version.
    #[serde(default)]
    pub services: BTreeMap<String, String>,
    /// The config of the run, secrets masked: dotted key to value.
    pub config: BTreeMap<String, String>,
    /// Seed of the schedule and of the payloads.
    pub seed: u64,
    /// What was sent.
    pub data: Data,
    /// Percentile spectra by the names of [`LatencyMs`]; a histogram that is missing was not recorded.
    pub spectra: BTreeMap<String, Spectrum>,
    /// The run second by second.
    pub series: Vec<Second>,
    /// What the rollups say was sold.
    pub sales: Vec<Sale>,
    /// Digits after the point of each currency in `sales`; a currency that is missing has two.
    #[serde(default)]
    pub currencies: BTreeMap<String, u32>,
    /// What the pipeline's process used; absent where it could not be read, as in another container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The same of each process that took part: the pipeline's own, the generator, and the servers of the stack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<String, Resources>,
    /// Rejected orders by the tag of their reason.
    pub rejections: BTreeMap<String, u64>,
    /// For a replayed data set: what it is known to add up to, and what was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// `generated`, or the name of the data set that was replayed, as `completejourney`.
    pub kind: String,
    /// Fingerprint of all payloads in their order: equal fingerprints, equal bytes sent.
    pub fingerprint: String,
}

/// The machine, as far as it bears on speed. A fact that could not be read is `unknown`, or absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Model name of the processor.
    pub cpu: String,
    /// Logical processors.
    pub cores: u32,
    /// Release of the kernel.
    pub kernel: String,
    /// Memory of the machine in bytes.
    pub memory_bytes: u64,
    /// The distribution's own name for itself.
    pub os: String,
    /// `1` or `2` under the Windows Subsystem for Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wsl: Option<String>,
    /// The kernel's clock source; anything but `tsc` and its like makes reading the clock a system call.
    pub clock_source: String,
    /// Frequency governor of the first processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governor: Option<String>,
    /// The hypervisor or container around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtualisation: Option<String>,
}

/// One second of the run. Orders belong to the second in which they were due, whenever they were answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Seconds since the first due instant.
    pub second: u64,
    /// Orders due.
    pub due: u64,
    /// Orders of these that were accepted.
    pub accepted: u64,
    /// Orders of these that were rejected, failed or unknown.
    pub not_accepted: u64,
    /// Median response, in milliseconds; absent when nothing was answered.
    pub response_p50_ms: Option<f64>,
    /// 99th percentile of the response, in milliseconds.
    pub response_p99_ms: Option<f64>,
    /// Longest response, in milliseconds.
    pub response_max_ms: Option<f64>,
}

/// Sales of one channel in one state and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The sales channel.
    pub source: String,
    /// The state after enrichment.
    pub state: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Orders.
    pub orders: u64,
    /// Items.
    #[serde(with = "minor")]
    pub quantity: i128,
    /// Minor units, as cents. A JSON integer where it fits 64 bits, else a decimal string.
    #[serde(with = "minor")]
    pub total_minor: i128,
}

/// What a process, or all of the pipeline's together, used from the end of the warm-up until all was stored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time, user and system, in seconds.
    pub cpu_seconds: f64,
    /// The same in microseconds for each accepted order, which is as much as seconds for a million of them.
    pub cpu_us_per_order: f64,
    /// Greatest resident memory, in bytes.
    pub memory_peak_bytes: u64,
    /// Resident memory at the end, in bytes.
    pub memory_last_bytes: u64,
    /// Bytes written to storage; absent where the kernel does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Context switches, of its own will and not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_switches: Option<u64>,
}

/// A data set's known sums beside those found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What the data set is known to hold.
    pub expected: Sums,
    /// What the rollups held.
    pub found: Sums,
}

/// Sums over orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Orders.
    pub count: u64,
    /// Items.
    #[serde(with = "minor")]
    pub quantity: i128,
    /// Minor units. A JSON integer where it fits 64 bits, else a decimal string.
    #[serde(with = "minor")]
    pub total_minor: i128,
}

/// Why a `report.json` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is not JSON, or a field is missing or of another type.
    #[error("report is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// It is a report of a schema that this build does not read.
    #[error("report has the schema `{0}`, not `{SCHEMA}`")]
    Schema(String),
}

impl Report {
    /// Reads a `report.json`.
    ///
    /// # Errors
    /// When it is not JSON, not of [`SCHEMA`], or a field is missing or of another type.
    pub fn from_json(json: &str) -> Result<Self, ReportError> {
        // The schema is read on its own first: of another schema's report, its name says more than its first
        // missing field.
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Head = serde_json::from_str(json)?;
        if head.schema != SCHEMA {
            return Err(ReportError::Schema(head.schema));
        }
        Ok(serde_json::from_str(json)?)
    }

    /// Writes a `report.json`, indented, with a line end.
    ///
    /// # Errors
    /// Never for a report whose maps have string keys, as this one's have; the writer's signature says otherwise.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// Digits after the point of a currency.
    pub fn digits(&self, currency: &str) -> u32 {
        self.currencies.get(currency).copied().unwrap_or(2)
    }
}
