//! What is looked at while a run goes on: how many orders wait for the stores, what each process and core has used, and
//! the latencies to each hop, which the pipeline hands over second by second.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow};
use pipeline::observe::hops::seconds::Taken;
use pipeline::time;

use crate::lag::Waiting;
use crate::saturation::{GENERATOR, Load};
use crate::used::{self, Core, Process};
use crate::way::Running;

/// How often the orders that wait are counted.
const COUNT_EVERY: Duration = Duration::from_millis(250);
/// Every so many counts, processes are looked at and latencies taken.
const COUNTS_A_SAMPLE: u32 = 4;
/// The busiest threads that are told apart.
const THREADS: usize = 6;

/// What the threads of a run tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// When the schedule started, in nanoseconds of Unix time.
    pub(super) started_at: OnceLock<i64>,
    /// Orders that were accepted so far.
    pub(super) accepted: AtomicU64,
    /// The schedule is over: what waits is no sign of lag any more.
    pub(super) sent: AtomicBool,
    /// Everything is stored, or will not be.
    pub(super) ended: std::sync::Arc<AtomicBool>,
}

/// What processes and cores had used at an instant of Unix time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: i64,
    pub(super) processes: BTreeMap<String, Process>,
    pub(super) cores: Vec<Core>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) waiting: Vec<Waiting>,
    pub(super) samples: Vec<Sample>,
    pub(super) taken: Taken,
}

/// Looks on until the run has ended, and once more then.
pub(super) fn follow(running: &Running, pids: &[(String, u32)], shared: &Shared) -> Result<Followed> {
    let mut followed = Followed::default();
    for count in 0_u32.. {
        // Before the look, so that the last look comes after the end.
        let last = shared.ended.load(Ordering::Relaxed);
        if last || count.is_multiple_of(COUNTS_A_SAMPLE) {
            followed.samples.push(sample(pids));
            followed.taken.add(running.take_hops()?);
        }
        if last {
            break;
        }
        if let Some(started_at) = shared.started_at.get()
            && !shared.sent.load(Ordering::Relaxed)
        {
            let accepted = shared.accepted.load(Ordering::Relaxed) as f64;
            let stored = running.ended_orders()?;
            let second = time::now().saturating_sub(*started_at) as f64 / 1e9;
            followed.waiting.push(Waiting { second, orders: (accepted - stored).max(0.0) });
        }
        std::thread::sleep(COUNT_EVERY);
    }
    Ok(followed)
}

fn sample(pids: &[(String, u32)]) -> Sample {
    let processes = pids.iter().filter_map(|(name, pid)| Some((name.clone(), used::process(*pid)?)));
    Sample { at: time::now(), processes: processes.collect(), cores: used::cores() }
}

impl Followed {
    /// What each process used from one instant to the end. The instant lies between two samples, a second apart, over
    /// which a process is taken to have used as much in each moment.
    #[expect(clippy::cast_sign_loss, reason = "a share of what has grown is not below zero")]
    pub(super) fn used_since(&self, from: i64) -> Result<BTreeMap<String, Process>> {
        let at = self.samples.iter().rposition(|sample| sample.at <= from).unwrap_or(0);
        let samples = self.samples.get(at..).unwrap_or_default();
        let Some(last) = samples.last() else {
            return Err(anyhow!("no process was looked at"));
        };
        let used = |(name, last): (&String, &Process)| {
            let mut used = Process { cpu_seconds: 0.0, switches: 0, ..last.clone() };
            let mut written = 0.0;
            // From sample to sample: a thread that ends takes its own out of the sums, which then fall.
            for (before, after) in samples.iter().zip(samples.iter().skip(1)) {
                let share = share_since(from, before.at, after.at);
                let of = |sample: &Sample| sample.processes.get(name).cloned().unwrap_or_default();
                let (before, after) = (of(before), of(after));
                let grown = |before: u64, after: u64| share * after.saturating_sub(before) as f64;
                used.cpu_seconds += share * (after.cpu_seconds - before.cpu_seconds).max(0.0);
                used.switches += grown(before.switches, after.switches) as u64;
                written += grown(before.written_bytes.unwrap_or(0), after.written_bytes.unwrap_or(0));
            }
            used.written_bytes = last.written_bytes.map(|_| written as u64);
            (name.clone(), used)
        };
        Ok(last.processes.iter().map(used).collect())
    }

