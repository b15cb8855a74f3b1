//! `bench compare` on result directories as they are written: with HdrHistogram's logs, and its exit codes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bench::faults::random::Random;
use bench::report::Report;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde_json::{Value, json};

use crate::sample;

const SECONDS: u64 = 20;

/// A result of some runs whose responses take about `ms`.
fn write_result(folder: &Path, runs: u64, ms: f64, report: &Report) {
    let names: Vec<String> = (1..=runs).map(|run| run.to_string()).collect();
    for (name, seed) in names.iter().zip(0..) {
        write_run(&folder.join("runs").join(name), seed, ms, report);
    }
    let result = json!({"schema": "tillflow.result.v1", "runs": names, "case": {"rate": 2000}});
    fs::write(folder.join("result.json"), result.to_string()).unwrap();
}

fn write_run(folder: &Path, seed: u64, ms: f64, report: &Report) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("report.json"), report.to_json().unwrap()).unwrap();
    write_log(&folder.join("response.hlog"), None, seed, ms);
}

fn write_log(path: &Path, tag: Option<&str>, seed: u64, ms: f64) {
    let mut file = File::create(path).unwrap();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new().begin_log_with(&mut file, &mut serializer).unwrap();
    let mut random = Random::new(seed, 0);
    for second in 0..SECONDS {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000_000, 3).unwrap();
        let hundredth = u64::try_from(Duration::from_secs_f64(ms / 1e5).as_nanos()).unwrap();
        for _ in 0..500 {
            let percent = 60 + random.below(80);
            histogram.record(hundredth * percent).unwrap();
        }
        let (start, one) = (Duration::from_secs(second), Duration::from_secs(1));
        log.write_histogram(&histogram, start, one, tag.and_then(Tag::new)).unwrap();
    }
}

fn compare(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .current_dir(folder)
        .arg("compare")
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn two_results_are_compared_by_their_logs_and_the_exit_code_says_worse() {
    let folder = tempfile::tempdir().unwrap();
    let [fast, same, slow] = ["fast", "same", "slow"].map(|name| folder.path().join(name));
    let report = sample::valid();
    for (place, ms) in [(&fast, 2.0), (&same, 2.0), (&slow, 2.4)] {
        write_result(place, 3, ms, &report);
    }
    let output = compare(folder.path(), &["fast", "slow", "--fail-on", "worse", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&comparison["schema"], &comparison["verdict"]),
        (&"tillflow.compare.v1".into(), &"worse".into())
    );
    let figures = comparison["figures"].as_array().unwrap();
    let p50 = figures.iter().find(|figure| figure["name"] == "response p50").unwrap();
    assert!((p50["a"].as_f64().unwrap() - 2.0).abs() < 0.05, "{p50}");
    assert!((p50["ratio"].as_f64().unwrap() - 1.2).abs() < 0.05, "{p50}");
    assert_eq!(p50["verdict"], "worse");

    let output = compare(folder.path(), &["fast", "slow"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("B is worse: "), "{}", said(&output));
    let output = compare(folder.path(), &["slow", "fast", "--fail-on", "worse"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("B is better: "), "{}", said(&output));
    let output = compare(folder.path(), &["fast", "same", "--fail-on", "worse"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("No difference is shown"), "{}", said(&output));
}

#[test]
fn a_single_report_is_compared_with_the_logs_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ms) in [("a", 2.0), ("b", 8.0)] {
        write_run(&folder.path().join(name), 1, ms, &sample::valid());
    }
    let output = compare(folder.path(), &["a/report.json", "b", "--fail-on", "worse"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("too few runs"), "{}", said(&output));
}

#[test]
fn the_generators_reports_are_compared_with_the_log_that_is_named_like_each() {
    let folder = tempfile::tempdir().unwrap();
    for (name, ms) in [("a", 2.0), ("b", 8.0)] {
        let latency =
            json!({"p50": ms, "p90": ms, "p99": ms, "p999": ms, "max": ms, "mean": ms, "count": 10_000});
        let report = json!({
            "schema": "tillflow.loadgen.v1", "mode": "open loop", "valid": true, "reasons": [],
            "offered_per_second": 500.0, "achieved_per_second": 500.0, "fingerprint": "xxh3:1",
            "latency_ms": {"response": latency},
        });
        fs::write(folder.path().join(format!("{name}.json")), report.to_string()).unwrap();
        write_log(&folder.path().join(format!("{name}.hlog")), Some("response"), 1, ms);
    }
    let output = compare(folder.path(), &["a.json", "b.json", "--json"]);
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(comparison["verdict"], "worse", "{}", said(&output));
    assert_eq!(comparison["a"]["seconds"], SECONDS);
    let ratio = comparison["figures"][0]["ratio"].as_f64().unwrap();
    assert!((ratio - 4.0).abs() < 0.05, "{ratio}");
    let throughput =
        comparison["figures"].as_array().unwrap().iter().find(|figure| figure["name"] == "throughput");
    assert_eq!(throughput.unwrap()["verdict"], "no_difference_shown");
}

#[test]
fn what_cannot_be_compared_exits_with_2_and_names_why() {
    let folder = tempfile::tempdir().unwrap();
    let [good, bad, other] = ["good", "bad", "other"].map(|name| folder.path().join(name));
    write_result(&good, 1, 2.0, &sample::valid());
    write_result(&bad, 1, 2.0, &sample::invalid());
    let mut elsewhere = sample::valid();
    elsewhere.machine.cores = 4;
    write_result(&other, 1, 2.0, &elsewhere);
    for (b, why) in [
        ("bad", "run 1 of B is not valid"),
        ("other", "numbers of processors differ: 16 and 4"),
        ("none", "none"),
    ] {
        let output = compare(folder.path(), &["good", b, "--fail-on", "worse"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    fs::write(good.join("runs/1/response.hlog"), "0,1,2,not a histogram\n").unwrap();
    let output = compare(folder.path(), &["good", "other"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("response.hlog"), "{}", said(&output));
}
