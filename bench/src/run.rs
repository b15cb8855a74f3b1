//! A measured run: the pipeline under a load, from the first order to a report that proves what it says. The demo,
//! `bench latency` and `bench capacity` all run this.

mod accounts;
mod figures;
mod follow;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use loadgen::gauges::{Phase, Progress};
use loadgen::live::Live;
use loadgen::plan::{Limits, Plan};
use loadgen::report::write_outcomes;
use loadgen::run::RunResult;
use pipeline::config::{Config, Layers};
use pipeline::time::SECOND;
use pipeline::wire;

use crate::data::Data;
use crate::doctor::Finding;
use crate::lag::{Lag, Waiting};
use crate::logs::Logs;
use crate::machine;
use crate::probe::agree::{Compared, Seen};
use crate::probe::{self, Probes, Started};
use crate::report::{Check, Report, SCHEMA, Second};
use crate::saturation::Load;
use crate::warm_up::{Found, WarmUp};
use crate::way::{self, Running, Way};
use figures::{compared, latencies, logs, reasons, resources, second, spectra, total};
use follow::{Followed, Shared, follow, pids};

/// How long the stores may stand still on their way to hold what the log holds, after the load has ended.
const NO_PROGRESS: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug)]
pub struct Run {
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
    /// The folder for the data, under which an earlier run's is deleted, and for the outcomes.
    pub folder: PathBuf,
    /// How much of the beginning is left out of the figures.
    pub warm_up: WarmUp,
    /// What must hold of the generator for the run to be valid.
    pub limits: Limits,
    /// The orders that are looked for in the stores.
    pub probes: Option<Probes>,
    /// What would spoil a measurement on this machine, for the report.
    pub doctor: Vec<Finding>,
    /// Whether topics, keyspace and database stay on the servers when the report is there, for somebody to look into.
    pub keep_data: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// The report, judged.
    pub report: Report,
    /// The latencies by second, without the warm-up.
    pub logs: Logs,
    /// When the schedule started, in nanoseconds of Unix time.
    pub started_at: i64,
    /// What was left out.
    pub warm_up: Found,
    /// How many orders waited for the stores, over the whole schedule.
    pub waiting: Vec<Waiting>,
    /// The trend of that, without the warm-up.
    pub lag: Lag,
    /// What was used while orders were sent, without the warm-up.
    pub load: Load,
    /// Hops by probe and by record, where they were probed.
    pub probed: BTreeMap<String, Compared>,
    /// Whether the generator could not offer the load, which says nothing about the pipeline.
    pub late: bool,
}

/// Runs it.
///
/// # Errors
/// Where something could not be run at all; what was run and went wrong is in the report.
pub fn run(run: &Run, data: &Data) -> Result<Ran> {
    let data_dir = run.folder.join("data");
    if data_dir.exists() {
        std::fs::remove_dir_all(&data_dir).context("failed to delete the data of an earlier run")?;
    }
    std::fs::create_dir_all(&data_dir).with_context(|| format!("failed to create {}", data_dir.display()))?;
    // From here on an interrupt ends the load, also one that comes before it begins.
    let live = Live::start(true)?;
    let name = format!("run_{}", pipeline::time::now() / 1_000_000);
    let mut settings = run.way.place(&data_dir, &name)?;
    settings.extend(run.settings.iter().cloned());
    let (config, shown) = configuration(run.way, &settings)?;
    let running = run.way.start(&settings)?;
    let mut plan = Plan::new(running.url()?, run.rate, run.duration);
    (plan.batch, plan.connections, plan.limits) = (run.batch, run.connections, run.limits);
    (plan.on_a_second, plan.fine) = (true, true);

    let Measured { result, followed, seen } = measure(run, &config, &plan, data, &running, live)?;
    running.stop()?;
    let outcomes = run.folder.join("outcomes.zst");
    write_outcomes(&outcomes, &data.payload, &result).context("failed to write the outcome file")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ledger = runtime.block_on(wire::ledger(&config, Some(&outcomes)))?;
    let sales = runtime.block_on(wire::sales(&config))?;
    if !run.keep_data {
        runtime.block_on(run.way.drop_data(&config, &name));
    }

    let started_at = i64::try_from(result.started_at).unwrap_or(i64::MAX);
    let all = logs(&result, &followed.taken, started_at);
    let series: Vec<Second> = result.series.iter().zip(0..).map(|(row, at)| second(row, at)).collect();
    let p50: Vec<Option<f64>> = series.iter().map(|second| second.response_p50_ms).collect();
    let warm_up = run.warm_up.find(&p50);
    let logs = all.after(warm_up.seconds);
    let measured_from = started_at + i64::try_from(warm_up.seconds).unwrap_or(0) * SECOND;
    let length = result.broken_off_after.unwrap_or(result.schedule.length());
    let sent_until = started_at.saturating_add_unsigned(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
    let orders = series.iter().filter(|at| at.second >= warm_up.seconds).map(|at| at.accepted).sum();
    let used = followed.used_since(measured_from)?;
    let own = run.way.processes();

    let late = !result.reasons.is_empty();
    let accepted = accounts::accepted_sums(data, &result, config.rules.currency);
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        started_at: pipeline::time::format(started_at),
        way: run.way.name().to_owned(),
        duration_seconds: length.as_secs_f64(),
        warm_up_seconds: warm_up.seconds,
        valid: false,
        reasons: reasons(&result, &followed.taken, warm_up),
        offered_per_second: result.offered_per_second,
        achieved_per_second: result.achieved_per_second,
        latency_ms: latencies(&logs),
        ledger: accounts::accounts(&result, &ledger, accepted),
        machine: machine::read(),
        doctor: run.doctor.clone(),
        commit: machine::commit(Path::new(".")),
        services: run.way.services(),
        config: shown,
        seed: run.seed,
        data: crate::report::Data {
            kind: data.kind.clone(),
            fingerprint: loadgen::report::PayloadReport::new(&data.payload, None).fingerprint,
        },
        spectra: spectra(&logs),
        series,
        currencies: sales
            .keys()
            .map(|key| (key.currency.code().to_owned(), key.currency.digits().into()))
            .collect(),
        sales: sales.iter().map(|(key, sums)| accounts::sale(key, sums)).collect(),
        resources: total(used.iter().filter(|(name, _)| own.contains(&name.as_str())).map(|(_, used)| used))
            .map(|used| resources(&used, orders)),
        processes: used.iter().map(|(name, used)| (name.clone(), resources(used, orders))).collect(),
        rejections: result.rejections.clone(),
        check: data.expected.map(|expected| Check { expected, found: accounts::found(&ledger) }),
    };
    report.ledger.settle();
    report.judge();
    let steady: Vec<Waiting> =
        followed.waiting.iter().filter(|at| at.second >= warm_up.seconds as f64).copied().collect();
    Ok(Ran {
        lag: Lag::of(&steady, run.rate),
        load: followed.load(measured_from, sent_until),
        probed: run.probes.map_or_else(BTreeMap::new, |probes| {
            compared(&seen, &followed.taken, measured_from, probes.step)
        }),
        waiting: followed.waiting,
        report,
        logs,
        started_at,
        warm_up,
        late,
    })
}

