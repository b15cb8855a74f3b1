//! A server is away for minutes under load: what the metrics show meanwhile, what clients are told, and how fast the
//! pipeline catches up.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use super::catalogue::{Part, Server};
use super::check::Found;
use super::clients::Load;
use super::processes;
use super::sample::{self, Gauges, Sample};
use super::stack::Stack;
use super::steady::{self, Steady};
use super::suite::interrupted;
use crate::plots;

/// How long all is well before it.
const BEFORE: Duration = Duration::from_secs(20);
/// How long it may take to catch up.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(1_200);

/// What came of an outage.
#[derive(Clone, Debug, Serialize)]
pub struct Outage {
    /// The server.
    pub server: String,
    /// How long it was away.
    pub minutes: f64,
    /// Orders a second that were offered.
    pub offered_per_second: u32,
    /// The most records that waited in the log.
    pub lag_most: f64,
    /// The oldest that the newest stored order was.
    pub freshness_most_seconds: f64,
    /// From the server's return to its being ready.
    pub ready_after_seconds: f64,
    /// From the server's return to when nothing waited.
    pub caught_up_after_seconds: f64,
    /// Orders a second that were stored while it caught up.
    pub catch_up_per_second: f64,
    /// Answers of ingest by status.
    pub statuses: BTreeMap<String, u64>,
    /// The most memory that a process of a part had.
    pub memory_most_bytes: BTreeMap<String, u64>,
    /// What was found at the end.
    pub found: Found,
    /// What is wrong; nothing if it passed.
    pub reasons: Vec<String>,
    /// The metrics of each second.
    pub gauges: Vec<Gauges>,
    /// Every process, every second.
    pub samples: Vec<Sample>,
}

/// Takes a server away, brings it back, waits until all is stored, and writes `outage.json` and its drawings.
///
/// # Errors
/// Where it could not be run, or was interrupted; what it found wrong is among its reasons.
pub fn run(steady: &Steady, server: Server, length: Duration) -> Result<Outage> {
    let mark = steady.prepare()?;
    let mut stack = Stack::up(&steady.stack_home, steady.port_base, false)?;
    let mut place = steady.place("outage", &mark, &stack)?;
    for part in [Part::Ingest, Part::Process] {
        let at = place.add(part)?;
        place.start(at)?;
    }
    let load = Load::start(steady.offer(), place.fronts(), steady.seed);
    let started = Instant::now();
    let (mut gauges, mut samples) = (Vec::new(), Vec::new());
    let mut look = |place: &mut super::place::Place| -> Result<Gauges> {
        if interrupted() {
            bail!("interrupted");
        }
        let elapsed = started.elapsed();
        place.supervise()?;
        samples.extend(sample::processes(place, elapsed.as_secs_f64()));
        let now = sample::gauges(place, elapsed.as_secs_f64());
        gauges.push(now.clone());
        thread::sleep(Duration::from_secs(1).saturating_sub(started.elapsed().saturating_sub(elapsed)));
        Ok(now)
    };
    while started.elapsed() < BEFORE {
        look(&mut place)?;
    }
    processes::kill(stack.pid(server.service())?)?;
    stack.stop(server.service())?;
    let away = Instant::now();
    while away.elapsed() < length {
        look(&mut place)?;
    }
    let back = Instant::now();
    let (ready_after, first, last) = thread::scope(|scope| -> Result<_> {
        let mended = scope.spawn(|| stack.mend().map(|()| back.elapsed()));
        let first = look(&mut place)?;
        // A second's worth of records is always under way.
        let enough = f64::from(steady.rate) * 1.5;
        let last = loop {
            let now = look(&mut place)?;
            if mended.is_finished() && now.lag < enough {
                break now;
            }
            if back.elapsed() > CAUGHT_UP_WITHIN {
                bail!("{} records still wait after {CAUGHT_UP_WITHIN:?}", now.lag);
            }
        };
        let ready_after = mended.join().map_err(|_| anyhow!("the stack's mending panicked"))??;
        Ok((ready_after, first, last))
    })?;
    let (found, counts) = steady::end(&mut place, load)?;
    let ready_at = first.second + ready_after.as_secs_f64();
    let before = gauges.iter().rfind(|gauges| gauges.second <= ready_at).unwrap_or(&first);
    let catch_up_per_second = (last.stored - before.stored) / (last.second - before.second).max(1.0);
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for sample in &samples {
        let most = most.entry(sample.part.clone()).or_default();
        *most = sample.memory_bytes.max(*most);
    }
    let mut reasons = steady::wrong(&found);
    if catch_up_per_second < 1.2 * f64::from(steady.rate) {
        reasons.push(format!("it caught up at {catch_up_per_second:.0} orders/s only"));
    }
    let outage = Outage {
        server: server.service().to_owned(),
        minutes: length.as_secs_f64() / 60.0,
        offered_per_second: steady.rate,
        lag_most: gauges.iter().map(|it| it.lag).fold(0.0, f64::max),
        freshness_most_seconds: gauges.iter().filter_map(|it| it.freshness_seconds).fold(0.0, f64::max),
        ready_after_seconds: ready_after.as_secs_f64(),
        caught_up_after_seconds: last.second - first.second,
        catch_up_per_second,
        statuses: counts.statuses,
        memory_most_bytes: most,
        found,
        reasons,
        gauges,
        samples,
    };
    steady.write("outage.json", &serde_json::to_vec(&outage)?)?;
    draw(steady, &outage)?;
    Ok(outage)
}

fn draw(steady: &Steady, outage: &Outage) -> Result<()> {
    let of = |name: &str, value: fn(&Gauges) -> Option<f64>| -> plots::Line {
        let points = outage.gauges.iter().filter_map(|it| Some((it.second, value(it)?)));
        (name.to_owned(), points.collect())
    };
    let rate = |name: &str, value: fn(&Gauges) -> f64| -> plots::Line {
        let pairs = outage.gauges.iter().zip(outage.gauges.iter().skip(1));
        let rates = pairs.map(|(before, after)| {
            (after.second, ((value(after) - value(before)) / (after.second - before.second)).max(0.0))
        });
        (name.to_owned(), rates.collect())
    };
    for (name, title, lines) in [
        ("outage-lag.svg", "records that wait in the log", vec![of("lag", |it| Some(it.lag))]),
        (
            "outage-freshness.svg",
            "age of the newest stored order, seconds",
            vec![of("freshness", |it| it.freshness_seconds)],
        ),
        (
            "outage-rates.svg",
            "orders a second",
            vec![rate("accepted", |it| it.accepted), rate("stored", |it| it.stored)],
        ),
    ] {
        steady.write(name, plots::over_time(title, &lines)?.as_bytes())?;
    }
    Ok(())
}
