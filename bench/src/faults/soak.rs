//! A soak: minutes of load at a part of capacity while processes of ours and servers are killed again and again. At the
//! end the books balance, and what lived through all of it has not grown.
//!
//! There are two ingests and two processors. The second of each is killed, in turn; the first of each is left alone, so
//! that growth would show.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::catalogue::Part;
use super::check::Found;
use super::clients::Load;
use super::processes;
use super::sample::{self, Sample};
use super::stack::Stack;
use super::steady::{self, Steady};
use super::suite::interrupted;
use crate::plots;

const KILL_EVERY: Duration = Duration::from_secs(30);
const KILL_SERVER_EVERY: Duration = Duration::from_secs(180);
/// What a process may take beside its window.
const MEMORY_MOST: u64 = 64 << 20;
/// What an order id in the window takes, as the configuration states it.
const WINDOW_ID: u64 = 26;
/// What the last quarter of the run may hold more than the second: memory, open files, threads.
const GROWTH_MOST: (u64, u64, u64) = (6 << 20, 16, 2);

/// What came of a soak.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// How long it was.
    pub minutes: f64,
    /// Orders a second that were offered.
    pub offered_per_second: u32,
    /// Processes of ours that were killed.
    pub killed: u64,
    /// Servers that were killed.
    pub servers_killed: u64,
    /// What was found at the end.
    pub found: Found,
    /// Answers by status.
    pub statuses: BTreeMap<String, u64>,
    /// The most memory that a process of a part had.
    pub memory_most_bytes: BTreeMap<String, u64>,
    /// What it might have had.
    pub memory_limit_bytes: BTreeMap<String, u64>,
    /// What is wrong; nothing if it passed.
    pub reasons: Vec<String>,
    /// Every process, every second.
    pub samples: Vec<Sample>,
}

/// Runs a soak and writes `soak.json` and its drawings.
///
/// # Errors
/// Where it could not be run, or was interrupted; what it found wrong is among its reasons.
pub fn run(steady: &Steady, length: Duration) -> Result<Soak> {
    let mark = steady.prepare()?;
    let mut stack = Stack::up(&steady.stack_home, steady.port_base, false)?;
    let mut place = steady.place("soak", &mark, &stack)?;
    for part in [Part::Ingest, Part::Ingest, Part::Process, Part::Process] {
        let at = place.add(part)?;
        place.start(at)?;
    }
    let load = Load::start(steady.offer(), place.fronts(), steady.seed);
    let started = Instant::now();
    let (mut samples, mut killed, mut servers_killed) = (Vec::new(), 0_u64, 0_u64);
    let servers = ["kafka", "cassandra", "clickhouse"];
    while started.elapsed() < length {
        if interrupted() {
            bail!("interrupted");
        }
        let elapsed = started.elapsed();
        samples.extend(sample::processes(&place, elapsed.as_secs_f64()));
        place.supervise()?;
        // The last minute is left alone, so that the end is not the beginning of a recovery.
        let calm = length.saturating_sub(elapsed) < KILL_EVERY;
        if !calm && elapsed >= KILL_EVERY * u32::try_from(killed + 1)? {
            let at = if killed % 2 == 0 { 3 } else { 1 };
            place.slot(at)?.kill()?;
            place.start(at)?;
            killed += 1;
        }
        if !calm && elapsed >= KILL_SERVER_EVERY * u32::try_from(servers_killed + 1)? {
            let at = usize::try_from(servers_killed)?.checked_rem(servers.len()).unwrap_or(0);
            stack.look()?;
            processes::kill(stack.pid(servers.get(at).context("there are three servers")?)?)?;
            servers_killed += 1;
        }
        std::thread::sleep(Duration::from_secs(1).saturating_sub(started.elapsed().saturating_sub(elapsed)));
    }
    stack.mend()?;
    let (found, counts) = steady::end(&mut place, load)?;
    let window = place.config.process.window as u64 * u64::from(place.config.log.partitions) * WINDOW_ID;
    let limits =
        BTreeMap::from([("ingest".to_owned(), MEMORY_MOST), ("process".to_owned(), MEMORY_MOST + window)]);
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for sample in &samples {
        let most = most.entry(sample.part.clone()).or_default();
        *most = sample.memory_bytes.max(*most);
    }
    let mut reasons = steady::wrong(&found);
    for (part, limit) in &limits {
        let most = most.get(part).copied().unwrap_or(0);
        if most > *limit {
            reasons.push(format!("{part} had {} MiB, over its {} MiB", most >> 20, limit >> 20));
        }
    }
    reasons.extend(growth(&samples, length));
    let soak = Soak {
        minutes: length.as_secs_f64() / 60.0,
        offered_per_second: steady.rate,
        killed,
        servers_killed,
        found,
        statuses: counts.statuses,
        memory_most_bytes: most,
        memory_limit_bytes: limits,
        reasons,
        samples,
    };
    steady.write("soak.json", &serde_json::to_vec(&soak)?)?;
    draw(steady, &soak)?;
    Ok(soak)
}

/// What grew from the second quarter to the last, in the processes that were never killed.
fn growth(samples: &[Sample], length: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    let quarter = length.as_secs_f64() / 4.0;
    for (place, part) in [(0, "ingest"), (2, "process")] {
        let median = |from: f64, of: fn(&Sample) -> u64| {
            let own = samples.iter().filter(|sample| sample.place == place);
            let within = own.filter(|sample| sample.second >= from && sample.second < from + quarter);
            let mut values: Vec<u64> = within.map(of).collect();
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or(0)
        };
        let all: [(&str, fn(&Sample) -> u64, u64); 3] = [
            ("bytes beside its window", |it| it.memory_bytes.saturating_sub(it.window_bytes), GROWTH_MOST.0),
            ("open files", |it| it.files, GROWTH_MOST.1),
            ("threads", |it| it.threads, GROWTH_MOST.2),
        ];
        for (what, of, most) in all {
            let (before, after) = (median(quarter, of), median(3.0 * quarter, of));
            if after > before + most {
                reasons.push(format!("{part} grew from {before} to {after} {what}"));
            }
        }
    }
    reasons
}

fn draw(steady: &Steady, soak: &Soak) -> Result<()> {
    let all: [(&str, &str, fn(&Sample) -> f64); 3] = [
        ("soak-memory.svg", "resident memory, MiB", |it| it.memory_bytes as f64 / f64::from(1 << 20)),
        ("soak-files.svg", "open files", |it| it.files as f64),
        ("soak-threads.svg", "threads", |it| it.threads as f64),
    ];
    for (name, title, of) in all {
        let mut lines: BTreeMap<usize, plots::Line> = BTreeMap::new();
        for sample in &soak.samples {
            let line = lines
                .entry(sample.place)
                .or_insert_with(|| (format!("{} {}", sample.part, 1 + sample.place % 2), Vec::new()));
            line.1.push((sample.second, of(sample)));
        }
        let lines: Vec<plots::Line> = lines.into_values().collect();
        steady.write(name, plots::over_time(title, &lines)?.as_bytes())?;
    }
    Ok(())
}
