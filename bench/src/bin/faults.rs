//! `cargo faults`: faults injected under load, and the proof that nothing was lost or counted twice. Arguments, signals
//! and the exit code are here; what happens is in [`bench::faults`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::child;
use bench::faults::catalogue::{FAULTS, Server};
use bench::faults::check::Found;
use bench::faults::journal::Row;
use bench::faults::outage::{self, Outage};
use bench::faults::soak::{self, Soak};
use bench::faults::steady::Steady;
use bench::faults::suite::{self, Suite};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Break the pipeline and its servers under load, and prove that each order is stored exactly once.
///
/// Brings up a native stack of its own, and takes it down. Exit code 0: nothing lost, doubled or stored against what was
/// said. 1: something was, or an injection failed, for the reasons printed. 2: it could not be run.
#[derive(Parser)]
#[command(name = "faults", max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    suite: SuiteOptions,
    #[command(flatten)]
    stack: StackOptions,
    /// Print the faults that there are, and do nothing
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Minutes of load while a process of ours is killed every 30 s and a server every 3 minutes
    Soak {
        /// How long
        #[arg(long, default_value_t = 30.0)]
        minutes: f64,
        /// Orders a second
        #[arg(long, default_value_t = 4_000)]
        rate: u32,
    },
    /// A server is away for minutes under load
    Outage {
        /// Which one
        #[arg(long, value_enum, default_value_t = Away::Cassandra)]
        server: Away,
        /// For how long
        #[arg(long, default_value_t = 3.0)]
        minutes: f64,
        /// Orders a second
        #[arg(long, default_value_t = 4_000)]
        rate: u32,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Away {
    Kafka,
    Cassandra,
    Clickhouse,
}

#[derive(Args)]
struct SuiteOptions {
    /// What decides which faults are injected, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many injections: each fault comes once before any comes again
    #[arg(long, default_value_t = 200)]
    injections: u64,
    /// Only faults whose names have this in them
    #[arg(long)]
    only: Option<String>,
    /// Go on where a suite of the same seed and number of injections was interrupted
    #[arg(long)]
    resume: bool,
    /// Keep the logs of injections that passed too
    #[arg(long)]
    keep: bool,
    /// Orders a second
    #[arg(long, default_value_t = 600)]
    rate: u32,
    /// The folder for journal, report and the logs of what failed
    #[arg(long, global = true, default_value = "target/faults")]
    out: PathBuf,
}

#[derive(Args)]
struct StackOptions {
    /// The home of the stack; by default a folder in --out
    #[arg(long, global = true)]
    stack_home: Option<PathBuf>,
    /// What is added to each port of the stack
    #[arg(long, global = true, default_value_t = 12_000)]
    port_base: u16,
    /// The suite's stack is up already and may be broken; it is left up. Faults that fill disks or need three brokers are
    /// left out
    #[arg(long)]
    break_running: bool,
}

fn main() -> ExitCode {
    if let Some(code) = child::pipeline_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    if cli.list {
        for fault in FAULTS {
            println!("{:<14} {}", fault.step.name(), fault.name);
        }
        return ExitCode::SUCCESS;
    }
    match listen_for_signals().and_then(|()| run(cli)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<bool> {
    if cli.command.is_some() && cli.stack.break_running {
        bail!("--break-running is for the suite: soak and outage bring up a stack of their own");
    }
    let steady = |rate| Steady {
        folder: cli.suite.out.clone(),
        stack_home: cli.stack.stack_home.clone().unwrap_or_else(|| cli.suite.out.join("stack")),
        port_base: cli.stack.port_base,
        rate,
        seed: cli.suite.seed,
    };
    match cli.command {
        Some(Command::Soak { minutes, rate }) => {
            let soak = soak::run(&steady(rate), Duration::try_from_secs_f64(minutes * 60.0)?)?;
            return Ok(tell_soak(&soak));
        }
        Some(Command::Outage { server, minutes, rate }) => {
            let server = match server {
                Away::Kafka => Server::Kafka,
                Away::Cassandra => Server::Cassandra,
                Away::Clickhouse => Server::ClickHouse,
            };
            let length = Duration::try_from_secs_f64(minutes * 60.0)?;
            return Ok(tell_outage(&outage::run(&steady(rate), server, length)?));
        }
        None => {}
    }
    let SuiteOptions { seed, injections, only, resume, keep, rate, out } = cli.suite;
    let suite = Suite {
        seed,
        injections,
        only,
        resume,
        stack_home: cli.stack.stack_home.unwrap_or_else(|| out.join("stack")),
        folder: out,
        port_base: cli.stack.port_base,
        found: cli.stack.break_running,
        keep,
        rate,
    };
    let report = suite::run(&suite, tell)?;
    println!("\n{}", report.table());
    println!("the report is in {}", suite.folder.join("report.json").display());
    Ok(report.passed())
}

fn tell(row: &Row) {
    let verdict = if row.passed() { "passed" } else { "FAILED" };
    let recovery = row.recovery_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1} s"));
    println!(
        "{:>3}  {verdict}  {:<48} {:>6} acknowledged, {:>4} retried, recovery {recovery}, took {:.0} s",
        row.injection, row.fault, row.found.acknowledged, row.retried, row.seconds
    );
    for note in &row.notes {
        println!("     {note}");
    }
    if let Some(reason) = &row.reason {
        println!("     {reason}");
    }
    for difference in &row.found.differences {
        println!("     {difference}");
    }
}

fn tell_found(found: &Found, memory: &BTreeMap<String, u64>, reasons: &[String]) -> bool {
    println!(
        "{} acknowledged, {} stored, {} rolled up, {} lost, {} doubled, {} ghosts, {} duplicates",
        found.acknowledged,
        found.stored,
        found.rolled_up,
        found.lost,
        found.doubled,
        found.ghosts,
        found.duplicates
    );
    for (part, bytes) in memory {
        println!("{part}: {:.1} MiB of memory at most", *bytes as f64 / f64::from(1 << 20));
    }
    for reason in reasons {
        println!("FAILED: {reason}");
    }
    reasons.is_empty()
}

fn tell_soak(soak: &Soak) -> bool {
    println!(
        "{:.0} minutes at {} orders/s: {} processes and {} servers killed; answers {:?}",
        soak.minutes, soak.offered_per_second, soak.killed, soak.servers_killed, soak.statuses
    );
    tell_found(&soak.found, &soak.memory_most_bytes, &soak.reasons)
}

fn tell_outage(outage: &Outage) -> bool {
    println!("{:>8} {:>12} {:>14}", "second", "lag", "freshness, s");
    for gauges in outage.gauges.iter().step_by(10) {
        let freshness = gauges.freshness_seconds.map_or_else(|| "-".to_owned(), |age| format!("{age:.1}"));
        println!("{:>8.0} {:>12} {freshness:>14}", gauges.second, gauges.lag);
    }
    println!(
        "{} away for {:.1} minutes at {} orders/s: lag {} and freshness {:.0} s at most; ready {:.0} s after its return, \
         caught up after {:.0} s at {:.0} orders/s; answers {:?}",
        outage.server,
        outage.minutes,
        outage.offered_per_second,
        outage.lag_most,
        outage.freshness_most_seconds,
        outage.ready_after_seconds,
        outage.caught_up_after_seconds,
        outage.catch_up_per_second,
        outage.statuses
    );
    tell_found(&outage.found, &outage.memory_most_bytes, &outage.reasons)
}

/// The first interrupt or SIGTERM ends the suite after what is under way, so that nothing is left behind.
fn listen_for_signals() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                eprintln!("faults: ends after the injection that is under way");
                suite::interrupt();
            }
        });
    });
    Ok(())
}
