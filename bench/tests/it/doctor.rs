//! The doctor's judgement of machines that are not at hand, by their texts: bare metal, WSL 2, a container; and of this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use bench::doctor::{Facts, Finding, Level, judge, text};

/// A quiet machine of eight processors, as it should be.
fn bare_metal() -> Facts {
    let processor =
        |number| format!("processor\t: {number}\nmodel name\t: AMD Ryzen 7 7840U\nflags\t\t: fpu vme\n\n");
    Facts {
        kernel: "6.12.12-amd64".to_owned(),
        cpuinfo: (0..8).map(processor).collect(),
        meminfo:
            "MemTotal: 32505856 kB\nMemAvailable: 28000000 kB\nSwapTotal: 8388604 kB\nSwapFree: 8388604 kB\n"
                .to_owned(),
        loadavg: "0.10 0.05 0.01 1/700 4242".to_owned(),
        stat: ["cpu  1000 0 1000 100000 10 0 5 0 0 0", "cpu  1004 0 1004 100790 12 0 5 0 0 0"]
            .map(str::to_owned),
        vmstat: ["pswpin 7\npswpout 9", "pswpin 7\npswpout 9"].map(str::to_owned),
        processes: [processes(&[(1, "systemd", 50)]), processes(&[(1, "systemd", 51)])],
        watched_seconds: 1.0,
        clock_source: "tsc".to_owned(),
        clock_sources: "tsc hpet acpi_pm".to_owned(),
        governor: "performance".to_owned(),
        boost: "0".to_owned(),
        vulnerabilities: BTreeMap::from([
            ("meltdown".to_owned(), "Not affected".to_owned()),
            ("spectre_v2".to_owned(), "Mitigation: Retpolines".to_owned()),
        ]),
        cpu_max: vec!["max 100000".to_owned()],
        memory_max: vec!["max".to_owned()],
        cpu_stat: ["nr_throttled 0", "nr_throttled 0"].map(str::to_owned),
        limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files            65536   65536   files\n"
            .to_owned(),
        ports: "32768\t60999".to_owned(),
        reuse: "2".to_owned(),
        sockets: "sockets: used 147\nTCP: inuse 37 orphan 0 tw 13 alloc 51 mem 8".to_owned(),
        huge_pages: "always [madvise] never".to_owned(),
        mounts: "27 1 254:0 / / rw,relatime - ext4 /dev/nvme0n1p2 rw".to_owned(),
        data: PathBuf::from("/srv/tillflow"),
        timer_slack: "50000".to_owned(),
        sleep_errors_us: vec![55.0, 60.0, 58.0, 130.0],
        flushes_ms: vec![0.4, 0.5, 0.9],
        ..Facts::default()
    }
}

fn wsl2() -> Facts {
    let metal = bare_metal();
    Facts {
        kernel: "5.15.167.4-microsoft-standard-WSL2".to_owned(),
        cpuinfo: metal.cpuinfo.replace("fpu vme", "fpu vme hypervisor"),
        clock_source: "hyperv_clocksource_tsc_page".to_owned(),
        governor: String::new(),
        boost: String::new(),
        wslconfig: Some("[wsl2]\nmemory = 12GB\n".to_owned()),
        mounts: "27 1 8:32 / / rw - ext4 /dev/sdc rw\n90 27 0:61 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync"
            .to_owned(),
        data: PathBuf::from("/mnt/c/src/tillflow"),
        huge_pages: "[always] madvise never".to_owned(),
        ..metal
    }
}

fn container() -> Facts {
    let metal = bare_metal();
    Facts {
        container: true,
        cpu_max: vec!["150000 100000".to_owned(), "max 100000".to_owned()],
        memory_max: vec!["4294967296".to_owned()],
        cpu_stat: ["nr_periods 10\nnr_throttled 3", "nr_periods 20\nnr_throttled 9"].map(str::to_owned),
        mounts: "27 1 0:30 / / rw - overlay overlay rw\n28 27 0:31 / /data rw - tmpfs tmpfs rw".to_owned(),
        data: PathBuf::from("/data/orders"),
        limits: "Max open files            1024   4096   files\n".to_owned(),
        ..metal
    }
}

fn processes(list: &[(u32, &str, u64)]) -> BTreeMap<u32, (String, u64)> {
    list.iter().map(|(id, name, ticks)| (*id, ((*name).to_owned(), *ticks))).collect()
}

