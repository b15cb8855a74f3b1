//! The command line of the load generator: reads arguments, calls the library, prints, and sets the exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use loadgen::payload::{CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, Payload, generate, replay};
use loadgen::plan::{Bodies, Plan};
use loadgen::report::{PayloadReport, RunReport, write_outcomes};
use loadgen::{run, void};
use tokio::net::TcpListener;

use crate::cli::{Cli, Command, RunArgs, VoidArgs};
use loadgen::live::Live;

mod cli;

/// The run took place and may not be trusted.
const NOT_VALID: u8 = 1;
/// There was no run: what was asked for is not possible, or the system refused.
const NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Void(args) => void(&args).map(|()| true),
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
    let plan = args.plan();
    let (bodies, payload) = bodies(args, &plan)?;
    let live = Live::start(args.progress)?;
    let result = run::run(&plan, bodies, live.observer()).map_err(anyhow::Error::new)?;
    let seed = args.data.is_none().then_some(args.seed);
    let about = payload.as_ref().map(|payload| PayloadReport::new(payload, seed));
    let report = RunReport::new(&plan, about, &result);
    // Files first: a closed standard output must not cost the results of a run.
    if let Some(path) = &args.report {
        report.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    if let (Some(path), Some(payload)) = (&args.outcomes, &payload) {
        write_outcomes(path, payload, &result).with_context(|| format!("write {}", path.display()))?;
    }
    write!(io::stdout(), "{report}").context("write to standard output")?;
    Ok(result.valid())
}

/// What the run sends: a file's bytes again and again, replayed orders or generated ones.
fn bodies(args: &RunArgs, plan: &Plan) -> anyhow::Result<(Bodies, Option<Arc<Payload>>)> {
    if let Some(path) = &args.body_file {
        let body = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        return Ok((Bodies::Same(Bytes::from(body)), None));
    }
    let orders = plan.orders_asked()?;
    let payload = match &args.data {
        Some(path) => replay(path, Some(orders), DEFAULT_MAX_BYTES)?,
        None => generate(&GenerateSpec {
            orders,
            seed: args.seed,
            run_id: args.run_id.clone().unwrap_or_else(cli::new_run_id),
            created_at: CreatedAt::Absent,
            max_bytes: DEFAULT_MAX_BYTES,
        })?,
    };
    let payload = Arc::new(payload);
    Ok((Bodies::from(&payload), Some(payload)))
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
