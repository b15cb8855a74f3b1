//! The arguments of the command line, their units and defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use loadgen::plan::Plan;

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
    /// Send orders, or any body, at a fixed rate, and report latencies and outcomes.
    ///
    /// Request i is due at start + i * batch / rate, whatever the server does. If all connections are busy it waits,
    /// and that counts as delay. Ctrl-C ends the schedule early and still reports; once more ends the retries.
    Run(Box<RunArgs>),
    /// Serve 202 to everything, to see what the generator itself can do.
    ///
    /// Prints its address, then serves HTTP/1.1 and HTTP/2 until it is interrupted.
    Void(VoidArgs),
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Where to send, e.g. http://127.0.0.1:8080/v1/orders
    #[arg(long)]
    url: String,

    /// Orders a second; with --batch a request carries several. May have a fraction, e.g. 0.5
    #[arg(long, default_value_t = 1000.0, value_name = "ORDERS/S")]
    rate: f64,

    /// How long to send, e.g. 500ms, 10s, 5m or 1h
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// Connections over all threads, each with one request under way at a time
    #[arg(long, default_value_t = 50, value_name = "N")]
    connections: usize,

    /// Threads, each with its own share of the schedule and of the connections
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,

    /// Orders a request: 1 posts single JSON objects, more posts NDJSON
    #[arg(long, default_value_t = 1, value_name = "N")]
    batch: usize,

    /// Send no more orders than this
    #[arg(long, value_name = "N")]
    orders: Option<usize>,

    /// Send the orders of this file, .ndjson or .ndjson.gz, one a line; otherwise orders are generated
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,

    /// What the generated orders are drawn from: the same seed gives the same orders
    #[arg(long, default_value_t = 1, conflicts_with = "data")]
    pub(crate) seed: u64,

    /// The beginning of the generated order ids; a new one each time unless it is given
    #[arg(long, conflicts_with = "data", value_name = "ID")]
    pub(crate) run_id: Option<String>,

    /// Send this file's bytes as each request's body, to any server; 2xx counts as accepted, nothing is sent again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "seed", "run_id", "batch", "outcomes"])]
    pub(crate) body_file: Option<PathBuf>,

    /// The HTTP method
    #[arg(long, default_value = "POST")]
    method: String,

    /// A further request header, "Name: value"; may be given several times
    #[arg(long, value_parser = header, value_name = "HEADER")]
    header: Vec<(String, String)>,

    /// HTTP/2 with prior knowledge (h2c) instead of HTTP/1.1
    #[arg(long)]
    http2: bool,

    /// A request without a whole reply after this time is given up; its orders are unknown
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// After the schedule, send failed and unknown orders again for up to this long; 0s: not at all
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    retry_for: Duration,

    /// The run is not valid if the 99th percentile of delay (due -> sent) is longer than this
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    max_delay: Duration,

    /// Write the report to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Write the outcome of each order to this file, for `pipeline ledger`
    #[arg(long, value_name = "FILE")]
    pub(crate) outcomes: Option<PathBuf>,

    /// Show a line on standard error each second even if that is no terminal
    #[arg(long)]
    pub(crate) progress: bool,
}

impl RunArgs {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            url: self.url.clone(),
            method: self.method.clone(),
            headers: self.header.clone(),
            rate: self.rate,
            duration: self.duration,
            batch: self.batch,
            orders: self.orders,
            connections: self.connections,
            threads: self.threads,
            http2: self.http2,
            timeout: self.timeout,
            retry_for: self.retry_for,
            max_delay: self.max_delay,
            on_a_second: false,
            fine: false,
        }
    }
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

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header looks like \"Name: value\"")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
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
