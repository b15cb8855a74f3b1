//! What is read of a machine, as it is read: texts of the kernel, and three things that are measured.
//!
//! Nothing is judged here. A fact that cannot be read is empty or absent, and what cannot be read is often a finding's
//! absence: a machine without frequency governor has no file for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long is looked at who else is at work.
const WATCHED: Duration = Duration::from_secs(1);
/// Sleeps that are timed, and how long each is.
const SLEEPS: usize = 50;
const SLEEP: Duration = Duration::from_millis(1);
/// Flushes that are timed, for no longer than this.
const FLUSHES: usize = 20;
const FLUSHED_WITHIN: Duration = Duration::from_millis(600);
/// A page of a database.
const FLUSHED_BYTES: usize = 4096;

/// Texts and figures of a machine.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `/proc/sys/kernel/osrelease`.
    pub kernel: String,
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// `/proc/meminfo`.
    pub meminfo: String,
    /// `/proc/loadavg`.
    pub loadavg: String,
    /// `/proc/stat`, twice.
    pub stat: [String; 2],
    /// `/proc/vmstat`, at the same two moments.
    pub vmstat: [String; 2],
    /// Processes by id: name, and processor time in ticks of 10 ms, at the same two moments. Without this one.
    pub processes: [BTreeMap<u32, (String, u64)>; 2],
    /// How far the two moments lie apart.
    pub watched_seconds: f64,
    /// `current_clocksource`.
    pub clock_source: String,
    /// `available_clocksource`.
    pub clock_sources: String,
    /// `scaling_governor` of the first processor.
    pub governor: String,
    /// `cpufreq/boost`: 1 where it may run faster than its name says for a while.
    pub boost: String,
    /// `intel_pstate/no_turbo`: the same the other way round.
    pub no_turbo: String,
    /// Weaknesses of the processor, and what the kernel does against them.
    pub vulnerabilities: BTreeMap<String, String>,
    /// The machine's name for itself, which hypervisors set.
    pub product: String,
    /// Whether a container is around it.
    pub container: bool,
    /// `cpu.max`, of the control group and of those around it: `max 100000` or `200000 100000`.
    pub cpu_max: Vec<String>,
    /// `memory.max` of the same, or `memory.limit_in_bytes`.
    pub memory_max: Vec<String>,
    /// `cpu.stat` of the control group, twice.
    pub cpu_stat: [String; 2],
    /// `/proc/self/limits`.
    pub limits: String,
    /// `ip_local_port_range`.
    pub ports: String,
    /// `tcp_tw_reuse`.
    pub reuse: String,
    /// `/proc/net/sockstat`.
    pub sockets: String,
    /// `transparent_hugepage/enabled`.
    pub huge_pages: String,
    /// `.wslconfig`, under WSL 2, where the Windows disk can be read.
    pub wslconfig: Option<String>,
    /// `/proc/self/mountinfo`.
    pub mounts: String,
    /// The folder of the data, without links.
    pub data: PathBuf,
    /// `timerslack_ns` of this process.
    pub timer_slack: String,
    /// By how much sleeps of a millisecond were too long, in microseconds.
    pub sleep_errors_us: Vec<f64>,
    /// How long it took until a page was on the disk of the data, in milliseconds.
    pub flushes_ms: Vec<f64>,
    /// Whether this program was built without optimisation.
    pub debug_build: bool,
}

