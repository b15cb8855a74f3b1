//! The orders of a run: generated, or replayed from a file or a data set, with what is known of their sums.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use loadgen::payload::{CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, Payload, generate, replay};
use serde::Deserialize;

use crate::report::Sums;

/// The data set that a script of the load generator fetches.
const COMPLETE_JOURNEY: &str = "completejourney";

/// Orders, ready to send.
#[derive(Debug)]
pub struct Data {
    /// `generated`, the data set's name, or the file's.
    pub kind: String,
    /// The orders.
    pub payload: Arc<Payload>,
    /// What the valid ones add up to, by a computation that has nothing to do with the pipeline.
    pub expected: Option<Sums>,
}

impl Data {
    /// Draws orders for a seed. Without `live`, they were bought on the day before today, by that day's hours; with it
    /// they do not say, and the pipeline takes the instant of their arrival.
    ///
    /// # Errors
    /// Where they do not fit into memory.
    pub fn generated(orders: usize, seed: u64, live: bool) -> Result<Self> {
        let now = time::OffsetDateTime::now_utc();
        let yesterday = now.date().previous_day().context("there is no day before today")?;
        let created_at = if live { CreatedAt::Absent } else { CreatedAt::Day(yesterday) };
        let run_id = format!("run-{}", now.unix_timestamp_nanos() / 1_000);
        let spec = GenerateSpec { orders, seed, run_id, created_at, max_bytes: DEFAULT_MAX_BYTES };
        Ok(Self { kind: "generated".to_owned(), payload: Arc::new(generate(&spec)?), expected: None })
    }

    /// Replays a data set by its name, or a file of orders.
    ///
    /// # Errors
    /// Where it cannot be had, or holds something else than orders.
    pub fn replayed(name: &str, orders: Option<usize>) -> Result<Self> {
        let (path, expected) = if name == COMPLETE_JOURNEY {
            let found = fetch(orders)?;
            let sums =
                Sums { count: found.valid, quantity: found.quantity_sum, total_minor: found.total_minor_sum };
            (found.path, Some(sums))
        } else {
            (PathBuf::from(name), None)
        };
        let payload = Arc::new(replay(&path, orders, DEFAULT_MAX_BYTES)?);
        Ok(Self { kind: name.to_owned(), payload, expected })
    }
}

/// What the script prints, as far as it is wanted here.
#[derive(Debug, Deserialize)]
struct Fetched {
    path: PathBuf,
    valid: u64,
    quantity_sum: i128,
    total_minor_sum: i128,
}

/// Lets the script fetch the data set, if it is not there yet, and compute its figures from the original.
fn fetch(orders: Option<usize>) -> Result<Fetched> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadgen/completejourney/completejourney.py");
    let mut command = Command::new("python3");
    command.arg(script).arg("fetch");
    if let Some(orders) = orders {
        command.arg("--orders").arg(orders.to_string());
    }
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run python3, which fetches the data set")?;
    if !output.status.success() {
        bail!("the data set could not be fetched; the lines above say why");
    }
    serde_json::from_slice(&output.stdout).context("failed to read what the data set's script printed")
}
