//! What the system would refuse or hold back: control groups, files, ports, huge pages. Pure.

use super::judge::finding;
use super::{Facts, Finding, Level};
use crate::figures::{bytes, grouped};
use crate::machine;

/// Connections of a large load, and the files of a store.
const FILES_ENOUGH: u64 = 8192;
const PORTS_ENOUGH: u64 = 20_000;

pub(super) fn cpu_quota(facts: &Facts) -> Option<Finding> {
    let cores = f64::from(machine::cores(&facts.cpuinfo));
    let quota = |text: &String| -> Option<f64> {
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    let least = facts.cpu_max.iter().filter_map(quota).filter(|quota| *quota < cores).reduce(f64::min);
    let throttled = |text: &String| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    let [before, after] = facts.cpu_stat.each_ref().map(throttled);
    if facts.cpu_max.is_empty() && after == 0 {
        return None;
    }
    let found = match least {
        Some(quota) => format!("{quota:.2} of {cores} processors, held back {} times so far", grouped(after)),
        None => "none".to_owned(),
    };
    finding(
        "container's CPU limit",
        if least.is_some() || after > before { Level::Spoils } else { Level::Ok },
        found,
        "whoever has used up the limit stands still until the next period, up to 100 ms: the tail is the limit's",
        "run it without a CPU limit (--cpus, resources.limits.cpu); pin it to whole processors instead (--cpuset-cpus)",
    )
}

pub(super) fn memory_limit(facts: &Facts) -> Option<Finding> {
    let total = machine::kibibytes(&facts.meminfo, "MemTotal")?;
    let limits = facts.memory_max.iter().filter_map(|text| text.trim().parse::<u64>().ok());
    let least = limits.filter(|limit| *limit < total).min();
    if facts.memory_max.is_empty() {
        return None;
    }
    finding(
        "container's memory limit",
        if least.is_some() { Level::Note } else { Level::Ok },
        least.map_or_else(|| "none".to_owned(), |limit| format!("{} of {}", bytes(limit), bytes(total))),
        "pages of files count towards it: near the limit they are dropped, and reading them again takes the disk's time",
        "give it all that the stack needs, or leave the limit out while measuring",
    )
}

pub(super) fn files(facts: &Facts) -> Option<Finding> {
    let line = facts.limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    let files = if soft == "unlimited" { u64::MAX } else { soft.parse().ok()? };
    finding(
        "open files",
        if files < FILES_ENOUGH { Level::Note } else { Level::Ok },
        soft,
        "each connection takes one on either side; the one over the limit fails, and Cassandra wants many",
        "`ulimit -n 65536` in the shell that starts it",
    )
}

pub(super) fn ports(facts: &Facts) -> Option<Finding> {
    let mut range = facts.ports.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (range.next()?.ok()?, range.next()?.ok()?);
    let all = (last + 1).saturating_sub(first);
    let mut words = facts.sockets.lines().find(|line| line.starts_with("TCP:"))?.split_whitespace();
    let waiting =
        words.find(|word| *word == "tw").and_then(|_| words.next()?.parse::<u64>().ok()).unwrap_or(0);
    let level = match () {
        () if waiting * 2 > all => Level::Spoils,
        () if all < PORTS_ENOUGH || waiting * 10 > all => Level::Note,
        () => Level::Ok,
    };
    let reuse = match facts.reuse.as_str() {
        "1" => ", reused at once",
        "2" => ", reused at once on loopback",
        _ => "",
    };
    finding(
        "ports",
        level,
        format!(
            "{} for outgoing connections ({first} to {last}), {waiting} of closed ones still wait{reuse}",
            grouped(all)
        ),
        "a closed connection keeps its port for a minute; a load that opens many runs out of them, and connecting fails",
        "keep connections open, widen net.ipv4.ip_local_port_range (`sysctl -w net.ipv4.ip_local_port_range='1024 65000'`), \
         or wait a minute",
    )
}

pub(super) fn huge_pages(facts: &Facts) -> Option<Finding> {
    let (_, rest) = facts.huge_pages.split_once('[')?;
    let (chosen, _) = rest.split_once(']')?;
    finding(
        "huge pages",
        if chosen == "always" { Level::Note } else { Level::Ok },
        chosen,
        "the kernel looks for two megabytes in one piece whenever memory is asked for, which can stall it for milliseconds, and \
         resident memory is rounded up",
        "write madvise to /sys/kernel/mm/transparent_hugepage/enabled",
    )
}
