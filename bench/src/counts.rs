//! Instructions and allocations of the stages: what they cost where time says nothing, since neither changes with the
//! machine's speed or with what else runs on it. They are compared with a baseline that is kept with the source.
//!
//! Valgrind's callgrind counts the instructions of one function, on the thread that calls it; an allocator counts what Rust
//! code allocates there. What other threads do (librdkafka's, the void ClickHouse's) and what the kernel does is not in it,
//! nor is what C libraries allocate. A stage runs once before it counts, so that buffers have grown and connections are open.

pub mod baseline;
pub mod callgrind;
pub mod counted;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::stages::{Entry, ORDERS, Orders, Stage, warm};
use baseline::Count;
use counted::counted;

/// What the process that is looked at says of a run.
#[derive(Debug, Deserialize, Serialize)]
struct Said {
    orders: usize,
    allocations: u64,
    bytes: u64,
    digest: String,
    /// What simd-json chooses on the processor that the process sees.
    simd_json: String,
}

/// Runs a stage as the process that is looked at, and returns what it says.
///
/// # Errors
/// Where the stage fails.
pub fn said(entry: &Entry) -> Result<String> {
    said_of(warm(entry, &Orders::new()?)?.as_mut())
}

/// As [`said`], of a stage that has run once.
///
/// # Errors
/// Where it fails.
pub fn said_of(stage: &mut dyn Stage) -> Result<String> {
    stage.prepare()?;
    let (allocations, bytes) = counted(|| stage.run())?;
    let digest = format!("{:016x}", stage.digest()?);
    let simd_json = format!("{:?}", simd_json::Deserializer::algorithm());
    Ok(serde_json::to_string(&Said { orders: ORDERS, allocations, bytes, digest, simd_json })?)
}

/// Counts a stage in a process of its own, which is this program with these arguments. The text is what simd-json chooses
/// there: valgrind's processor need not be able to do what the machine's is.
///
/// # Errors
/// Where valgrind is not there, or the process fails.
pub fn count(name: &str, arguments: &[&str]) -> Result<(Count, String)> {
    let looked = callgrind::look_at(name, arguments)?;
    let said: Said =
        serde_json::from_str(looked.output.trim()).context("failed to read what a stage said")?;
    let each = |count: u64, digits: i32| {
        let scale = 10_f64.powi(digits);
        (count as f64 / said.orders as f64 * scale).round() / scale
    };
    let count = Count {
        instructions: each(looked.instructions, 1),
        allocations: each(said.allocations, 3),
        bytes: each(said.bytes, 1),
        digest: said.digest,
    };
    Ok((count, said.simd_json))
}
