//! `cargo faults`: faults injected under load, and the proof that nothing was lost or counted twice. Arguments, signals
//! and the exit code are here; what happens is in [`bench::faults`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use bench::child;
use bench::faults::catalogue::FAULTS;
use bench::faults::journal::Row;
use bench::faults::suite::{self, Suite};
use clap::{Args, Parser};

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
    /// The stack is up already and may be broken; it is left up. Faults that fill disks or need three brokers are left out
    #[arg(long, global = true)]
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
    if let Some(reason) = &row.failed {
        println!("     {reason}");
    }
    for difference in &row.found.differences {
        println!("     {difference}");
    }
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
