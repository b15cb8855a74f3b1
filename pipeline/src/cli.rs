//! The command line of `pipeline`, as a library, so that the demo can be the same program: it reads the configuration, starts what is asked for, and turns signals into a clean stop.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what people read")]

use crate::config::{Config, Layers};
use crate::store::Books;
use crate::store::sqlite::SqliteBooks;
use crate::{time, wire};
use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

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
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// The folder of the embedded mode's files; short for --set embedded.data_dir=DIR.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run ingest, log, processor and stores in this process, on two SQLite files.
    Embedded,
    /// Count the log again and compare it with the blocks, the orders and the rollups. Exits 1 on any difference.
    Ledger {
        /// An outcome file of a load run, whose ids are compared with those in the log.
        #[arg(long, value_name = "FILE")]
        outcomes: Option<PathBuf>,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Print an order as it is stored. Exits 1 if it is not.
    Order {
        /// The order's id.
        order_id: String,
    },
    /// Print the sales by currency, source and state.
    Sales,
    /// Print the configuration in force and where each value comes from.
    Config,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is wanted")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs a command line, the program's name first, and returns its exit code: 0, 1 where the answer is no, 2 where there
/// is none.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(Cli::parse_from(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pipeline: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let mut flags = cli.options.set;
    flags.extend(cli.options.data_dir.map(|dir| ("embedded.data_dir".to_owned(), dir)));
    let layers = Layers::load(Some("embedded"), cli.options.config.as_deref(), std::env::vars(), &flags)?;
    let read = Config::read(&layers);
    if matches!(cli.command, Command::Config) {
        for (key, value, source) in layers.lines() {
            println!("{key} = {value}  # {source}");
        }
    }
    let config = read?;
    // The main thread accepts connections and serves the management port; the work is done by threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match cli.command {
        Command::Config => Ok(ExitCode::SUCCESS),
        Command::Embedded => runtime.block_on(embedded(&config)),
        Command::Ledger { outcomes, json } => {
            let ledger = runtime.block_on(wire::embedded_ledger(&config, outcomes.as_deref()))?;
            if json {
                println!("{:#}", ledger.to_json());
            } else {
                print!("{ledger}");
            }
            Ok(if ledger.balanced() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Order { order_id } => order(&config, &order_id),
        Command::Sales => runtime.block_on(sales(&config)),
    }
}

async fn embedded(config: &Config) -> Result<ExitCode> {
    start_tracing(config)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let embedded = wire::start_embedded(config).await?;
    let manage = embedded.manage.map_or_else(String::new, |manage| {
        format!("metrics and health are at http://{manage}/metrics and /readyz\n")
    });
    let greeting = format!(
        "orders are taken at http://{}/v1/orders\n{manage}the data is in {}; Ctrl-C stops\n",
        embedded.address,
        config.embedded.data_dir.display()
    );
    // Whoever started it may have closed its standard output; that is no reason to stop.
    let _ = std::io::stdout().write_all(greeting.as_bytes());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    tokio::select! {
        stopped = embedded.stop() => stopped?,
        _ = interrupt.recv() => return Err(anyhow!("stopped a second time, without draining")),
    }
    Ok(ExitCode::SUCCESS)
}

fn order(config: &Config, order_id: &str) -> Result<ExitCode> {
    let books = SqliteBooks::new(&wire::stores_file(&config.embedded.data_dir));
    let Some(order) = books.order(order_id)? else {
        eprintln!("there is no order {order_id} in the orders store");
        return Ok(ExitCode::FAILURE);
    };
    for (name, value) in order {
        let instant = matches!(name.as_str(), "created_at" | "received_at");
        let shown = value.parse().ok().filter(|_| instant).map_or(value, time::format);
        println!("{name:<12} {shown}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn sales(config: &Config) -> Result<ExitCode> {
    let books = SqliteBooks::new(&wire::stores_file(&config.embedded.data_dir));
    println!(
        "{:<8} {:<16} {:<16} {:>10} {:>12} {:>20}",
        "currency", "source", "state", "orders", "quantity", "total"
    );
    for (key, sums) in books.sales().await? {
        println!(
            "{:<8} {:<16} {:<16} {:>10} {:>12} {:>20}",
            key.currency.code(),
            key.source,
            key.state,
            sums.orders,
            sums.quantity,
            key.currency.format(sums.total_minor)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn start_tracing(config: &Config) -> Result<()> {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_directives)
        .map_err(|error| anyhow!("observe.log: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if config.log_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|error| anyhow!(error))
}
