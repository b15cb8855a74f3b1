//! What processes and cores have used so far, as `/proc` counts it: read again and again during a run, so that what a run
//! cost can be told apart from what came before it.

use std::collections::BTreeMap;
use std::fs;

use crate::machine;

/// Threads that have used less are not told apart: a JVM has a hundred that do nothing.
const THREAD_SECONDS_LEAST: f64 = 0.05;

/// What a process has used since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// User and system time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Greatest resident memory so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Resident memory now, in bytes.
    pub memory_last_bytes: u64,
    /// Bytes that it had written to storage, page cache included; absent where the kernel does not tell.
    pub written_bytes: Option<u64>,
    /// Context switches, of its own will and not, of the threads that live.
    pub switches: u64,
    /// Processor seconds of its busier threads, by name and id.
    pub threads: BTreeMap<String, f64>,
}

/// The time of one core since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Neither idle nor waiting for storage.
    pub busy: u64,
    /// Idle while something waited for storage.
    pub waiting: u64,
    /// All of it.
    pub all: u64,
}

/// What a process has used so far; nothing if there is no such process, or it may not be looked at.
pub fn process(pid: u32) -> Option<Process> {
    let usage = machine::usage(pid).ok()?;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let (mut switches, mut threads) = (0, BTreeMap::new());
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may end while it is looked at.
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        switches += context_switches(&read("status"));
        if let Some((name, used)) = thread(&read("stat"))
            && used as f64 / ticks >= THREAD_SECONDS_LEAST
        {
            let id = task.file_name().to_string_lossy().into_owned();
            threads.insert(format!("{name} {id}"), used as f64 / ticks);
        }
    }
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    Some(Process {
        cpu_seconds: usage.cpu_seconds,
        memory_peak_bytes: usage.memory_peak_bytes,
        memory_last_bytes: usage.memory_last_bytes,
        written_bytes: number(&io, "write_bytes:"),
        switches,
        threads,
    })
}

/// The cores of the machine; none where `/proc/stat` does not read as Linux writes it.
pub fn cores() -> Vec<Core> {
    read_cores(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn read_cores(stat: &str) -> Vec<Core> {
    let numbered = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
    let core = |line: &str| {
        let times: Vec<u64> = line.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; what guests take is counted in user already.
        let at = |place: usize| times.get(place).copied().unwrap_or(0);
        let all = times.iter().take(8).sum();
        Core { busy: all - at(3) - at(4), waiting: at(4), all }
    };
    stat.lines().filter(numbered).map(core).collect()
}

fn context_switches(status: &str) -> u64 {
    let kinds = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    kinds.into_iter().filter_map(|kind| number(status, kind)).sum()
}

/// Name and ticks of a thread; the name stands in parentheses and may hold some itself.
fn thread(stat: &str) -> Option<(&str, u64)> {
    let (head, fields) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((name, times.next()?.ok()? + times.next()?.ok()?))
}

/// The number in the line that begins with `key`.
fn number(table: &str, key: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory_and_its_busy_threads_have_names() {
        let started = std::time::Instant::now();
        let mut sum = 0_u64;
        while started.elapsed().as_millis() < 300 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        std::hint::black_box(sum);
        let used = process(std::process::id()).unwrap();
        assert!(used.cpu_seconds > 0.05 && used.memory_last_bytes > 0 && used.switches > 0, "{used:?}");
        assert!(!used.threads.is_empty(), "{used:?}");
        assert_eq!(process(u32::MAX), None);
    }

    #[test]
    fn cores_are_read_without_the_sum_of_all_and_guests_are_not_counted_twice() {
        let stat =
            "cpu  20 0 0 0 0 0 0 0 0 0\ncpu0 10 1 2 30 4 1 1 1 5 0\ncpu1 1 0 0 9 0 0 0 0 0 0\nintr 5\n";
        let expected = [Core { busy: 16, waiting: 4, all: 50 }, Core { busy: 1, waiting: 0, all: 10 }];
        assert_eq!(read_cores(stat), expected);
        assert!(read_cores("").is_empty());
    }

    #[test]
    fn switches_of_both_kinds_and_threads_with_odd_names_are_read() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(context_switches(status), 10);
        assert_eq!(thread("7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 12 3 13"), Some(("a (b) c", 15)));
        assert_eq!(thread("7 (a"), None);
        assert_eq!(number("rchar: 1\nwrite_bytes: 4096\n", "write_bytes:"), Some(4096));
    }
}
