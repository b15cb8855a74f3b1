//! `cargo demo`: the pipeline under load, and the report of it. Arguments, files and the exit code are here;
//! what happens is in [`bench::run`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use bench::data::Data;
use bench::run::{Run, run};
use bench::warm_up::WarmUp;
use bench::way::Way;
use bench::{child, doctor, html, text};
use clap::{Parser, ValueEnum};
use loadgen::plan::{Limits, Plan};

/// Run the pipeline under load and prove the result: real orders over HTTP, durable, in the rollups, balanced.
///
/// Writes report.json and report.html. Exit code 0: the run is valid and the ledger balances. 1: it is not, for the
/// reasons printed. 2: it could not be run.
#[derive(Parser)]
#[command(name = "demo", max_term_width = 100)]
struct Cli {
    /// Where log and stores are: two SQLite files, or the Kafka, Cassandra and ClickHouse that `deploy/native/stack up`
    /// has brought up or that PIPELINE_KAFKA_BROKERS and its like name
    #[arg(long, value_enum, default_value_t = Stack::Embedded)]
    stack: Stack,
    /// Orders a second
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// How long to send, e.g. 10s or 2m; by default 10s, or as long as --orders takes at the rate
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Orders a request: 1 posts single JSON objects, more posts NDJSON
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Connections, each with one request under way at a time
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Replay orders instead of generating them: `completejourney` (fetched, and checked against its own sums), or a
    /// file of orders, .ndjson or .ndjson.gz
    #[arg(long)]
    data: Option<String>,
    /// How many orders to send
    #[arg(long)]
    orders: Option<usize>,
    /// What the generated orders are drawn from: the same seed gives the same orders
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Generate orders that are bought as they arrive, instead of over the hours of yesterday
    #[arg(long)]
    live: bool,
    /// A setting of the pipeline, such as process.block_interval=1s. May be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The folder for the data and the reports; an earlier demo's are replaced
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stack {
    Embedded,
    Native,
}

fn main() -> ExitCode {
    if let Some(code) = child::pipeline_if_asked() {
        return code;
    }
    match demo(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// How many orders a replay takes at most; no limit where neither a number nor a duration is asked for.
fn most_orders(orders: Option<usize>, rate: f64, duration: Option<Duration>) -> Result<Option<usize>> {
    let asked = duration.map(|duration| Plan::new("", rate, duration).orders_asked()).transpose()?;
    Ok(orders.into_iter().chain(asked).min())
}

/// Runs and reports; true if the run is valid.
fn demo(cli: &Cli) -> Result<bool> {
    const DEFAULT: Duration = Duration::from_secs(10);
    let (data, duration) = match (&cli.data, cli.orders, cli.duration) {
        (Some(name), orders, duration) => {
            // What is known of a data set is known of as many orders as are fetched, so that those are sent and no more.
            let data = Data::replayed(name, most_orders(orders, cli.rate, duration)?)?;
            let whole = Duration::try_from_secs_f64(data.payload.len() as f64 / cli.rate)?;
            (data, duration.unwrap_or(whole))
        }
        (None, orders, duration) => {
            let orders_last = |orders| Duration::try_from_secs_f64(orders as f64 / cli.rate);
            let duration = match (duration, orders) {
                (Some(duration), _) => duration,
                (None, Some(orders)) => orders_last(orders)?,
                (None, None) => DEFAULT,
            };
            let asked = Plan::new("", cli.rate, duration).orders_asked()?;
            (Data::generated(orders.unwrap_or(asked).min(asked), cli.seed, cli.live)?, duration)
        }
    };
    std::fs::create_dir_all(&cli.out).with_context(|| format!("failed to make {}", cli.out.display()))?;
    let plan = Run {
        way: match cli.stack {
            Stack::Embedded => Way::Embedded,
            Stack::Native => Way::Native,
        },
        rate: cli.rate,
        duration,
        batch: cli.batch,
        connections: cli.connections,
        seed: cli.seed,
        settings: cli.settings.clone(),
        folder: cli.out.clone(),
        warm_up: WarmUp::Fixed(0),
        limits: Limits::default(),
        probes: None,
        doctor: doctor::examine(&cli.out),
        // Whoever runs it may want to look into them.
        keep_data: true,
    };
    let report = run(&plan, &data)?.report;
    let (json, page) = (cli.out.join("report.json"), cli.out.join("report.html"));
    std::fs::write(&json, report.to_json()?)
        .with_context(|| format!("failed to write {}", json.display()))?;
    std::fs::write(&page, html::render(&report))
        .with_context(|| format!("failed to write {}", page.display()))?;
    println!("{}", text::render(&report));
    println!("the report is in {} and {}", page.display(), json.display());
    Ok(report.valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_takes_no_more_orders_than_its_duration_has_room_for() {
        let two_seconds = Some(Duration::from_secs(2));
        assert_eq!(most_orders(Some(5_000), 1_000.0, two_seconds).unwrap(), Some(2_000));
        assert_eq!(most_orders(Some(500), 1_000.0, two_seconds).unwrap(), Some(500));
        assert_eq!(most_orders(None, 1_000.0, two_seconds).unwrap(), Some(2_000));
        assert_eq!(most_orders(Some(5_000), 1_000.0, None).unwrap(), Some(5_000));
        assert_eq!(most_orders(None, 1_000.0, None).unwrap(), None);
    }
}
