//! The arguments of the command line, their units and defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::run::{RunArgs, Spin};

mod run;

/// An open-loop load generator: latency counts from the instant a request was due, never from its sending.
///
/// Exit code 0: the run is valid. 1: it took place and is not valid, for the reasons it prints. 2: it could not take
/// place.
#[derive(Parser)]
#[command(name = "loadgen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Send requests at a rate that does not depend on the server, and report latencies and outcomes.
    ///
    /// Request i is due at start + i * batch / rate, or where a workload's rate over time says, whatever the server
    /// does. If all connections are busy it waits, and that counts as delay. Without a body of its own it sends
    /// Tillflow's orders. Ctrl-C ends the schedule early and still reports; once more ends the retries.
    Run(Box<RunArgs>),
    /// Measure what the generator itself can do on this machine, against a server in the same process.
    Calibrate(CalibrateArgs),
    /// Show that the generator tells the truth: have a server stand still, and compare each percentile with arithmetic.
    SelfTest(SelfTestArgs),
    /// Serve 202 to everything, to see what a generator itself can do.
    ///
    /// Prints its address, then serves HTTP/1.1 and HTTP/2 until it is interrupted.
    Void(VoidArgs),
    /// Print the JSON Schema of the report.
    Schema,
}

#[derive(Args)]
pub(crate) struct CalibrateArgs {
    /// Connections to measure with
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) connections: usize,

    /// How long to keep each rate
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) each: Duration,

    /// Write the calibration to this file as JSON, for `loadgen run --calibration`
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SelfTestArgs {
    /// Requests a second
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) rate: f64,

    /// How long to send
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,

    /// How long the server stands still, from two fifths of the duration on
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) stall: Duration,

    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct VoidArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// A run id that no other run has: the Unix time in microseconds.
pub(crate) fn new_run_id() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("run-{}", since_epoch.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
