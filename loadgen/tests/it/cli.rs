//! The program as people call it: exit codes, Ctrl-C, and what it refuses.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::servers::{Answer, Server};

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().unwrap()
}

#[test]
fn ctrl_c_gives_a_full_report_of_what_was_done() {
    let server = Server::plain(Answer::default());
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["run", "--url", &server.url, "--rate", "100", "--duration", "10m", "--progress"])
        .args(["--min-achieved", "0.1", "--max-delay", "60s", "--max-cpu", "2", "--report"])
        .arg(report.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert!(text.contains("broken off after"), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(report.path()).unwrap()).unwrap();
    // It has what was due until then, but for what came due in that very moment, and no reason against the rest.
    let [due, sent] = ["due", "sent"].map(|count| json[count].as_u64().unwrap());
    assert!(sent >= 50 && (sent..sent + 50).contains(&due), "{json:#}");
    assert!(!json["reasons"].to_string().contains("not sent"), "{json:#}");
    assert!(json["broken_off_after_seconds"].as_f64().unwrap() < 60.0);
}

#[test]
fn a_run_that_is_not_valid_exits_with_1_and_says_why() {
    let output =
        loadgen(&["run", "--url", "http://127.0.0.1:1/", "--rate", "20", "--duration", "100ms", "--no-body"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("NOT VALID") && text.contains("attempts to open a connection"), "{text}");
}

#[test]
fn what_cannot_be_run_exits_with_2_and_says_why() {
    for (arguments, why) in [
        (&["--url", "ftp://x/"][..], "must look like http://host:port/path"),
        (&["--url", "http://127.0.0.1:1/", "--rate", "0"], "the rate must be from"),
        (&["--url", "http://127.0.0.1:1/", "--streams", "2"], "needs HTTP/2"),
        (&["--url", "http://127.0.0.1:1/", "--closed"], "give --orders"),
        (&["--url", "http://127.0.0.1:1/", "--speed", "2"], "needs the instants"),
        (&["--url", "http://127.0.0.1:1/", "--workload", "/no/such"], "read the workload /no/such"),
        (&["--url", "https://127.0.0.1:1/", "--ca", "/no/such", "--no-body"], "prepare TLS"),
        (&["--url", "http://127.0.0.1:1/", "--malformed", "2"], "from 0 to 1"),
        (&["--url", "http://127.0.0.1:1/", "--method", "GET", "--batch", "20"], "the batch must be 1"),
    ] {
        let output = loadgen(&[&["run"], arguments].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
}
