//! The command line of `pipeline`, as a library, so that the demo can be the same program: it reads the configuration, starts what is asked for, and turns signals into a clean stop.
#![expect(clippy::print_stderr, reason = "this is what people read")]

mod dead;
mod ledger;
mod read;
mod rebuild;
mod recover;
mod serve;
mod token;

use crate::config::{Config, ConfigErrors, Layers, Mode};
use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sales orders over HTTP into a durable log, and from there into orders and sales per minute.
#[derive(Parser)]
#[command(name = "pipeline", version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Options {
    /// A configuration file (TOML) over the defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting over file and environment, such as receive.listen=127.0.0.1:9000. May be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The folder of the embedded mode's files; short for --set mode=embedded --set embedded.data_dir=DIR.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run ingest, log, processor and stores in this process, on two SQLite files.
    Embedded,
    /// Take orders over HTTP and make them durable in Kafka.
    Ingest,
    /// Read orders from Kafka and keep Cassandra and ClickHouse current. Several share the work.
    Process,
    /// Make or compare the topics, tables and views that ingest and process need.
    Schema {
        #[command(subcommand)]
        what: Schema,
    },
    /// Count the log again and compare it with the blocks, the orders and the rollups. Exits 1 on any difference.
    Ledger(ledger::Ledger),
    /// List, show and send again the records that were refused.
    Dead {
        #[command(subcommand)]
        what: dead::Dead,
    },
    /// Go on with a partition that stopped because its stores and its log do not fit. Processors must be stopped.
    Recover {
        #[command(subcommand)]
        what: recover::Recover,
    },
    /// Count a store again from the log into new tables beside the old ones, say what would change, and put the new ones in
    /// their place. Processors must be stopped.
    Rebuild(rebuild::Rebuild),
    /// Say where an order is: in the log, stored, refused; and print it as it is stored. Exits 1 if it is neither stored nor
    /// on its way.
    Order {
        /// The order's id.
        order_id: String,
        /// About when it was created (RFC 3339): the log is looked through an hour before and after. Without it the whole
        /// partition is, and the stores of servers hour by hour.
        #[arg(long, value_name = "TIME")]
        around: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the sales by currency, source and state.
    Sales,
    /// Print a new random token for a client, and the line of receive.tokens_file by which it is let in.
    Token {
        /// Whose it is.
        name: String,
    },
    /// Print the configuration in force and where each value comes from.
    Config,
}

#[derive(Subcommand, Clone, Copy)]
enum Schema {
    /// Make what is missing and bring what is older up to date. Doing it again changes nothing.
    Apply,
    /// Say how it differs from what this build needs. Exits 1 if it does.
    Check,
}

impl Command {
    /// The profile whose defaults the command takes, given the mode that is configured.
    fn profile(&self, mode: Mode) -> Option<&'static str> {
        let embedded = match self {
            Self::Embedded => true,
            Self::Ingest | Self::Process | Self::Schema { .. } | Self::Token { .. } => false,
            Self::Ledger(_)
            | Self::Dead { .. }
            | Self::Recover { .. }
            | Self::Rebuild(_)
            | Self::Order { .. }
            | Self::Sales
            | Self::Config => mode == Mode::Embedded,
        };
        embedded.then_some("embedded")
    }
}

/// A flag's key and value. An error does not show the text, which may hold a secret.
fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').ok_or_else(|| anyhow!("--set: KEY=VALUE is wanted"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What a command has to say on standard output, what is wrong after it on standard error, and its exit code.
struct Answer {
    text: Vec<u8>,
    wrong: String,
    code: ExitCode,
}

impl Answer {
    fn new(text: impl Into<Vec<u8>>, code: ExitCode) -> Self {
        Self { text: text.into(), wrong: String::new(), code }
    }

    /// The same, and what went wrong behind it.
    fn and_wrong(self, error: impl Display, code: ExitCode) -> Self {
        Self { wrong: format!("pipeline: {error:#}\n"), code, ..self }
    }

    /// The exit code, once all is said.
    fn say(&self) -> io::Result<ExitCode> {
        let mut out = io::stdout().lock();
        out.write_all(&self.text)?;
        out.flush()?;
        eprint!("{}", self.wrong);
        Ok(self.code)
    }
}

/// Of a command that says nothing.
impl From<ExitCode> for Answer {
    fn from(code: ExitCode) -> Self {
        Self::new("", code)
    }
}

/// The exit code of a program whose reader went away before it had all, as `head` does: what shells report of one that
/// SIGPIPE ended. It is no fault, so nothing is said; and it is not 0, because the reader cannot know what it missed.
const READER_LEFT: u8 = 128 + 13;

/// Runs a command line, the program's name first, and returns its exit code: 0, 1 where the answer is no, 2 where there
/// is none, 141 where nobody read it to its end.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let fail = |error: anyhow::Error| {
        eprintln!("pipeline: {error:#}");
        ExitCode::from(2)
    };
    match run(Cli::parse_from(arguments)) {
        Ok(answer) => answer.say().unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => ExitCode::from(READER_LEFT),
            _ => fail(anyhow::Error::new(error).context("failed to write to standard output")),
        }),
        Err(error) => fail(error),
    }
}

fn run(cli: Cli) -> Result<Answer> {
    if let Command::Token { name } = &cli.command {
        return token::token(name);
    }
    let mut flags = cli.options.set.iter().map(|text| key_value(text)).collect::<Result<Vec<_>>>()?;
    if let Some(dir) = cli.options.data_dir {
        let own = [("mode", "embedded".to_owned()), ("embedded.data_dir", dir)];
        flags.extend(own.map(|(key, value)| (key.to_owned(), value)));
    }
    let file = cli.options.config.as_deref();
    let layers = |profile| Layers::load(profile, file, std::env::vars(), &flags);
    let mode = layers(None)?.mode();
    let layers = layers(cli.command.profile(mode))?;
    let read = Config::read(&layers);
    if matches!(cli.command, Command::Config) {
        return config(&layers, read);
    }
    let config = read?;
    // The main thread accepts connections and serves the management port; the work is done by threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match cli.command {
        Command::Config | Command::Token { .. } => Ok(ExitCode::SUCCESS.into()),
        Command::Embedded => runtime.block_on(serve::embedded(&config)).map(Answer::from),
        Command::Ingest => runtime.block_on(serve::ingest(&config)).map(Answer::from),
        Command::Process => runtime.block_on(serve::process(&config)).map(Answer::from),
        Command::Schema { what } => runtime.block_on(read::schema(&config, what)),
        Command::Ledger(what) => runtime.block_on(ledger::run(&config, &what)),
        Command::Dead { what } => runtime.block_on(dead::run(&config, what)),
        Command::Recover { what } => runtime.block_on(recover::run(&config, what)),
        Command::Rebuild(what) => runtime.block_on(rebuild::run(&config, &what)),
        Command::Order { order_id, around, json } => {
            runtime.block_on(read::order(&config, &order_id, around.as_deref(), json))
        }
        Command::Sales => runtime.block_on(read::sales(&config)),
    }
}

/// Every setting with where it comes from, also where together they are not valid, which is then said after them.
fn config(layers: &Layers, read: Result<Config, ConfigErrors>) -> Result<Answer> {
    let mut text = String::new();
    for (key, value, source) in layers.lines() {
        writeln!(text, "{key} = {value}  # {source}")?;
    }
    let answer = Answer::new(text, ExitCode::SUCCESS);
    Ok(match read {
        Ok(_) => answer,
        Err(error) => answer.and_wrong(error, ExitCode::from(2)),
    })
}
