//! `bench latency` and `bench capacity` in miniature, embedded, as the program that they are: a few seconds of load, and then
//! every file of the result directory is looked at.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bench::measurement::Measurement;
use bench::report::Report;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Few enough orders for any machine, and a generator that may be late on a busy one.
const CASE: &str = r#"
title = "Miniature"
objective = "response.p50 <= 10s and ledger balanced"
warm_up = "1s"

[workload]
rate = 100
duration = "4s"
connections = 4
live = true

[target]
way = "embedded"

[limits]
min_achieved = 0.1
max_delay = "10s"
max_cpu = 2

[probes]
per_second = 5
step = "50ms"
"#;

fn bench(folder: &Path, command: &str, case: &str) -> Output {
    fs::write(folder.join("case.toml"), case).unwrap();
    let out = folder.join("result");
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([command.as_ref(), folder.join("case.toml").as_os_str(), "--out".as_ref(), out.as_os_str()])
        .output()
        .unwrap()
}

/// The result, which keeps its published schema.
fn result(folder: &Path, output: &Output) -> Measurement {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json = fs::read_to_string(folder.join("result/result.json"))
        .unwrap_or_else(|error| panic!("{error}: {said}"));
    let schema: Value = serde_json::from_str(include_str!("../../schema/result.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value: Value = serde_json::from_str(&json).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let measurement = Measurement::from_json(&json).unwrap();
    assert!(measurement.valid, "{said}");
    assert!(!folder.join("result/scratch").exists());
    measurement
}

/// How many values an interval log holds, and in which seconds.
fn logged(path: &Path) -> (u64, Vec<u64>) {
    let log = fs::read(path).unwrap();
    let (mut count, mut seconds) = (0, Vec::new());
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        count += histogram.len();
        seconds.push(interval.start_timestamp().as_secs());
    }
    (count, seconds)
}

#[test]
fn a_case_becomes_a_result_directory_with_every_file_and_every_order_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), "latency", CASE);
    let measurement = result(folder.path(), &output);
    let at = |name: &str| folder.path().join("result").join(name);

    // Three of four seconds count, and of them each order at each hop.
    for name in ["delay", "service", "response", "log", "orders", "rollup"] {
        assert_eq!(logged(&at(&format!("runs/1/{name}.hlog"))), (300, vec![1, 2, 3]), "{name}");
    }
    assert_eq!(measurement.latency_ms.rollup.count, 300);
    // A block is written a tenth of a second after its first order at the earliest, and no reply comes in a microsecond.
    let latency = measurement.latency_ms;
    assert!(
        latency.response.p50 > 0.01 && latency.log.p50 > 0.01 && latency.rollup.max > 10.0,
        "{latency:?}"
    );
    let report = Report::from_json(&fs::read_to_string(at("runs/1/report.json")).unwrap()).unwrap();
    assert_eq!((report.ledger.sent, report.ledger.balanced, report.warm_up_seconds), (400, true, 1));

    // A reader saw orders, in both stores, and they are those of which there is a record.
    for hop in ["orders", "rollup"] {
        let compared = &measurement.probes[hop];
        assert!(compared.paired >= 5 && compared.paired <= 15, "{hop}: {compared:?}");
    }
    // Every process that took part was looked at.
    for name in ["embedded", "generator"] {
        let used = &measurement.processes[name];
        assert!(
            used.cpu_seconds > 0.0 && used.memory_peak_bytes > 0 && used.context_switches > Some(0),
            "{name}: {used:?}"
        );
    }
    assert!(measurement.every_run[0].held.iter().all(|held| held.met), "{:?}", measurement.every_run[0].held);

    let summary = fs::read_to_string(at("summary.txt")).unwrap();
    assert_eq!(summary.lines().count(), 2, "{summary}");
    let page = fs::read_to_string(at("report.html")).unwrap();
    for part in
        ["Miniature", "Seen by a reader", "What it cost", "prefers-color-scheme", "The way of an order"]
    {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert!(!page.contains("could not be drawn") && !page.contains("<script") && !page.contains("src="));
    bench::case::Case::read(&at("case.toml")).unwrap();
}

