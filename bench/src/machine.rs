//! What a run ran on: the machine's facts from `/proc` and `/sys`, the git revision, a process's CPU and memory.
//!
//! The parsers are pure and take the text of a file; only the three functions at the top read one. A fact that
//! cannot be read is `unknown` or absent: a report without it is better than no report.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::report::Machine;

/// What a process has used since its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time of all its threads, in seconds, in the kernel's ticks of usually 10 ms.
    pub cpu_seconds: f64,
    /// Greatest resident memory so far, in bytes.
    pub memory_peak_bytes: u64,
    /// Resident memory now, in bytes.
    pub memory_last_bytes: u64,
}

/// Reads the facts of this machine.
pub fn read() -> Machine {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let fact = |path: &str| non_empty(file(path).trim());
    let cpuinfo = file("/proc/cpuinfo");
    let kernel = fact("/proc/sys/kernel/osrelease");
    let container = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
    Machine {
        cpu: cpu_model(&cpuinfo).unwrap_or_else(unknown),
        cores: cores(&cpuinfo),
        memory_bytes: kibibytes(&file("/proc/meminfo"), "MemTotal").unwrap_or(0),
        os: pretty_name(&file("/etc/os-release")).unwrap_or_else(unknown),
        wsl: kernel.as_deref().and_then(wsl),
        clock_source: fact("/sys/devices/system/clocksource/clocksource0/current_clocksource")
            .unwrap_or_else(unknown),
        governor: fact("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        virtualisation: virtualisation(&cpuinfo, fact("/sys/class/dmi/id/product_name"), container),
        kernel: kernel.unwrap_or_else(unknown),
    }
}

/// The git revision of the tree that holds `folder`, with `-dirty` behind it if tracked files were changed;
/// `unknown` outside git or without git.
pub fn commit(folder: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(revision) => {
            // A tree whose state cannot be told is not called clean.
            let clean =
                git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|list| list.is_empty());
            if clean { revision } else { format!("{revision}-dirty") }
        }
        None => unknown(),
    }
}

/// SHA-256 of the tree's `flake.lock`; nothing where the tree is not there any more.
pub fn flake_lock() -> Option<String> {
    let lock = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../flake.lock")).ok()?;
    let hash = ring::digest::digest(&ring::digest::SHA256, &lock);
    Some(format!("sha256:{}", hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// What a process has used so far.
///
/// # Errors
/// When there is no such process, or its files do not read as Linux writes them.
pub fn usage(pid: u32) -> io::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_usage(&stat, &status, rustix::param::clock_ticks_per_second()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("files of process {pid} do not read"))
    })
}

fn parse_usage(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses, so that
    // fields count from the last one on: what follows is field 3, utime and stime are 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Usage {
        cpu_seconds: ticks as f64 / ticks_per_second as f64,
        memory_peak_bytes: kibibytes(status, "VmHWM")?,
        memory_last_bytes: kibibytes(status, "VmRSS")?,
    })
}

/// The value of the first line `key : value`, as `/proc` writes tables.
fn field<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

