//! `counts`: what an order costs each stage in instructions and allocations, compared with the baseline that is kept with
//! the source. How it is counted is in [`bench::counts`]; here are arguments and output.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use bench::counts::baseline::{ALLOCATIONS, Baseline, HEAD, INSTRUCTIONS, Line, With, compare};
use bench::counts::counted::Counting;
use bench::counts::{count, said};
use bench::stages::{Entry, MOCKED, Orders};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What an order costs each stage, in instructions and allocations: the same on a busy machine as on an idle one. Needs
/// valgrind, and a release build to say something
#[derive(Parser)]
#[command(name = "counts", max_term_width = 100)]
struct Cli {
    /// Compare with the baseline, and fail where a stage costs more or less than the tolerance allows
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the baseline anew
    #[arg(long)]
    write: bool,
    /// Only stages whose name begins so. May be repeated
    #[arg(long = "stage", value_name = "NAME", conflicts_with = "write")]
    stages: Vec<String>,
    /// Say which stages there are, and what each answers
    #[arg(long)]
    list: bool,
    /// Print the orders that all are counted on, a line each
    #[arg(long)]
    orders: bool,
    /// The baseline
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.json"), hide_default_value = true)]
    baseline: PathBuf,
    /// Be the process that is looked at
    #[arg(long, value_name = "NAME", hide = true)]
    once: Option<String>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("counts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if let Some(name) = &cli.once {
        let entry = MOCKED.iter().find(|entry| entry.name == name).context("there is no such stage")?;
        println!("{}", said(entry)?);
        return Ok(ExitCode::SUCCESS);
    }
    if cli.orders {
        for order in Orders::new()?.values() {
            println!("{}", String::from_utf8_lossy(&order));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = |entry: &&Entry| {
        cli.stages.is_empty() || cli.stages.iter().any(|begin| entry.name.starts_with(begin.as_str()))
    };
    let chosen: Vec<&Entry> = MOCKED.iter().filter(chosen).collect();
    ensure!(!chosen.is_empty(), "there is no such stage; --list says which there are");
    if cli.list {
        for entry in chosen {
            println!("{:<18} {}", entry.name, entry.question);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cfg!(debug_assertions) {
        bail!("a debug build's counts say nothing: cargo run --release -p bench --bin counts");
    }
    let now = count_all(&chosen)?;
    if cli.write {
        let text = serde_json::to_string_pretty(&now)? + "\n";
        std::fs::write(&cli.baseline, text)
            .with_context(|| format!("failed to write {}", cli.baseline.display()))?;
        println!("written to {}", cli.baseline.display());
    } else if cli.check {
        return check(cli, &now);
    }
    Ok(ExitCode::SUCCESS)
}

fn count_all(chosen: &[&Entry]) -> Result<Baseline> {
    let mut now = Baseline { with: with()?, ..Baseline::default() };
    println!("stage              instructions  allocations    bytes   an order of {}", bench::stages::ORDERS);
    for entry in chosen {
        let (counted, simd_json) = count(entry.name, &["--once", entry.name])?;
        now.with.simd_json = simd_json;
        let bench::counts::baseline::Count { instructions, allocations, bytes, digest } = &counted;
        println!(
            "{:<18} {instructions:>12.1} {allocations:>12.3} {bytes:>8.1}   digest {digest}",
            entry.name
        );
        now.stages.insert(entry.name.to_owned(), counted);
    }
    Ok(now)
}

/// What these counts are made with.
fn with() -> Result<With> {
    let first_line = |program: &str, argument: &str| -> Result<String> {
        let output = Command::new(program).arg(argument).output();
        let output = output.with_context(|| format!("failed to run {program}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    Ok(With {
        rustc: first_line("rustc", "--version")?,
        libc: first_line("getconf", "GNU_LIBC_VERSION")?,
        valgrind: first_line("valgrind", "--version")?,
        simd_json: String::new(),
    })
}

fn check(cli: &Cli, now: &Baseline) -> Result<ExitCode> {
    let text = std::fs::read_to_string(&cli.baseline)
        .with_context(|| format!("failed to read {}", cli.baseline.display()))?;
    let baseline: Baseline = serde_json::from_str(&text)?;
    if baseline.with != now.with {
        println!("the baseline was counted with {:?}, this with {:?}", baseline.with, now.with);
    }
    let lines = match compare(&baseline, now, cli.stages.is_empty()) {
        Ok(lines) => lines,
        Err(complaints) => bail!("{}", complaints.join("\n")),
    };
    let differing: Vec<&Line> = lines.iter().filter(|line| line.differs()).collect();
    if differing.is_empty() {
        println!("all within {INSTRUCTIONS} (instructions) and {ALLOCATIONS} (allocations) of the baseline");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{HEAD}");
    for line in differing {
        println!("{line}");
    }
    println!(
        "beyond {INSTRUCTIONS} (instructions) or {ALLOCATIONS} (allocations): make it as cheap as before, or, where \
         it is meant, `counts --write` and say why in the commit"
    );
    Ok(ExitCode::FAILURE)
}
