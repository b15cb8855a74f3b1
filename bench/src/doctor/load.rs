//! Who else is at work, and whether memory is short. Pure.

use std::cmp::Reverse;

use super::judge::finding;
use super::{Facts, Finding, Level};
use crate::figures::bytes;
use crate::machine;

/// Parts of all processors that others may take.
const BUSY_NOTED: f64 = 0.05;
const BUSY_SPOILS: f64 = 0.2;
/// Parts that the host may keep back.
const STEAL_NOTED: f64 = 0.005;
const STEAL_SPOILS: f64 = 0.03;
/// A process that takes less of one processor is not named.
const NAMED: f64 = 0.03;
const NAMES: usize = 4;
/// Kernel ticks of `/proc`, a constant of Linux's interface.
const TICKS_PER_SECOND: f64 = 100.0;
const MEMORY_ENOUGH: u64 = 2 << 30;

pub(super) fn others(facts: &Facts) -> Option<Finding> {
    let [busy, _] = shares(facts)?;
    let level = level(busy, BUSY_NOTED, BUSY_SPOILS);
    let load = facts.loadavg.split(' ').next().unwrap_or_default();
    let named = busy_processes(facts);
    let named = if named.is_empty() { String::new() } else { format!("; {}", named.join(", ")) };
    finding(
        "other load",
        level,
        format!("{:.0} % of all processors in a second, load average {load}{named}", busy * 100.0),
        "what others take is missing, at moments that no one chose: the tail of latency becomes theirs",
        "end what is named, or wait until it is done; browsers, indexers, compilers and updates are the usual ones",
    )
}

pub(super) fn steal(facts: &Facts) -> Option<Finding> {
    let [_, steal] = shares(facts)?;
    finding(
        "steal",
        level(steal, STEAL_NOTED, STEAL_SPOILS),
        format!("{:.1} % of a second", steal * 100.0),
        "the host gave these processors to others while they had work: stalls that nothing in here can explain",
        "take another host or hour, or a machine with processors of its own",
    )
}

pub(super) fn swap(facts: &Facts) -> Option<Finding> {
    let kibibytes = |key| machine::kibibytes(&facts.meminfo, key);
    let used = kibibytes("SwapTotal")?.saturating_sub(kibibytes("SwapFree")?);
    let moved = |text: &String| -> u64 {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(key, _)| ["pswpin", "pswpout"].contains(key))
            .filter_map(|(_, count)| count.parse::<u64>().ok())
            .sum()
    };
    let [before, after] = facts.vmstat.each_ref().map(moved);
    let pages = after.saturating_sub(before);
    let level = match (pages, used) {
        (1.., _) => Level::Spoils,
        (0, 1..) => Level::Note,
        (0, 0) => Level::Ok,
    };
    finding(
        "swap",
        level,
        format!("{} in use, {pages} pages moved in a second", bytes(used)),
        "a page that comes back from the disk takes milliseconds, in the middle of a request",
        "end what takes the memory, then `swapoff -a` while measuring",
    )
}

pub(super) fn memory(facts: &Facts) -> Option<Finding> {
    let available = machine::kibibytes(&facts.meminfo, "MemAvailable")?;
    finding(
        "memory",
        if available < MEMORY_ENOUGH { Level::Note } else { Level::Ok },
        format!("{} available", bytes(available)),
        "with little to spare the kernel drops pages of files and reads them again; Cassandra alone takes more",
        "end what takes the memory",
    )
}

fn level(share: f64, noted: f64, spoils: f64) -> Level {
    match share {
        share if share >= spoils => Level::Spoils,
        share if share >= noted => Level::Note,
        _ => Level::Ok,
    }
}

/// Of the time between the two moments: what was neither idle nor stolen, and what was stolen.
fn shares(facts: &Facts) -> Option<[f64; 2]> {
    let times = |text: &String| -> Option<Vec<u64>> {
        let line = text.lines().find(|line| line.starts_with("cpu "))?;
        line.split_whitespace().skip(1).take(8).map(|ticks| ticks.parse().ok()).collect()
    };
    let [before, after] = facts.stat.each_ref().map(times);
    let spent: Vec<f64> =
        before?.iter().zip(&after?).map(|(before, after)| after.saturating_sub(*before) as f64).collect();
    // user, nice, system, idle, waiting for the disk, interrupts, soft interrupts, stolen.
    let &[user, nice, system, idle, waiting, hard, soft, stolen] = spent.as_slice() else { return None };
    let all = user + nice + system + idle + waiting + hard + soft + stolen;
    (all > 0.0).then(|| [(all - idle - waiting - stolen) / all, stolen / all])
}

/// The busiest processes, with what they took of one processor.
fn busy_processes(facts: &Facts) -> Vec<String> {
    let [before, after] = &facts.processes;
    let mut busy: Vec<(u64, &str)> = after
        .iter()
        .filter_map(|(id, (name, ticks))| Some((ticks.saturating_sub(before.get(id)?.1), name.as_str())))
        .collect();
    busy.sort_by_key(|(ticks, _)| Reverse(*ticks));
    let share = |ticks: u64| ticks as f64 / TICKS_PER_SECOND / facts.watched_seconds.max(0.01);
    let named =
        busy.into_iter().map(|(ticks, name)| (share(ticks), name)).filter(|(share, _)| *share >= NAMED);
    named.take(NAMES).map(|(share, name)| format!("{name} {:.0} % of one", share * 100.0)).collect()
}
