//! Is it cheaper to lend librdkafka a value than to have it copied? The processor time of this whole process, from handing
//! a record over to its delivery report, by the size of the value, with librdkafka's own mock broker behind it. Everything
//! but the copy is the same.
#![expect(clippy::print_stderr, reason = "a bench is a command line")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use bench::floors::kafka::raw::Value;
use bench::stages::{Lending, Stage};
use criterion::{BenchmarkId, Criterion, Throughput};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a value: the orders of a shop, with a long note, and about as much as one may have.
const SIZES: [usize; 4] = [200, 1_000, 4_000, 16_000];
/// Records of a run.
const RECORDS: usize = 1_000;

fn main() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    let mut failed = None;
    for size in SIZES {
        let mut group = criterion.benchmark_group(format!("copying/{size}"));
        group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
        for (name, value) in [("lent", Value::Borrowed), ("copied", Value::Copied)] {
            let mut stage = None;
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter_custom(|times| {
                    run(&mut stage, size, value, times).unwrap_or_else(|error| {
                        failed.get_or_insert(error);
                        // Criterion divides by it.
                        Duration::from_nanos(1)
                    })
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
    match failed {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("copying: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(stage: &mut Option<Lending>, size: usize, value: Value, times: u64) -> Result<Duration> {
    let stage = match stage {
        Some(stage) => stage,
        none => none.insert(Lending::of_size(RECORDS, size, value)?),
    };
    // The first records wait until the broker has told where the topic is.
    stage.run()?;
    stage.digest()?;
    let before = used();
    for _ in 0..times {
        stage.run()?;
        stage.digest()?;
    }
    Ok(used().saturating_sub(before))
}

/// The processor time that all threads of this process have used.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::from_secs(used.tv_sec.unsigned_abs()) + Duration::from_nanos(used.tv_nsec.unsigned_abs())
}
