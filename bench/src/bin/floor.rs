//! `floor`: what the product costs over the least that its pieces cost on this machine. The pieces are in
//! [`bench::floors`]; here are arguments and output.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use bench::data::Data;
use bench::floors::drain::{Drained, drain};
use bench::floors::embedded::Orders;
use bench::floors::kafka::{Log, Producer};
use bench::floors::receive::{Load, cpu_us_per_request, ours, sink};
use bench::floors::{cassandra, clickhouse, compare, in_folder};
use bench::pairs::{Pair, Ratios};
use clap::{Parser, Subcommand};
use loadgen::plan::Plan;
use pipeline::config::{Config, Layers};

/// The least that a piece of the way costs on this machine, and what the product costs over it, as interleaved pairs.
#[derive(Parser)]
#[command(name = "floor", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// CPU time a request: receive and validate to a void log, over a bare hyper server
    Receive {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Requests a second
        #[arg(long, default_value_t = 20_000.0)]
        rate: f64,
        /// How long each measurement takes
        #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
        duration: Duration,
        /// Connections
        #[arg(long, default_value_t = 32)]
        connections: usize,
    },
    /// Orders a second: the embedded log, processor and stores, over a bare SQLite loop that writes the same rows
    Embedded {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Orders of each measurement
        #[arg(long, default_value_t = 300_000)]
        orders: usize,
        /// Where to put the files: on the disk that is to be measured
        #[arg(long, default_value = "target/floor")]
        folder: PathBuf,
    },
    /// CPU time a record: publish to Kafka, over librdkafka producing the same bytes; PIPELINE_KAFKA_BROKERS names a broker
    Publish {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Records of each measurement
        #[arg(long, default_value_t = 300_000)]
        orders: usize,
        /// Records of a request
        #[arg(long, default_value_t = 1)]
        batch: usize,
        /// Compare rdkafka's FutureProducer instead of the product
        #[arg(long)]
        future: bool,
        /// Measure one of them once, for a tool such as valgrind that looks on
        #[arg(long, value_enum)]
        once: Option<Producer>,
    },
    /// CPU time a record: consume, parse, enrich and roll up without stores, over librdkafka draining the same topic
    Consume {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Records of each measurement
        #[arg(long, default_value_t = 600_000)]
        orders: usize,
    },
    /// Orders a second that a processor drains from Kafka into both stores, everything on this machine, and who takes
    /// which share of the processor time
    Drain {
        /// Orders to preload
        #[arg(long, default_value_t = 400_000)]
        orders: usize,
        /// Replay orders instead of generating them, as `demo --data` does; their created_at is moved to now
        #[arg(long)]
        data: Option<String>,
        /// A setting of the pipeline, such as process.block_records=20000. May be repeated
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Orders a second: the orders store, over a bare loop of the driver's batches on the server that
    /// PIPELINE_CASSANDRA_NODES names
    Cassandra {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Orders of each measurement
        #[arg(long, default_value_t = 200_000)]
        orders: usize,
        /// Rows of one batch of the bare loop; 1 for single inserts
        #[arg(long, default_value_t = 256)]
        batch: usize,
        /// Compare the processor time an order, of this process, instead
        #[arg(long)]
        cpu: bool,
        /// A setting of the product, such as cassandra.batch_rows=32. May be repeated
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
        set: Vec<(String, String)>,
    },
    /// Milliseconds a block: the rollups with their looks, over a bare insert of the same rows, on the server that
    /// PIPELINE_CLICKHOUSE_URL names
    Clickhouse {
        /// Pairs to take, at least 7
        #[arg(long, default_value_t = 7)]
        pairs: usize,
        /// Blocks of each measurement
        #[arg(long, default_value_t = 60)]
        blocks: usize,
        /// Orders of a block
        #[arg(long, default_value_t = 1_000)]
        orders: usize,
    },
    /// A bare HTTP server: collects the body, answers 202 (400 if there is none), on one thread
    Sink {
        /// Where to listen; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:18080")]
        listen: SocketAddr,
    },
    /// Receive and validate, on one thread, to a log that keeps nothing
    Void {
        /// Where to listen; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:18081")]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    if let Some(code) = bench::child::pipeline_if_asked() {
        return code;
    }
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let announce = |address: SocketAddr| println!("{address}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Sink { listen } => runtime.block_on(sink(listen, announce)),
        Command::Void { listen } => runtime.block_on(ours(listen, announce)),
        Command::Receive { pairs, rate, duration, connections } => {
            let orders = Plan::new("", rate, duration).orders_asked()?;
            let payload = Data::generated(orders, 1, true)?.payload;
            let load = Load { rate, duration, connections, payload };
            println!("pair   bare hyper   receive + validate   ratio   (CPU us a request at {rate}/s)");
            let ratios = compare(
                pairs,
                || cpu_us_per_request("sink", &load),
                || cpu_us_per_request("void", &load),
                show([12, 20], 2),
            )?;
            conclude(&ratios);
            Ok(())
        }
        Command::Publish { pairs, orders, batch, future, once } => {
            let log = Log::new(&Data::generated(orders, 1, true)?.payload)?;
            if let Some(once) = once {
                let cost = log.produce(once, batch)?;
                println!("{cost:.3} us a record");
                return log.delete();
            }
            println!("pair   librdkafka   publish   ratio   (CPU us a record, {batch} a request)");
            let ours = if future { Producer::Future } else { Producer::Ours };
            let bare = || log.produce(Producer::Bare, batch);
            let ratios = compare(pairs, bare, || log.produce(ours, batch), show([12, 9], 3))?;
            conclude(&ratios);
            log.delete()
        }
        Command::Consume { pairs, orders } => {
            let log = Log::new(&Data::generated(orders, 1, true)?.payload)?;
            log.produce(Producer::Bare, 1)?;
            println!("pair   librdkafka   processor   ratio   (CPU us a record)");
            let ratios = compare(pairs, || log.drain_bare(), || log.drain_ours(), show([12, 11], 3))?;
            conclude(&ratios);
            log.delete()
        }
        Command::Drain { orders, data, settings } => {
            let data = match data {
                Some(name) => Data::replayed(&name, Some(orders))?,
                None => Data::generated(orders, 1, true)?,
            };
            let drained = drain(&data.payload, &settings)?;
            let Drained { records, seconds, cpu_seconds, memory_peak_bytes } = drained;
            let rate = records as f64 / seconds;
            println!("drained {records} orders in {seconds:.2} s: {rate:.0} orders a second");
            for (name, used) in cpu_seconds {
                let each = used * 1e6 / records as f64;
                println!(
                    "{name:<11} {used:>7.2} s CPU  {each:>6.2} us an order  {:.2} cores",
                    used / seconds
                );
            }
            println!("process: memory at most {:.1} MiB", memory_peak_bytes as f64 / f64::from(1 << 20));
            Ok(())
        }
        Command::Embedded { pairs, orders, folder } => {
            let orders = Orders::of(&Data::generated(orders, 1, true)?.payload)?;
            println!("pair   bare SQLite   embedded   ratio   (orders a second)");
            let ratios = compare(
                pairs,
                || in_folder(&folder, |folder| orders.bare(folder)),
                || in_folder(&folder, |folder| orders.ours(folder)),
                show([13, 10], 0),
            )?;
            conclude(&ratios);
            Ok(())
        }
        Command::Cassandra { pairs, orders, batch, cpu, set } => {
            let blocks = Orders::of(&Data::generated(orders, 1, true)?.payload)?.blocks()?;
            let floor = cassandra::Floor::new(own_config(set)?, blocks)?;
            // A node that has just begun is slow; so is a loop that has.
            floor.bare(batch)?;
            floor.ours()?;
            let of = |cost: cassandra::Cost| if cpu { cost.cpu_us } else { cost.rate };
            let unit = if cpu { "CPU us an order" } else { "orders a second" };
            println!("pair   bare, {batch} a batch   orders store   ratio   ({unit})");
            let ratios = compare(
                pairs,
                || floor.bare(batch).map(of),
                || floor.ours().map(of),
                show([19, 14], if cpu { 2 } else { 0 }),
            );
            floor.drop_keyspace()?;
            conclude(&ratios?);
            Ok(())
        }
        Command::Clickhouse { pairs, blocks, orders } => {
            let set = vec![("process.block_records".to_owned(), orders.to_string())];
            let records = Orders::of(&Data::generated(orders * blocks, 1, true)?.payload)?;
            let config = own_config(set)?;
            let made = records.with_block_records(orders).blocks()?;
            let floor = RefCell::new(clickhouse::Floor::new(config, made)?);
            floor.borrow().bare()?;
            println!("pair   bare insert   rollups   ratio   (ms a block of {orders} orders)");
            let (bare, ours) = (|| floor.borrow().bare(), || floor.borrow_mut().ours());
            let ratios = compare(pairs, bare, ours, show([14, 9], 2));
            floor.into_inner().drop_database()?;
            conclude(&ratios?);
            Ok(())
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is wanted")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The configuration of the environment, with a keyspace and a database of its own.
fn own_config(mut set: Vec<(String, String)>) -> Result<Config> {
    let name = format!("floor_{}", std::process::id());
    set.extend(["cassandra.keyspace", "clickhouse.database"].map(|key| (key.to_owned(), name.clone())));
    Ok(Config::read(&Layers::load(None, None, std::env::vars(), &set)?)?)
}

/// Prints each pair as it is taken, in columns of these widths.
fn show(widths: [usize; 2], digits: usize) -> impl FnMut(usize, Pair) {
    let [left, right] = widths;
    move |number, Pair { base, changed }| {
        let ratio = changed / base;
        println!("{number:>4} {base:>left$.digits$} {changed:>right$.digits$} {ratio:>7.3}");
    }
}

fn conclude(ratios: &Ratios) {
    println!("ratio: median {:.3}, {:.3} to {:.3}", ratios.median, ratios.min, ratios.max);
}
