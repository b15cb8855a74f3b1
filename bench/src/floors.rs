//! What the product costs over the least that its pieces cost, measured as interleaved pairs in one run.
//!
//! A floor is what a user would have to pay anyway: a bare hyper server, a bare loop over SQLite, librdkafka. Processor
//! time is read from the kernel's account of the process, the one that getrusage gives.

pub mod cassandra;
pub mod clickhouse;
pub mod drain;
pub mod embedded;
pub mod kafka;
pub mod receive;

use std::path::Path;

use anyhow::{Context, Result, bail};

use pipeline::log::{Completion, Deliveries, Delivery};

use crate::pairs::{Pair, PairsError, Ratios};

/// Takes pairs of measurements, each the other's neighbour, and compares them. Which comes first changes from pair to
/// pair, so that a machine that slows down does not favour one.
///
/// # Errors
/// Where a measurement fails, or is none.
pub fn compare(
    pairs: usize,
    mut base: impl FnMut() -> Result<f64>,
    mut changed: impl FnMut() -> Result<f64>,
    mut each: impl FnMut(usize, Pair),
) -> Result<Ratios> {
    let mut taken = Vec::with_capacity(pairs);
    for number in 0..pairs {
        let pair = if number % 2 == 0 {
            let base = base()?;
            Pair { base, changed: changed()? }
        } else {
            let changed = changed()?;
            Pair { base: base()?, changed }
        };
        each(number + 1, pair);
        taken.push(pair);
    }
    Ratios::of(&taken).map_err(|error: PairsError| error.into())
}

/// Measures in an empty folder, and deletes it.
///
/// # Errors
/// What the measurement or the folder says.
pub fn in_folder(folder: &Path, measure: impl FnOnce(&Path) -> Result<f64>) -> Result<f64> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let measured = measure(folder);
    std::fs::remove_dir_all(folder)?;
    measured
}

/// Waits until the log has taken a publish, if there is one.
async fn settle(completion: Option<Completion>) -> Result<()> {
    let Some(completion) = completion else { return Ok(()) };
    match completion.wait().await {
        Deliveries::All(Delivery::Durable) => Ok(()),
        other => bail!("the log did not take the orders: {other:?}"),
    }
}
