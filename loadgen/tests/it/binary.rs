//! The program itself: exit codes, the report and the outcome file.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pipeline::outcomes::{Outcome, read};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::{Answer, start};

/// Valid runs here are slow, 10 or 20 requests a second: the last one may then be late by tens of milliseconds before
/// the rate counts as missed, which a busy machine needs.
fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_writes_its_report_and_each_order_s_outcome() {
    let (url, _) = start(|got| Answer::Reply(if got.order_ids() == ["cli-7"] { 422 } else { 202 }, ""));
    let dir = tempfile::tempdir().unwrap();
    let (report, outcomes) = (dir.path().join("report.json"), dir.path().join("outcomes.zst"));
    let output = loadgen(&[
        "run",
        "--url",
        &url,
        "--rate",
        "20",
        "--duration",
        "1s",
        "--min-achieved",
        "0.1",
        "--max-delay",
        "1m",
        "--connections",
        "2",
        "--run-id",
        "cli",
        "--report",
        report.to_str().unwrap(),
        "--outcomes",
        outcomes.to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("result     valid"), "{text}");
    assert_eq!(output.status.code(), Some(0));

    let report = json(&report);
    assert_eq!(report["schema"], "tillflow.loadgen.v1");
    assert_eq!((&report["valid"], &report["sent"]), (&true.into(), &20.into()));
    assert_eq!((&report["accepted"], &report["rejected"]), (&19.into(), &1.into()));
    assert_eq!(report["rejections"]["status_422"], 1);
    assert_eq!(report["latency_ms"]["response"]["count"], 20);
    assert_eq!(report["series"][0]["due"], 20);
    assert_eq!(report["plan"]["rate"], 20.0);
    assert_eq!((&report["payload"]["seed"], &report["payload"]["orders"]), (&1.into(), &20.into()));
    assert!(report["payload"]["fingerprint"].as_str().unwrap().starts_with("xxh3:"));
    assert!(report["timer_error_us"]["p99"].is_number());

    let mut lines = 0;
    read(&outcomes, |order_id, outcome| {
        let expected = if order_id == "cli-7" { Outcome::Rejected } else { Outcome::Accepted };
        assert_eq!((order_id, outcome), (&*format!("cli-{lines}"), expected));
        lines += 1;
    })
    .unwrap();
    assert_eq!(lines, 20);
}

#[test]
fn any_body_can_be_sent_to_any_server() {
    let (url, log) = start(|_| Answer::Reply(200, "thanks"));
    let dir = tempfile::tempdir().unwrap();
    let body = dir.path().join("body");
    std::fs::write(&body, "hello").unwrap();
    let output = loadgen(&[
        "run",
        "--url",
        &url,
        "--method",
        "PUT",
        "--header",
        "content-type: text/plain",
        "--body-file",
        body.to_str().unwrap(),
        "--rate",
        "10",
        "--duration",
        "1s",
        "--min-achieved",
        "0.1",
        "--max-delay",
        "1m",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 10);
    assert!(log.iter().all(|got| got.body == "hello" && got.content_type == "text/plain"));
}

#[test]
fn a_run_that_is_not_valid_ends_with_1_and_one_that_cannot_be_with_2() {
    let (url, _) = start(|_| Answer::Hangup);
    let short = ["--rate", "100", "--duration", "100ms", "--retry-for", "0s"];
    let output = loadgen(&[&["run", "--url", &url], short.as_slice()].concat());
    assert!(String::from_utf8_lossy(&output.stdout).contains("10 orders are still unknown"));
    assert_eq!(output.status.code(), Some(1));

    let output = loadgen(&["run", "--url", "ftp://127.0.0.1/"]);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("loadgen: failed to prepare the target"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(loadgen(&["run", "--url", &url, "--duration", "ten"]).status.code(), Some(2));
    assert_eq!(loadgen(&["run", "--url", &url, "--rate", "0"]).status.code(), Some(2));
}

#[test]
fn ctrl_c_ends_the_schedule_and_the_report_is_of_what_was_done() {
    let (url, log) = start(|_| Answer::Reply(202, ""));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["run", "--url", &url, "--rate", "100", "--duration", "60s", "--report"])
        .arg(&path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.lock().unwrap().len() < 30 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap();
    let report = json(&path);
    let sent = report["sent"].as_u64().unwrap();
    assert!((30..5_000).contains(&sent), "{sent}");
    assert_eq!((report["accepted"].as_u64(), log.lock().unwrap().len() as u64), (Some(sent), sent));
    assert!(report["broken_off_after_seconds"].as_f64().unwrap() < 50.0);
}
