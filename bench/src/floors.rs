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

use crate::pairs::{Pair, PairsError, Ratios};

/// Takes pairs of measurements, each the other's neighbour, and compares them. Which comes first changes from pair to
/// pair, so that a machine that slows down does not favour one.
///
/// # Errors
/// Where a measurement fails, or is none.
pub fn compare(
    pairs: usize,
    mut base: impl FnMut() -> anyhow::Result<f64>,
    mut changed: impl FnMut() -> anyhow::Result<f64>,
    mut each: impl FnMut(usize, Pair),
) -> anyhow::Result<Ratios> {
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