fn of(findings: &[Finding], check: &str) -> Finding {
    let found = findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no finding on {check}: {findings:#?}")).clone()
}

#[test]
fn a_quiet_machine_of_its_own_has_nothing_to_mend() {
    let findings = judge(&bare_metal());
    let other: Vec<_> = findings.iter().filter(|finding| finding.level != Level::Ok).collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(findings.len() > 15, "{findings:#?}");
    assert!(text(&findings).ends_with("Nothing was found that spoils a measurement.\n"));
}

#[test]
fn under_wsl_the_windows_disk_spoils_and_what_wslconfig_does_not_set_is_named() {
    let findings = judge(&wsl2());
    assert_eq!(of(&findings, "wsl").level, Level::Note);
    let limits = of(&findings, "wsl limits");
    assert!(
        limits.level == Level::Note && limits.found.contains("memory 12GB, processors not set"),
        "{limits:?}"
    );
    let data = of(&findings, "data folder");
    assert!(data.level == Level::Spoils && data.found.contains("9p, mounted at /mnt/c"), "{data:?}");
    assert!(data.mend.contains("Linux file system"));
    assert_eq!(of(&findings, "clock source").level, Level::Ok);
    assert_eq!(of(&findings, "virtualisation").level, Level::Note);
    assert_eq!(of(&findings, "huge pages").level, Level::Note);

    let set = Facts { wslconfig: Some("[wsl2]\nmemory=12GB\nprocessors=6\n".to_owned()), ..wsl2() };
    assert_eq!(of(&judge(&set), "wsl limits").level, Level::Ok);
    let first = Facts { kernel: "4.4.0-19041-Microsoft".to_owned(), ..wsl2() };
    assert_eq!(of(&judge(&first), "wsl").level, Level::Spoils);
}

#[test]
fn in_a_container_its_limits_and_a_disk_in_memory_spoil() {
    let findings = judge(&container());
    let quota = of(&findings, "container's CPU limit");
    assert!(quota.level == Level::Spoils && quota.found.contains("1.50 of 8"), "{quota:?}");
    assert!(quota.found.contains("held back 9 times"), "{quota:?}");
    assert_eq!(of(&findings, "container's memory limit").level, Level::Note);
    assert_eq!(of(&findings, "data folder").level, Level::Spoils);
    assert_eq!(of(&findings, "virtualisation").found, "container");
    assert_eq!(of(&findings, "open files").level, Level::Note);
    let image = Facts { data: PathBuf::from("/var/lib"), ..container() };
    assert_eq!(of(&judge(&image), "data folder").level, Level::Note);
}

#[test]
fn other_work_is_named_and_what_the_host_took_is_told_apart() {
    let busy = Facts {
        stat: ["cpu  1000 0 1000 100000 10 0 5 0 0 0", "cpu  1300 0 1100 100300 10 0 5 100 0 0"]
            .map(str::to_owned),
        processes: [
            processes(&[(7, "rustc", 100), (8, "firefox", 10), (9, "ended", 5)]),
            processes(&[(7, "rustc", 199), (8, "firefox", 50), (10, "begun", 90)]),
        ],
        ..bare_metal()
    };
    let findings = judge(&busy);
    let others = of(&findings, "other load");
    assert_eq!(others.level, Level::Spoils);
    assert_eq!(
        others.found,
        "50 % of all processors in a second, load average 0.10; rustc 99 % of one, firefox 40 % of one"
    );
    let steal = of(&findings, "steal");
    assert!(steal.level == Level::Spoils && steal.found.starts_with("12.5 %"), "{steal:?}");
    assert!(text(&findings).contains("2 things spoil"), "{}", text(&findings));
}

#[test]
fn each_other_check_has_its_threshold() {
    type Change = fn(&mut Facts);
    let changes: [(&str, Level, Change); 14] = [
        ("build", Level::Spoils, |facts| facts.debug_build = true),
        ("cores", Level::Note, |facts| facts.cpuinfo = "processor : 0\nprocessor : 1\n".to_owned()),
        ("cores", Level::Spoils, |facts| facts.cpuinfo = "processor : 0\n".to_owned()),
        ("clock source", Level::Spoils, |facts| facts.clock_source = "hpet".to_owned()),
        ("governor", Level::Note, |facts| facts.governor = "powersave".to_owned()),
        ("turbo", Level::Note, |facts| facts.boost = "1".to_owned()),
        ("swap", Level::Spoils, |facts| facts.vmstat[1] = "pswpin 8\npswpout 9".to_owned()),
        ("swap", Level::Note, |facts| facts.meminfo = facts.meminfo.replace("SwapFree: 8", "SwapFree: 7")),
        ("memory", Level::Note, |facts| facts.meminfo = facts.meminfo.replace("28000000", "1000000")),
        ("ports", Level::Spoils, |facts| {
            facts.sockets = "TCP: inuse 3 orphan 0 tw 15000 alloc 5 mem 8".to_owned()
        }),
        ("ports", Level::Note, |facts| facts.ports = "50000 60000".to_owned()),
        ("sleep", Level::Spoils, |facts| facts.sleep_errors_us = vec![3000.0; 9]),
        ("flush to disk", Level::Note, |facts| facts.flushes_ms = vec![25.0; 9]),
        ("flush to disk", Level::Note, |facts| facts.flushes_ms = vec![0.001; 9]),
    ];
    for (check, level, change) in changes {
        let mut facts = bare_metal();
        change(&mut facts);
        let finding = of(&judge(&facts), check);
        assert_eq!(finding.level, level, "{finding:?}");
        assert!(!finding.why.is_empty() && !finding.mend.is_empty(), "{finding:?}");
    }
}

#[test]
fn a_machine_of_which_nothing_can_be_read_has_next_to_no_findings() {
    let found: Vec<String> = judge(&Facts::default()).into_iter().map(|finding| finding.check).collect();
    assert_eq!(found, ["virtualisation", "build"]);
}

#[test]
fn a_process_with_a_hostile_name_cannot_steer_the_terminal() {
    let mut facts = bare_metal();
    facts.processes = [processes(&[(7, "\u{1b}[31m", 0)]), processes(&[(7, "\u{1b}[31m", 90)])];
    assert!(!text(&judge(&facts)).contains('\u{1b}'));
}

#[test]
fn the_program_looks_at_this_machine_in_words_and_as_json_and_fails_only_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(["doctor", "--data"]).arg(folder.path()).args(more).output().unwrap()
    };
    let output = doctor(&["--json", "--strict"]);
    let findings: Vec<Finding> = serde_json::from_slice(&output.stdout).unwrap();
    for check in ["cores", "other load", "data folder", "sleep", "flush to disk", "open files"] {
        of(&findings, check);
    }
    let spoilt = findings.iter().any(|finding| finding.level == Level::Spoils);
    assert_eq!(output.status.code(), Some(i32::from(spoilt)));
    // The tests are built without optimisation.
    assert!(spoilt == cfg!(debug_assertions) || spoilt);
    let output = doctor(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("flush to disk"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays behind");
}
