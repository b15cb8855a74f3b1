//! The demo: the pipeline under a load, from the first order to a report that proves what it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use loadgen::plan::Plan;
use loadgen::run::RunResult;
use loadgen::{live::Live, report::write_outcomes};
use pipeline::config::{Config, Layers};
use pipeline::ledger::Ledger;
use pipeline::outcomes::Outcome;
use pipeline::store::SalesKey;
use pipeline::wire;

use crate::data::Data;
use crate::doctor;
use crate::machine::{self, Usage};
use crate::report::{
    Across, Check, LatencyMs, Ledger as Accounts, Percentiles, Report, Resources, SCHEMA, Sale, Second,
    Spectrum, Sums, spectrum,
};
use crate::way::{Running, Way};

/// How long the stores may take to hold what the log holds, after the load has ended.
const CATCH_UP: Duration = Duration::from_secs(300);
/// The load generator counts nanoseconds, the pipeline's hops microseconds.
const GENERATOR_PER_MS: f64 = 1e6;
const HOPS_PER_MS: f64 = 1e3;

/// What to do.
#[derive(Debug)]
pub struct Demo {
    /// Where log and stores are.
    pub way: Way,
    /// Orders a second.
    pub rate: f64,
    /// How long to send.
    pub duration: Duration,
    /// Orders a request.
    pub batch: usize,
    /// Connections.
    pub connections: usize,
    /// The seed of generated orders.
    pub seed: u64,
    /// Settings of the pipeline, as `key=value`.
    pub settings: Vec<String>,
    /// The folder for the data and the reports. Data of an earlier demo in it is deleted.
    pub folder: PathBuf,
}

/// Runs the demo and returns its report, judged.
///
/// # Errors
/// Where something could not be run at all; what was run and went wrong is in the report.
pub fn run(demo: &Demo, data: &Data) -> Result<Report> {
    let data_dir = demo.folder.join("data");
    if data_dir.exists() {
        std::fs::remove_dir_all(&data_dir).context("failed to delete the data of an earlier demo")?;
    }
    std::fs::create_dir_all(&data_dir).with_context(|| format!("failed to create {}", data_dir.display()))?;
    let run = format!("demo_{}", pipeline::time::now() / 1_000_000);
    let mut settings = demo.way.place(&data_dir, &run)?;
    settings.extend(demo.settings.iter().cloned());
    let (config, shown) = configuration(demo.way, &settings)?;
    let doctor = doctor::examine(&data_dir);
    let running = demo.way.start(&settings)?;
    let started_at = pipeline::time::format(pipeline::time::now());
    let mut plan = Plan::new(running.url()?, demo.rate, demo.duration);
    (plan.batch, plan.connections) = (demo.batch, demo.connections);
    let result = loadgen::run::run(&plan, &data.payload, Live::start(true)?.observer())?;

    catch_up(&running, result.counts.accepted)?;
    let (hops, used) = (running.hops()?, running.usage());
    running.stop()?;
    let outcomes = demo.folder.join("outcomes.zst");
    write_outcomes(&outcomes, &data.payload, &result).context("failed to write the outcome file")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ledger = runtime.block_on(wire::ledger(&config, Some(&outcomes)))?;
    let sales = runtime.block_on(wire::sales(&config))?;

    let accepted = accepted_sums(data, &result)?;
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        started_at,
        way: demo.way.name().to_owned(),
        duration_seconds: demo.duration.as_secs_f64(),
        valid: false,
        reasons: result.reasons.clone(),
        offered_per_second: result.offered_per_second,
        achieved_per_second: result.achieved_per_second,
        latency_ms: latencies(&result, &hops),
        ledger: accounts(&result, &ledger, accepted),
        machine: machine::read(),
        doctor,
        commit: machine::commit(Path::new(".")),
        services: demo.way.services(),
        config: shown,
        seed: demo.seed,
        data: crate::report::Data {
            kind: data.kind.clone(),
            fingerprint: loadgen::report::PayloadReport::new(&data.payload, None).fingerprint,
        },
        spectra: spectra(&result, &hops),
        series: result.series.iter().zip(0..).map(|(second, at)| seconds(second, at)).collect(),
        currencies: sales
            .keys()
            .map(|key| (key.currency.code().to_owned(), key.currency.digits().into()))
            .collect(),
        sales: sales.iter().map(|(key, sums)| sale(key, sums)).collect(),
        resources: total(&used).map(|usage| resources(usage, result.counts.accepted)),
        processes: used
            .iter()
            .map(|(name, usage)| ((*name).to_owned(), resources(*usage, result.counts.accepted)))
            .collect(),
        rejections: result.rejections.clone(),
        check: data.expected.map(|expected| Check { expected, found: found(&ledger) }),
    };
    report.ledger.settle();
    report.judge();
    Ok(report)
}

/// The configuration that the pipeline will come to, typed and as text.
fn configuration(way: Way, settings: &[String]) -> Result<(Config, BTreeMap<String, String>)> {
    let mut flags = Vec::new();
    for setting in settings {
        let (key, value) =
            setting.split_once('=').with_context(|| format!("{setting}: KEY=VALUE is wanted"))?;
        flags.push((key.to_owned(), value.to_owned()));
    }
    let profile = (way == Way::Embedded).then_some("embedded");
    let layers = Layers::load(profile, None, std::env::vars(), &flags)?;
    let shown = layers.lines().map(|(key, value, _)| (key.to_owned(), value)).collect();
    Ok((Config::read(&layers)?, shown))
}