impl Facts {
    /// Reads this machine's. Takes a second, and writes a page to `data` a few times.
    pub fn gather(data: &Path) -> Self {
        let groups = Groups::of(&text("/proc/self/cgroup"));
        let started = Instant::now();
        let before = (text("/proc/stat"), text("/proc/vmstat"), processes(), groups.cpu_stat());
        let sleep_errors_us = sleep_errors();
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        let flushes_ms = flushes(&data);
        std::thread::sleep(WATCHED.saturating_sub(started.elapsed()));
        let watched_seconds = started.elapsed().as_secs_f64();
        let after = (text("/proc/stat"), text("/proc/vmstat"), processes(), groups.cpu_stat());

        let kernel = text("/proc/sys/kernel/osrelease");
        let cpu = |file: &str| text(&format!("/sys/devices/system/cpu/{file}"));
        let clock = |file: &str| text(&format!("/sys/devices/system/clocksource/clocksource0/{file}"));
        let ipv4 = |file: &str| text(&format!("/proc/sys/net/ipv4/{file}"));
        Self {
            cpuinfo: text("/proc/cpuinfo"),
            meminfo: text("/proc/meminfo"),
            loadavg: text("/proc/loadavg"),
            stat: [before.0, after.0],
            vmstat: [before.1, after.1],
            processes: [before.2, after.2],
            watched_seconds,
            clock_source: clock("current_clocksource"),
            clock_sources: clock("available_clocksource"),
            governor: cpu("cpu0/cpufreq/scaling_governor"),
            boost: cpu("cpufreq/boost"),
            no_turbo: cpu("intel_pstate/no_turbo"),
            vulnerabilities: vulnerabilities(),
            product: text("/sys/class/dmi/id/product_name"),
            container: ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists()),
            cpu_max: groups.cpu_max(),
            memory_max: groups.memory_max(),
            cpu_stat: [before.3, after.3],
            limits: text("/proc/self/limits"),
            ports: ipv4("ip_local_port_range"),
            reuse: ipv4("tcp_tw_reuse"),
            sockets: text("/proc/net/sockstat"),
            huge_pages: text("/sys/kernel/mm/transparent_hugepage/enabled"),
            wslconfig: crate::machine::wsl(&kernel).and_then(|_| wslconfig()),
            mounts: text("/proc/self/mountinfo"),
            data,
            timer_slack: text("/proc/self/timerslack_ns"),
            sleep_errors_us,
            flushes_ms,
            debug_build: cfg!(debug_assertions),
            kernel,
        }
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn sleep_errors() -> Vec<f64> {
    let one = |_| {
        let started = Instant::now();
        std::thread::sleep(SLEEP);
        started.elapsed().saturating_sub(SLEEP).as_secs_f64() * 1e6
    };
    (0..SLEEPS).map(one).collect()
}

/// None where the folder cannot be written to.
fn flushes(folder: &Path) -> Vec<f64> {
    let path = folder.join(format!(".bench-doctor-{}", std::process::id()));
    let started = Instant::now();
    let mut taken = Vec::new();
    if let Ok(mut file) = fs::File::create(&path) {
        while taken.len() < FLUSHES && started.elapsed() < FLUSHED_WITHIN {
            let begun = Instant::now();
            if file.write_all(&[0; FLUSHED_BYTES]).and_then(|()| file.sync_data()).is_err() {
                break;
            }
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    // It is not there where it could not be made.
    let _ = fs::remove_file(&path);
    taken
}

fn processes() -> BTreeMap<u32, (String, u64)> {
    let own = std::process::id();
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| *id != own)
        .filter_map(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let (head, fields) = stat.rsplit_once(')')?;
            let name = head.split_once('(')?.1.to_owned();
            // Behind the name comes field 3; utime and stime are 14 and 15.
            let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
            let ticks = times.next()?.ok()? + times.next()?.ok()?;
            Some((id, (name, ticks)))
        })
        .collect()
}

fn vulnerabilities() -> BTreeMap<String, String> {
    let files = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let named = files.map(|file| (file.file_name().to_string_lossy().into_owned(), file.path()));
    named.map(|(name, path)| (name, text(&path.to_string_lossy()))).collect()
}

/// The first user's, of the users whose folders can be read.
fn wslconfig() -> Option<String> {
    let users = fs::read_dir("/mnt/c/Users").ok()?.flatten();
    users.filter_map(|user| fs::read_to_string(user.path().join(".wslconfig")).ok()).next()
}

/// The control groups of this process, by controller.
struct Groups {
    /// Of version 2, the folders from the process's own up to the root.
    unified: Vec<PathBuf>,
    /// Of version 1.
    cpu: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Groups {
    fn of(cgroup: &str) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let folders = |controller: &str| -> Vec<PathBuf> {
            let line = cgroup.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                controllers.split(',').any(|each| each == controller).then_some(path)
            });
            let Some(path) = line else { return Vec::new() };
            let root = if controller.is_empty() { root.to_owned() } else { root.join(controller) };
            // In a container the path may be that of the host; what is mounted is the container's own, at the root.
            let ancestors = Path::new(path).ancestors().map(Path::to_owned);
            ancestors.map(|path| root.join(path.strip_prefix("/").unwrap_or(&path))).collect()
        };
        Self { unified: folders(""), cpu: folders("cpu"), memory: folders("memory") }
    }

    fn texts(folders: &[PathBuf], file: &str) -> Vec<String> {
        let texts = folders.iter().map(|folder| text(&folder.join(file).to_string_lossy()));
        texts.filter(|text| !text.is_empty()).collect()
    }

    /// As version 2 writes it, also of version 1.
    fn cpu_max(&self) -> Vec<String> {
        let quotas = Self::texts(&self.cpu, "cpu.cfs_quota_us");
        let periods = Self::texts(&self.cpu, "cpu.cfs_period_us");
        let first = quotas.iter().zip(periods).map(|(quota, period)| {
            let quota = if quota.starts_with('-') { "max" } else { quota };
            format!("{quota} {period}")
        });
        Self::texts(&self.unified, "cpu.max").into_iter().chain(first).collect()
    }

    fn memory_max(&self) -> Vec<String> {
        let first = Self::texts(&self.memory, "memory.limit_in_bytes");
        Self::texts(&self.unified, "memory.max").into_iter().chain(first).collect()
    }

    fn cpu_stat(&self) -> String {
        let mut all = Self::texts(&self.unified, "cpu.stat");
        all.extend(Self::texts(&self.cpu, "cpu.stat"));
        all.into_iter().find(|text| text.contains("nr_throttled")).unwrap_or_default()
    }
}
