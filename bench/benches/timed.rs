//! A stage on criterion's clock. `cargo bench` times it; `cargo test` runs it once, and either way its digest is printed,
//! so that work which is not done, or is done otherwise, does not go unseen.
#![expect(clippy::print_stdout, reason = "a bench is a command line")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bench::stages::{Entry, ORDERS, Orders, Stage, warm};
use criterion::{Criterion, Throughput};

/// Times a stage, if the command line's filter lets it, and returns its digest then.
pub fn time(criterion: &mut Criterion, entry: &Entry, orders: &Orders) -> Result<Option<u64>> {
    let mut failed = None;
    let mut group = criterion.benchmark_group(entry.name);
    group.throughput(Throughput::Elements(ORDERS as u64)).sample_size(20);
    let mut stage: Option<Box<dyn Stage>> = None;
    let mut digest = None;
    group.bench_function("orders", |bencher| {
        bencher.iter_custom(|times| {
            let mut timed = || -> Result<Duration> {
                let stage = match &mut stage {
                    Some(stage) => stage,
                    none => none.insert(warm(entry, orders)?),
                };
                run(stage.as_mut(), times, &mut digest)
            };
            timed().unwrap_or_else(|error| {
                failed.get_or_insert(error);
                // Criterion divides by it.
                Duration::from_nanos(1)
            })
        });
    });
    group.finish();
    if let Some(digest) = digest {
        println!("{}: digest {digest:016x}: {}\n", entry.name, entry.question);
    }
    failed.map_or(Ok(digest), |error: anyhow::Error| Err(error.context(entry.name)))
}

fn run(stage: &mut dyn Stage, times: u64, digest: &mut Option<u64>) -> Result<Duration> {
    let mut took = Duration::ZERO;
    for _ in 0..times {
        stage.prepare()?;
        let started = Instant::now();
        stage.run()?;
        took += started.elapsed();
        let now = stage.digest()?;
        let before = *digest.get_or_insert(now);
        ensure!(before == now, "it came to {now:016x} this time, and to {before:016x} before");
    }
    Ok(took)
}