pub(crate) fn kibibytes(table: &str, key: &str) -> Option<u64> {
    field(table, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// x86 names the model; of ARM's numbers, the implementer and part at least tell models apart.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let named = field(cpuinfo, "model name").or_else(|| field(cpuinfo, "Model"));
    let numbered = || {
        let implementer = field(cpuinfo, "CPU implementer")?;
        Some(format!("implementer {implementer}, part {}", field(cpuinfo, "CPU part")?))
    };
    named.and_then(non_empty).or_else(numbered)
}

pub(crate) fn cores(cpuinfo: &str) -> u32 {
    let lines =
        cpuinfo.lines().filter(|line| line.split(':').next().is_some_and(|key| key.trim() == "processor"));
    u32::try_from(lines.count()).unwrap_or(u32::MAX)
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    non_empty(value.trim().trim_matches('"'))
}

/// WSL 2's kernels are named `…-microsoft-standard-WSL2` (the first ones without WSL2), WSL 1's `…-Microsoft`.
pub(crate) fn wsl(kernel: &str) -> Option<String> {
    let name = kernel.to_ascii_lowercase();
    let second = name.contains("wsl2") || name.contains("microsoft-standard");
    let version = if second { "2" } else { "1" };
    name.contains("microsoft").then(|| version.to_owned())
}

/// A container inside a virtual machine is both.
pub(crate) fn virtualisation(cpuinfo: &str, product: Option<String>, container: bool) -> Option<String> {
    let flags = field(cpuinfo, "flags").unwrap_or_default();
    let guest = flags.split_whitespace().any(|flag| flag == "hypervisor");
    let machine = guest.then(|| match product {
        Some(product) => format!("virtual machine ({product})"),
        None => "virtual machine".to_owned(),
    });
    let around = [container.then(|| "container".to_owned()), machine];
    non_empty(&around.into_iter().flatten().collect::<Vec<_>>().join(" in a "))
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86: &str = "processor\t: 0\nmodel name\t: AMD Ryzen 7 7840U\nflags\t\t: fpu vme hypervisor\n\n\
                       processor\t: 1\nmodel name\t: AMD Ryzen 7 7840U\nflags\t\t: fpu vme hypervisor\n";
    const ARM: &str = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";

    #[test]
    fn processors_are_named_and_counted() {
        assert_eq!((cpu_model(X86).unwrap().as_str(), cores(X86)), ("AMD Ryzen 7 7840U", 2));
        assert_eq!((cpu_model(ARM).unwrap().as_str(), cores(ARM)), ("implementer 0x41, part 0xd40", 1));
        assert_eq!((cpu_model(""), cores("")), (None, 0));
    }

    #[test]
    fn memory_is_bytes_and_a_missing_line_is_nothing() {
        let meminfo = "MemTotal:       24606004 kB\nMemFree:        24000000 kB\n";
        assert_eq!(kibibytes(meminfo, "MemTotal"), Some(25_196_548_096));
        assert_eq!(kibibytes(meminfo, "VmRSS"), None);
        assert_eq!(kibibytes("MemTotal: many kB", "MemTotal"), None);
    }

    #[test]
    fn the_distribution_is_named_with_or_without_quotes() {
        assert_eq!(
            pretty_name("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n").unwrap(),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(pretty_name("PRETTY_NAME=NixOS\n").unwrap(), "NixOS");
        assert_eq!(pretty_name("NAME=x\n"), None);
    }

    #[test]
    fn wsl_is_told_by_its_kernel() {
        assert_eq!(wsl("5.15.167.4-microsoft-standard-WSL2").as_deref(), Some("2"));
        assert_eq!(wsl("4.19.43-microsoft-standard").as_deref(), Some("2"));
        assert_eq!(wsl("4.4.0-19041-Microsoft").as_deref(), Some("1"));
        assert_eq!(wsl("6.18.44"), None);
    }

    #[test]
    fn what_is_around_the_system_is_named_from_the_inside_out() {
        let product = || Some("Standard PC".to_owned());
        assert_eq!(
            virtualisation(X86, product(), true).unwrap(),
            "container in a virtual machine (Standard PC)"
        );
        assert_eq!(virtualisation(X86, None, false).unwrap(), "virtual machine");
        assert_eq!(virtualisation(ARM, product(), true).unwrap(), "container");
        assert_eq!(virtualisation(ARM, product(), false), None);
    }

    #[test]
    fn the_time_of_a_process_is_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "4242 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 1250 250 13 14 15";
        let status = "Name:\ta (b) c\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        let usage = parse_usage(stat, status, 100).unwrap();
        assert_eq!(
            usage,
            Usage { cpu_seconds: 15.0, memory_peak_bytes: 2 << 20, memory_last_bytes: 1 << 20 }
        );
        assert_eq!(parse_usage("4242 (a", status, 100), None);
        assert_eq!(parse_usage(stat, "", 100), None);
    }

    #[test]
    fn this_process_and_this_machine_can_be_read() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.memory_peak_bytes >= usage.memory_last_bytes && usage.memory_last_bytes > 0);
        let machine = read();
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && machine.kernel != "unknown");
    }

    #[test]
    fn a_commit_is_told_clean_from_dirty_and_a_folder_outside_git_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(commit(folder.path()), "unknown");

        let git = |arguments: &[&str]| {
            let identity =
                ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
            let status =
                Command::new("git").arg("-C").arg(folder.path()).args(identity).args(arguments).output();
            assert!(status.unwrap().status.success(), "git {arguments:?}");
        };
        git(&["init", "--quiet"]);
        fs::write(folder.path().join("a"), "1").unwrap();
        git(&["add", "a"]);
        git(&["commit", "--quiet", "--no-verify", "-m", "one"]);
        let clean = commit(folder.path());
        assert!(clean.len() == 40 && clean.bytes().all(|byte| byte.is_ascii_hexdigit()), "{clean}");
        fs::write(folder.path().join("a"), "2").unwrap();
        assert_eq!(commit(folder.path()), format!("{clean}-dirty"));
    }
}