/// What the threads of a run have found.
struct Measured {
    result: RunResult,
    followed: Followed,
    seen: Vec<Seen>,
}

/// Sends the load while others look on, and waits until all is stored.
fn measure(
    run: &Run,
    config: &Config,
    plan: &Plan,
    data: &Data,
    running: &Running,
    live: Live,
) -> Result<Measured> {
    // The first taking begins the keeping of latencies by second.
    running.take_hops()?;
    let servers = if run.way == Way::Native { way::servers()? } else { Vec::new() };
    let pids = pids(running, servers);
    let shared = Shared::default();
    let schedule = plan.schedule(data.payload.len())?;
    let mut live = live.observer();
    thread::scope(|scope| {
        let follower = scope.spawn(|| follow(running, &pids, &shared));
        let prober = run.probes.map(|probes| {
            scope.spawn({
                let shared = &shared;
                move || match started(shared) {
                    None => Ok(Vec::new()),
                    Some(at) => {
                        let started = Started { at, schedule };
                        probe::run(probes, config, &data.payload, &started, &shared.ended)
                    }
                }
            })
        });
        let observe = |progress: &Progress| -> ControlFlow<()> {
            let started_at = i64::try_from(progress.started_at).unwrap_or(i64::MAX);
            shared.started_at.get_or_init(|| started_at);
            shared.accepted.store(progress.counts.accepted, Ordering::Relaxed);
            shared.sent.store(progress.phase != Phase::Schedule, Ordering::Relaxed);
            live(progress)
        };
        let sent = loadgen::run::run(plan, &data.payload, observe).map_err(anyhow::Error::from);
        shared.sent.store(true, Ordering::Relaxed);
        let stored = sent.and_then(|result| catch_up(running, result.counts.accepted).map(|()| result));
        shared.ended.store(true, Ordering::Relaxed);
        let ended = |what: &str| anyhow!("the thread that {what} ended early");
        let followed = follower.join().map_err(|_| ended("looks on"))?;
        let seen = match prober {
            None => Ok(Vec::new()),
            Some(prober) => prober.join().map_err(|_| ended("probes"))?,
        };
        Ok(Measured { result: stored?, followed: followed?, seen: seen.context("failed to probe")? })
    })
}

/// When the schedule started, as soon as that is known; nothing if it never did.
fn started(shared: &Shared) -> Option<i64> {
    while !shared.ended.load(Ordering::Relaxed) {
        if let Some(at) = shared.started_at.get() {
            return Some(*at);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
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

/// Waits until the stores hold what the log has acknowledged, for as long as they come nearer to it.
fn catch_up(running: &Running, accepted: u64) -> Result<()> {
    let (mut most, mut since) = (0.0, Instant::now());
    loop {
        let stored = running.ended_orders()?;
        if stored >= accepted as f64 {
            return Ok(());
        }
        if stored > most {
            (most, since) = (stored, Instant::now());
        }
        if since.elapsed() > NO_PROGRESS {
            bail!("the stores hold {stored} of {accepted} orders, and no more for {NO_PROGRESS:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
