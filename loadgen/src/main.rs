//! The command line of the load generator: reads arguments, calls the library, prints, and sets the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use loadgen::calibrate::{HEAD, calibrate};
use loadgen::live::Live;
use loadgen::log::IntervalLog;
use loadgen::metrics::Metrics;
use loadgen::report::{JSON_SCHEMA, RunReport, write_outcomes};
use loadgen::stall::{Stall, Tolerance, self_test};
use loadgen::{run, void};
use tokio::net::TcpListener;

use crate::asked::Asked;
use crate::cli::{CalibrateArgs, Cli, Command, RunArgs, SelfTestArgs, VoidArgs};

mod asked;
mod cli;

/// The run took place and may not be trusted.
const NOT_VALID: u8 = 1;
/// There was no run: what was asked for is not possible, or the system refused.
const NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Calibrate(args) => measure_itself(&args).map(|()| true),
        Command::SelfTest(args) => test_itself(&args),
        Command::Void(args) => void(&args).map(|()| true),
        Command::Schema => write!(io::stdout(), "{JSON_SCHEMA}").map(|()| true).map_err(anyhow::Error::new),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_VALID),
        Err(error) => {
            // With standard error gone there is nobody left to tell; the exit code still says it.
            writeln!(io::stderr(), "loadgen: failed to {error:#}").unwrap_or(());
            ExitCode::from(NOT_RUN)
        }
    }
}

/// Runs and reports; true if the run is valid.
fn run(args: &RunArgs) -> anyhow::Result<bool> {
    let Asked { plan, bodies, about, calibration, payload } = Asked::of(args)?;
    let mut log = match &args.hdr_log {
        Some(path) => Some(IntervalLog::create(path).with_context(|| format!("write {}", path.display()))?),
        None => None,
    };
    let metrics = match args.metrics_listen {
        Some(listen) => Some(Metrics::serve(listen).with_context(|| format!("listen on {listen}"))?),
        None => None,
    };
    let mut live = Live::start(args.progress)?.observer();
    let result = run::run(&plan, bodies, |progress| {
        log.iter_mut().for_each(|log| log.observe(progress));
        metrics.iter().for_each(|metrics| metrics.observe(progress));
        live(progress)
    })
    .map_err(anyhow::Error::new)?;
    let mut report = RunReport::new(&plan, Some(about), &result);
    report.calibration = calibration;
    // Files first: a closed standard output must not cost the results of a run.
    if let Some(path) = &args.report {
        report.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    if let (Some(path), Some(payload)) = (&args.outcomes, &payload) {
        write_outcomes(path, payload, &result).with_context(|| format!("write {}", path.display()))?;
    }
    if let (Some(path), Some(log)) = (&args.hdr_log, log) {
        log.finish().with_context(|| format!("write {}", path.display()))?;
    }
    write!(io::stdout(), "{report}").context("write to standard output")?;
    Ok(result.valid())
}

fn measure_itself(args: &CalibrateArgs) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{HEAD}")?;
    let calibration = calibrate(args.connections, args.each, |row| {
        // With standard output gone the file may still be wanted.
        writeln!(io::stdout(), "{row}").unwrap_or(());
    })
    .map_err(anyhow::Error::new)?;
    if let Some(path) = &args.json {
        calibration.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    write!(io::stdout(), "{calibration}").context("write to standard output")
}

/// True if the generator tells the truth.
fn test_itself(args: &SelfTestArgs) -> anyhow::Result<bool> {
    let stall = Stall {
        rate: args.rate,
        duration: args.duration,
        at: args.duration.mul_f64(0.4),
        length: args.stall,
    };
    let found = self_test(&stall, Tolerance::USUAL).map_err(anyhow::Error::new)?;
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&found)?;
        std::fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
    }
    write!(io::stdout(), "{found}").context("write to standard output")?;
    Ok(found.holds)
}

/// Serves until it is killed or interrupted.
fn void(args: &VoidArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener =
            TcpListener::bind(args.listen).await.with_context(|| format!("listen on {}", args.listen))?;
        writeln!(io::stdout(), "http://{}", listener.local_addr()?)?;
        tokio::select! {
            served = void::serve(listener) => served.context("accept connections"),
            interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C"),
        }
    })
}