/// Waits until the stores hold what the log has acknowledged.
fn catch_up(running: &Running, accepted: u64) -> Result<()> {
    let started = Instant::now();
    loop {
        let stored = running.metric("tillflow_store_orders_total")?
            + running.metric("tillflow_parse_duplicates_total")?
            + running.metric("tillflow_parse_dead_total")?;
        if stored >= accepted as f64 {
            return Ok(());
        }
        if started.elapsed() > CATCH_UP {
            bail!("the stores hold {stored} of {accepted} orders {CATCH_UP:?} after the load has ended");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn latencies(result: &RunResult, hops: &BTreeMap<String, hdrhistogram::Histogram<u64>>) -> LatencyMs {
    let sent = |histogram| Percentiles::of(histogram, GENERATOR_PER_MS);
    let hop =
        |name| hops.get(name).map(|histogram| Percentiles::of(histogram, HOPS_PER_MS)).unwrap_or_default();
    LatencyMs {
        delay: sent(&result.latencies.delay),
        service: sent(&result.latencies.service),
        response: sent(&result.latencies.response),
        log: hop("log"),
        orders: hop("orders"),
        rollup: hop("rollup"),
    }
}

fn spectra(
    result: &RunResult,
    hops: &BTreeMap<String, hdrhistogram::Histogram<u64>>,
) -> BTreeMap<String, Spectrum> {
    let latencies = &result.latencies;
    let sent =
        [("delay", &latencies.delay), ("service", &latencies.service), ("response", &latencies.response)];
    let sent = sent.map(|(name, histogram)| (name.to_owned(), spectrum(histogram, GENERATOR_PER_MS)));
    let hops = hops.iter().map(|(name, histogram)| (name.clone(), spectrum(histogram, HOPS_PER_MS)));
    sent.into_iter().chain(hops).collect()
}

fn seconds(second: &loadgen::measure::Second, at: u64) -> Second {
    let answered = !second.response_us.is_empty();
    let ms = |microseconds: u64| answered.then_some(microseconds as f64 / 1e3);
    Second {
        second: at,
        due: second.due,
        accepted: second.accepted,
        not_accepted: second.not_accepted,
        response_p50_ms: ms(second.response_us.value_at_quantile(0.5)),
        response_p99_ms: ms(second.response_us.value_at_quantile(0.99)),
        response_max_ms: ms(second.response_max_us),
    }
}

fn sale(key: &SalesKey, sums: &pipeline::rollup::Sums) -> Sale {
    Sale {
        source: key.source.clone(),
        state: key.state.clone(),
        currency: key.currency.code().to_owned(),
        orders: sums.orders,
        quantity: sums.quantity.into(),
        total_minor: sums.total_minor,
    }
}

/// What all processes have used together.
fn total(used: &[(&'static str, Usage)]) -> Option<Usage> {
    used.iter().map(|(_, usage)| *usage).reduce(|a, b| Usage {
        cpu_seconds: a.cpu_seconds + b.cpu_seconds,
        memory_peak_bytes: a.memory_peak_bytes + b.memory_peak_bytes,
        memory_last_bytes: a.memory_last_bytes + b.memory_last_bytes,
    })
}

fn resources(usage: Usage, accepted: u64) -> Resources {
    Resources {
        cpu_seconds: usage.cpu_seconds,
        cpu_us_per_order: usage.cpu_seconds * 1e6 / (accepted.max(1) as f64),
        memory_peak_bytes: usage.memory_peak_bytes,
        memory_last_bytes: usage.memory_last_bytes,
    }
}

fn found(ledger: &Ledger) -> Sums {
    Sums {
        count: ledger.rollup_orders,
        quantity: ledger.rollup_quantity.into(),
        total_minor: ledger.rollup_total_minor,
    }
}

/// Quantity and total of what was accepted, each id once, read from the bodies that were sent and by a parser that is
/// not the pipeline's.
fn accepted_sums(data: &Data, result: &RunResult) -> Result<(i128, i128)> {
    #[derive(serde::Deserialize)]
    struct Sent {
        quantity: i64,
        total: f64,
    }
    let mut ids = std::collections::HashSet::new();
    let (mut quantity, mut total) = (0, 0);
    for (index, outcome) in result.outcomes.iter().enumerate() {
        if *outcome != Some(Outcome::Accepted) {
            continue;
        }
        let (Some(body), Some(id)) = (data.payload.order(index), data.payload.order_id(index)) else {
            continue;
        };
        if !ids.insert(id) {
            continue;
        }
        let sent: Sent =
            serde_json::from_slice(&body).context("failed to read an order that was accepted")?;
        quantity += i128::from(sent.quantity);
        // Both sources of orders write cents, which a double holds exactly enough to round back to.
        total += (sent.total * 100.0).round() as i128;
    }
    Ok((quantity, total))
}

fn accounts(result: &RunResult, ledger: &Ledger, (quantity, total): (i128, i128)) -> Accounts {
    let books = ledger.total();
    let counts = &result.counts;
    let stored_quantity = i128::from(books.quantity);
    Accounts {
        sent: counts.sent,
        accepted: counts.accepted,
        rejected: counts.rejected,
        failed: counts.failed,
        unknown: counts.unknown,
        retried: result.retried,
        log: books.log,
        orders: books.stored_orders,
        duplicates: books.duplicates,
        dead: books.dead,
        rollup_orders: ledger.rollup_orders,
        quantity: Some(Across {
            accepted: quantity,
            orders: stored_quantity,
            rollup: ledger.rollup_quantity.into(),
        }),
        total_minor: Across {
            accepted: total,
            orders: books.stored_total_minor,
            rollup: ledger.rollup_total_minor,
        },
        balanced: false,
        differences: ledger.differences.iter().map(ToString::to_string).collect(),
    }
}
