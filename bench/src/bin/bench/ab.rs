//! `bench ab`.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bench::ab::instructions::Counter;
use bench::ab::measure::Command;
use bench::ab::order::Order;
use bench::ab::settle::Plan;
use bench::ab::{self, By, text};
use bench::compare::judge::{Better, Verdict};
use clap::{Args, ValueEnum};

use crate::compare::part;

/// Compare two commands by interleaved pairs, on a machine that is not quiet.
///
/// Both are run in turn, and the ratio within each pair counts: a machine's speed wanders over minutes, but little between
/// neighbours. Looks are taken at 12 pairs and then at a third more each time; it stops when it is settled that B is
/// better or worse, or that there is no difference of more than --least, and says how many pairs that took. The interval is
/// Hodges and Lehmann's; each look spends its share of --level, so that stopping early costs nothing of it.
///
/// A command is a line for the shell. Its wall time, its processor time with that of all that it waits for, and its greatest
/// memory are measured; --by says which of them decides, or --figure takes a number that it prints:
///
///   bench ab './old --input x' './new --input x'
///   bench ab --figure /latency_ms/response/p99 'loadgen run … --report a.json >&2; cat a.json' …
///
/// Exit code 0: compared. 1: B is worse, with --fail-on worse. 2: a command failed, or did not give what decides.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Ab {
    /// The command that is compared to
    a: String,
    /// The command that is looked at
    b: String,
    /// What decides [default: cpu, or figure where --figure is given]
    #[arg(long, value_enum)]
    by: Option<Measure>,
    /// Where a figure is in the JSON that a command prints on standard output, as a JSON pointer
    #[arg(long, value_name = "POINTER")]
    figure: Option<String>,
    /// The figure is better when it is higher, as a throughput
    #[arg(long, requires = "figure")]
    higher_is_better: bool,
    /// The most pairs to take
    #[arg(long, default_value_t = 100)]
    pairs: usize,
    /// Pairs to run first, and to throw away
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    /// Who goes first in a pair
    #[arg(long, value_enum, default_value_t = Turn::Random)]
    order: Turn,
    /// What the random order is drawn by [default: the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How often two equal commands may be told apart
    #[arg(long, default_value_t = 0.01, value_parser = part)]
    level: f64,
    /// Differences up to this part are of no interest
    #[arg(long, default_value_t = 0.01, value_parser = part)]
    least: f64,
    /// Run the commands without a shell: words between spaces, no quotes
    #[arg(long)]
    no_shell: bool,
    /// Exit with 1 if B is worse
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<crate::compare::FailOn>,
    /// Print the outcome as JSON (tillflow.ab.v1), and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Processor time
    Cpu,
    /// Time from start to end
    Wall,
    /// Greatest memory
    Memory,
    /// Instructions, counted by `perf stat` or else by valgrind's callgrind; times are then those of the counting
    Instructions,
    /// The figure that --figure names
    Figure,
}

#[derive(Clone, Copy, ValueEnum)]
enum Turn {
    /// By a coin
    Random,
    /// A B, B A, A B, …
    Abba,
}

impl Ab {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let by = match (self.by, &self.figure) {
            (None, Some(_)) | (Some(Measure::Figure), _) => By::Figure,
            (None | Some(Measure::Cpu), _) => By::Cpu,
            (Some(Measure::Wall), _) => By::Wall,
            (Some(Measure::Memory), _) => By::Memory,
            (Some(Measure::Instructions), _) => By::Instructions,
        };
        if by == By::Figure && self.figure.is_none() {
            anyhow::bail!("--by figure wants --figure POINTER");
        }
        let counter = (by == By::Instructions).then(Counter::find).transpose()?;
        let [a, b] = [&self.a, &self.b].map(|line| {
            let command = Command::new(line, !self.no_shell);
            Command { figure: self.figure.clone(), counter, ..command }
        });
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let order = match self.order {
            Turn::Random => Order::Random(self.seed.unwrap_or_else(clock)),
            Turn::Abba => Order::Abba,
        };
        let plan = Plan::new(self.pairs, self.level, self.least)?;
        let better = if self.higher_is_better { Better::Higher } else { Better::Lower };
        if !self.json {
            println!("{}", text::heading(by));
        }
        let outcome =
            ab::run(&ab::Ab { a, b, by, better, warm_up: self.warm_up, order, plan }, |number, pair| {
                if !self.json {
                    println!("{}", text::pair(number, pair));
                }
            })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
        } else {
            print!("{}", text::render(&outcome));
        }
        let worse = outcome.verdict == Verdict::Worse && self.fail_on.is_some();
        Ok(if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
