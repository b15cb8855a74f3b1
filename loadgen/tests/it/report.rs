//! The report: its published schema, its fingerprint, and the logs and metrics beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Value, json};

use crate::servers::{Answer, Server};

fn loadgen() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn report(arguments: &[&str], path: &Path) -> Value {
    let output = loadgen().arg("run").args(arguments).arg("--report").arg(path).output().unwrap();
    let text = fs::read(path).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn reports_of_all_kinds_keep_to_the_schema_that_the_program_prints() {
    let schema = loadgen().arg("schema").output().unwrap().stdout;
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let calibration = folder.path().join("calibration.json");
    fs::write(&calibration, CALIBRATION).unwrap();
    let server = Server::plain(Answer::default());
    let body = folder.path().join("body");
    fs::write(&body, "{}").unwrap();
    let (url, body) = (server.url.as_str(), body.to_str().unwrap());
    let refused = "http://127.0.0.1:1/";
    let runs: [&[&str]; 6] = [
        &["--url", url, "--rate", "200", "--duration", "300ms"],
        &["--url", url, "--rate", "200", "--duration", "300ms", "--body-file", body, "--expect", "404"],
        &["--url", url, "--duration", "200ms", "--closed", "--no-body", "--connections", "2"],
        &["--url", refused, "--rate", "50", "--duration", "200ms", "--retry-for", "0s"],
        &[
            "--url",
            url,
            "--rate",
            "50",
            "--duration",
            "100ms",
            "--calibration",
            calibration.to_str().unwrap(),
        ],
        &[
            "--url",
            url,
            "--rate",
            "50",
            "--duration",
            "100ms",
            "--http2",
            "--streams",
            "3",
            "--max-in-flight",
            "5",
        ],
    ];
    for arguments in runs {
        let report = report(arguments, &folder.path().join("report.json"));
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{arguments:?}");
        assert_eq!(report["valid"] == json!(true), report["reasons"] == json!([]));
        for latency in ["delay", "service", "response"] {
            assert!(report["latency_ms"][latency]["p95"].is_number());
        }
    }
    // The schema can fail.
    for wrong in [json!({}), json!({"schema": "tillflow.loadgen.v1"})] {
        assert!(!validator.is_valid(&wrong));
    }
}

#[test]
fn the_same_load_has_the_same_fingerprint_and_another_has_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::plain(Answer::default());
    let of = |more: &[&str]| {
        let arguments = [&["--url", &server.url, "--duration", "50ms", "--run-id", "r"], more].concat();
        report(&arguments, &folder.path().join("report.json"))["fingerprint"].as_str().unwrap().to_owned()
    };
    assert_eq!(of(&["--rate", "100"]), of(&["--rate", "100", "--connections", "3"]));
    let others = [
        of(&["--rate", "100"]),
        of(&["--rate", "120"]),
        of(&["--rate", "100", "--seed", "2"]),
        of(&["--rate", "100", "--malformed", "0.9"]),
        of(&["--rate", "100", "--batch", "2"]),
    ];
    assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len());
}

#[test]
fn the_interval_log_holds_each_order_once_a_latency() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::plain(Answer::default());
    let log = folder.path().join("run.hlog");
    let arguments = ["--url", &server.url, "--rate", "100", "--duration", "1500ms", "--hdr-log"];
    let arguments = [&arguments[..], &[log.to_str().unwrap()]].concat();
    let report = report(&arguments, &folder.path().join("report.json"));
    let bytes = fs::read(&log).unwrap();
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for entry in IntervalLogIterator::new(&bytes) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let packed =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, interval.encoded_histogram())
                .unwrap();
        let histogram: hdrhistogram::Histogram<u64> =
            hdrhistogram::serialization::Deserializer::new().deserialize(&mut packed.as_slice()).unwrap();
        *counts.entry(interval.tag().unwrap().as_str().to_owned()).or_default() += histogram.len();
    }
    assert_eq!(report["sent"], json!(150));
    let expected = ["delay", "response", "service"].map(|tag| (tag.to_owned(), 150));
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_running_generator_serves_metrics() {
    let server = Server::plain(Answer::default());
    // The port is taken by the kernel and given back, so that the test knows it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = loadgen()
        .args(["run", "--url", &server.url, "--rate", "100", "--duration", "60s", "--progress"])
        .args(["--metrics-listen", &free.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A line says that a second is over.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    let mut stream = TcpStream::connect(free).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(text.contains("loadgen_asked_orders_per_second 100\n"), "{text}");
    let accepted =
        text.lines().find_map(|line| line.strip_prefix("loadgen_orders_total{outcome=\"accepted\"} "));
    assert!(accepted.unwrap().parse::<f64>().unwrap() > 0.0, "{text}");
}

const CALIBRATION: &str = r#"{
    "schema": "tillflow.loadgen.calibration.v1", "processors": 2, "kernel": "6.1", "connections": 50,
    "ceiling_per_second": 45000.0, "spin_helps": true, "spin_us": 150.0,
    "rows": [{"rate": 1000.0, "achieved": 1.0, "valid": true, "spin_us": 0.0,
        "timer_error_us": {"p50": 40.0, "p99": 80.0, "max": 900.0},
        "delay_ms": {"p50": 0.1, "p90": 0.1, "p95": 0.1, "p99": 0.2, "p999": 0.3, "max": 1.0, "mean": 0.1, "count": 9},
        "cpu_us_per_request": 40.0}]
}"#;