#[test]
fn a_search_ends_at_the_highest_rate_that_may_be_tried_and_shows_its_ladder() {
    let case = CASE
        .replace("[probes]\nper_second = 5\nstep = \"50ms\"", "[capacity]\nmost = 200")
        .replace("duration = \"4s\"", "duration = \"2s\"");
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), "capacity", &case);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let measurement = result(folder.path(), &output);
    let capacity = measurement.capacity.as_ref().unwrap();
    assert_eq!((capacity.found.rate, capacity.found.fails_at), (Some(200.0), None));
    let rates: Vec<f64> = capacity.rungs.iter().map(|rung| rung.rate).collect();
    assert_eq!(rates, [100.0, 200.0, 200.0]);
    assert_eq!(measurement.runs, ["2", "3"]);
    assert_eq!(measurement.latency_ms.response.count, 400);
    let page = fs::read_to_string(folder.path().join("result/report.html")).unwrap();
    assert!(page.contains("200 orders per second hold") && !page.contains("could not be drawn"));
}

/// State and parent of a process, if it is there.
fn state(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// A harness that would be busy for minutes, with two runs into `result` in a folder.
fn minutes(folder: &Path, stderr: Stdio) -> Child {
    let case = CASE.replace("duration = \"4s\"", "duration = \"300s\"");
    fs::write(folder.join("case.toml"), format!("repetitions = 2\n{case}")).unwrap();
    let mut harness = Command::new(env!("CARGO_BIN_EXE_bench"));
    harness.args(["latency".as_ref(), folder.join("case.toml").as_os_str(), "--out".as_ref()]);
    harness.arg(folder.join("result")).stderr(stderr).spawn().unwrap()
}

#[test]
fn a_harness_that_is_killed_leaves_no_pipeline_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = minutes(folder.path(), Stdio::null());
    // Not any other child, as git is one.
    let is_pipeline = |pid: &u32| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split('\0').nth(1) == Some("pipeline")
    };
    let child_of = |parent: u32| {
        let names =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut pids = names.filter_map(|name| name.parse().ok());
        pids.find(|pid| state(*pid).is_some_and(|(_, of)| of == parent) && is_pipeline(pid))
    };
    let until = Instant::now() + Duration::from_secs(60);
    let wait = || {
        assert!(Instant::now() < until, "nothing has happened for a minute");
        std::thread::sleep(Duration::from_millis(20));
    };
    let pipeline = loop {
        match child_of(harness.id()) {
            Some(pid) => break pid,
            None => wait(),
        }
    };
    harness.kill().unwrap();
    harness.wait().unwrap();
    // One that nobody waits for stays as a zombie.
    while state(pipeline).is_some_and(|(state, _)| state != 'Z') {
        wait();
    }
}

#[test]
fn an_interrupted_run_is_not_valid_is_as_long_as_it_was_and_no_other_follows() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = minutes(folder.path(), Stdio::piped());
    let mut lines = BufReader::new(harness.stderr.take().unwrap()).lines().map(Result::unwrap);
    // A line each second, of which the first is warm-up.
    assert!(lines.by_ref().filter(|line| line.contains(" s of 300.0")).nth(2).is_some());
    kill_process(Pid::from_child(&harness), Signal::INT).unwrap();
    let said: Vec<String> = lines.collect();
    assert_eq!(harness.wait().unwrap().code(), Some(2), "{said:?}");
    assert!(said.last().unwrap().contains("interrupted in run 1"), "{said:?}");

    let at = |name: &str| folder.path().join("result").join(name);
    let report = Report::from_json(&fs::read_to_string(at("runs/1/report.json")).unwrap()).unwrap();
    assert!(!report.valid && report.ledger.balanced, "{:?}", report.ledger.differences);
    assert!(report.reasons.iter().any(|reason| reason.contains("interrupted after")), "{:?}", report.reasons);
    assert!((2.0..200.0).contains(&report.duration_seconds), "{}", report.duration_seconds);
    assert!(!at("runs/2").exists() && !at("result.json").exists());
}

#[test]
fn a_case_that_cannot_be_run_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), "capacity", CASE);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no [capacity]"));
    let output = bench(folder.path(), "latency", &CASE.replace("p50 <=", "p49 <="));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("names no figure"));
    assert!(!folder.path().join("result").exists());
}

#[test]
fn every_case_that_is_shipped_can_be_read() {
    let cases = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).unwrap();
    let paths: Vec<_> = cases.map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() >= 4);
    paths.iter().for_each(|path| drop(bench::case::Case::read(path).unwrap()));
}