    /// What was used between two instants, in shares of a core.
    pub(super) fn load(&self, from: i64, to: i64) -> Load {
        let (Some(base), Some(last)) = (self.sample_at(from), self.sample_at(to)) else {
            return Load::default();
        };
        let seconds = last.at.saturating_sub(base.at) as f64 / 1e9;
        if seconds <= 0.0 {
            return Load::default();
        }
        let cores = last.cores.iter().zip(&base.cores).map(|(last, base)| Core {
            busy: last.busy.saturating_sub(base.busy),
            waiting: last.waiting.saturating_sub(base.waiting),
            all: last.all.saturating_sub(base.all),
        });
        let cores: Vec<Core> = cores.collect();
        let all: u64 = cores.iter().map(|core| core.all).sum();
        let mut threads = Vec::new();
        let mut processes = BTreeMap::new();
        for (name, last) in &last.processes {
            let Some(base) = base.processes.get(name) else { continue };
            processes.insert(name.clone(), (last.cpu_seconds - base.cpu_seconds).max(0.0) / seconds);
            // By its id: some servers name a thread after what it does at the moment.
            let before: BTreeMap<&str, f64> =
                base.threads.iter().map(|(thread, used)| (id(thread), *used)).collect();
            threads.extend(last.threads.iter().map(|(thread, used)| {
                let before = before.get(id(thread)).copied().unwrap_or(0.0);
                (format!("{name} {thread}"), (used - before).max(0.0) / seconds)
            }));
        }
        threads.sort_by(|a, b| b.1.total_cmp(&a.1));
        threads.truncate(THREADS);
        Load {
            cores: cores.iter().map(|core| core.busy as f64 / core.all.max(1) as f64).collect(),
            storage: cores.iter().map(|core| core.waiting).sum::<u64>() as f64 / all.max(1) as f64,
            processes,
            threads,
        }
    }

    /// The last sample at or before an instant; before the first there is the first.
    fn sample_at(&self, instant: i64) -> Option<&Sample> {
        self.samples.iter().rev().find(|sample| sample.at <= instant).or(self.samples.first())
    }
}

/// How much of the time between two instants, in shares of 1, is after `from`.
fn share_since(from: i64, before: i64, after: i64) -> f64 {
    let length = after.saturating_sub(before).max(1);
    after.saturating_sub(from).clamp(0, length) as f64 / length as f64
}

/// The id of a thread that is written as its name and its id.
fn id(thread: &str) -> &str {
    thread.rsplit(' ').next().unwrap_or(thread)
}

/// The processes to look at: the pipeline's own, the generator, which is this one, and the stack's servers.
pub(super) fn pids(running: &Running, servers: Vec<(String, u32)>) -> Vec<(String, u32)> {
    let own = running.pids().into_iter().map(|(name, pid)| (name.to_owned(), pid));
    own.chain([(GENERATOR.to_owned(), std::process::id())]).chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64, cpu_seconds: f64) -> Sample {
        let threads = BTreeMap::from([("stores 7".to_owned(), cpu_seconds / 2.0)]);
        let process = Process {
            cpu_seconds,
            memory_last_bytes: 10,
            memory_peak_bytes: 20,
            written_bytes: Some(at.unsigned_abs()),
            switches: at.unsigned_abs(),
            threads,
        };
        let ticks = at.unsigned_abs() / 10_000_000;
        let core = Core { busy: ticks / 4, waiting: ticks / 2, all: ticks };
        Sample { at, processes: BTreeMap::from([("embedded".to_owned(), process)]), cores: vec![core; 2] }
    }

    fn followed() -> Followed {
        let samples = (0..=10).map(|second| sample(second * time::SECOND, 0.5 * second as f64)).collect();
        Followed { samples, ..Followed::default() }
    }

    #[test]
    fn what_was_used_before_an_instant_does_not_count() {
        let used = &followed().used_since(4 * time::SECOND).unwrap()["embedded"];
        assert_eq!((used.cpu_seconds, used.switches), (3.0, 6_000_000_000));
        assert_eq!((used.written_bytes, used.memory_peak_bytes), (Some(6_000_000_000), 20));
        assert!(Followed::default().used_since(0).is_err());
    }

    #[test]
    fn an_instant_between_two_samples_takes_its_share_of_what_was_used_between_them() {
        let used = &followed().used_since(4 * time::SECOND + time::SECOND / 4).unwrap()["embedded"];
        assert_eq!((used.cpu_seconds, used.switches), (2.875, 5_750_000_000));
        assert_eq!(used.written_bytes, Some(5_750_000_000));
        let all = &followed().used_since(-time::SECOND).unwrap()["embedded"];
        assert_eq!(all.cpu_seconds, 5.0, "before the first sample there is nothing");
    }

    #[test]
    fn switches_of_threads_that_end_stay_counted() {
        let mut followed = followed();
        for sample in followed.samples.iter_mut().skip(9) {
            sample.processes.get_mut("embedded").unwrap().switches = 5;
        }
        let used = &followed.used_since(4 * time::SECOND).unwrap()["embedded"];
        assert_eq!(used.switches, 4_000_000_000);
    }

    #[test]
    fn a_load_is_in_shares_of_a_core() {
        let load = followed().load(2 * time::SECOND, 6 * time::SECOND);
        assert_eq!(load.cores, [0.25, 0.25]);
        assert_eq!((load.storage, load.processes["embedded"]), (0.5, 0.5));
        assert_eq!(load.threads, [("embedded stores 7".to_owned(), 0.25)]);
        assert_eq!(followed().load(5, 5), Load::default());
    }

    #[test]
    fn a_thread_that_changed_its_name_is_the_same() {
        let mut followed = followed();
        for sample in followed.samples.iter_mut().skip(5) {
            let threads = &mut sample.processes.get_mut("embedded").unwrap().threads;
            *threads = threads.values().map(|used| ("reads 7".to_owned(), *used)).collect();
        }
        let load = followed.load(2 * time::SECOND, 6 * time::SECOND);
        assert_eq!(load.threads, [("embedded reads 7".to_owned(), 0.25)]);
    }
}
