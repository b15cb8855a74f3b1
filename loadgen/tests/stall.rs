//! The test that tells honest generators from others: the server stands still for two seconds of ten.
//!
//! Once it is a process that is stopped, and once the server that `loadgen self-test` brings along. What each percentile
//! must be is arithmetic, see `loadgen::stall`.
//!
//! It asserts on time, as few tests may: what it looks for is seconds, and it runs alone.
#![cfg(test)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use loadgen::report::latency_ms;
use loadgen::stall::{Figure, Stall, Tolerance, self_test};
use rustix::process::{Pid, Signal, kill_process};

/// A tenth of a second for each percentile, since other tests were just built and ran; `loadgen self-test` asks for less by
/// itself.
const ROUGHLY: Tolerance = Tolerance { ms: 100.0, share: 0.0 };
/// The same for the mean, which hides more.
const MEAN_ROUGHLY_MS: f64 = 30.0;
/// One at a time: each needs the machine.
static ALONE: Mutex<()> = Mutex::new(());

/// `loadgen void` in a process of its own, which always ends with the test.
struct Void {
    child: Child,
    url: String,
}

impl Void {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["void", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().to_owned() }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Void {
    fn drop(&mut self) {
        // A stopped process takes no signal but these two.
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap_or(());
        self.child.kill().unwrap_or(());
        self.child.wait().unwrap();
    }
}

fn assert_holds(figures: &[Figure]) {
    for figure in figures {
        assert!(figure.holds, "{figure:?} of {figures:#?}");
    }
    let mean = figures.iter().find(|figure| figure.name == "mean").unwrap();
    assert!((mean.response_ms - mean.truth_ms).abs() < MEAN_ROUGHLY_MS, "{mean:?}");
    // The trap: by service alone, 50 requests of 10,000 were slow and the 99th percentile saw nothing.
    let p99 = figures.iter().find(|figure| figure.name == "p99").unwrap();
    assert!(p99.service_ms < 500.0, "{p99:?}");
}

#[test]
fn a_stall_of_two_seconds_is_seen_by_each_request_that_was_due_in_it() {
    let _alone = ALONE.lock();
    let void = Void::start();
    let result = Stall::USUAL
        .run(&format!("{}/v1/orders", void.url), |length| {
            void.signal(Signal::STOP);
            thread::sleep(length);
            void.signal(Signal::CONT);
        })
        .unwrap();
    assert_eq!((result.counts.sent, result.counts.accepted), (10_000, 10_000));
    let [response, service] = [&result.latencies.response, &result.latencies.service].map(latency_ms);
    assert_holds(&Stall::USUAL.compare(&response, &service, ROUGHLY));
    // The generator says that it could not send in time.
    assert!(!result.valid());
}

#[test]
fn the_self_test_holds() {
    let _alone = ALONE.lock();
    let found = self_test(&Stall::USUAL, ROUGHLY).unwrap();
    assert_holds(&found.figures);
    assert!(found.holds, "{found}");
}
