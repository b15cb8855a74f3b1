//! The test that tells honest generators from others: the server stands still for two seconds of ten.
//!
//! 1,000 requests/s for 10 s, the server stopped from 4 s to 6 s. A request due at 4 + x has its reply at 6 s, so a
//! fifth of all wait, evenly up to 2 s: of due -> reply the mean is 0.2 s, the 90th percentile 1.0 s, the 99th 1.9 s,
//! the longest 2.0 s. A generator that times from the sending, or that sends no more than its connections hold, reports
//! milliseconds.
//!
//! It asserts on time, as few tests may: what it looks for is seconds, and it runs alone.
#![cfg(test)]

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use loadgen::payload::{CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, generate};
use loadgen::plan::Plan;
use loadgen::report::latency_ms;
use loadgen::run::run;
use rustix::process::{Pid, Signal, kill_process};

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

#[test]
fn a_stall_of_two_seconds_is_seen_by_each_request_that_was_due_in_it() {
    let void = Void::start();
    let plan = Plan::new(format!("{}/v1/orders", void.url), 1_000.0, Duration::from_secs(10));
    let spec = GenerateSpec {
        orders: 10_000,
        seed: 1,
        run_id: "stall".to_owned(),
        created_at: CreatedAt::Absent,
        max_bytes: DEFAULT_MAX_BYTES,
    };
    let payload = Arc::new(generate(&spec).unwrap());
    let result = thread::scope(|scope| {
        let (tell, told) = mpsc::channel::<Duration>();
        // The observer is called too seldom to time the stall, but it knows when the schedule began.
        scope.spawn(|| {
            let Some(elapsed) = told.into_iter().next() else { return };
            thread::sleep(Duration::from_secs(4).saturating_sub(elapsed));
            void.signal(Signal::STOP);
            thread::sleep(Duration::from_secs(2));
            void.signal(Signal::CONT);
        });
        run(&plan, &payload, move |progress| {
            tell.send(progress.elapsed).unwrap_or(());
            ControlFlow::Continue(())
        })
        .unwrap()
    });

    let delay = latency_ms(&result.latencies.delay);
    let service = latency_ms(&result.latencies.service);
    let response = latency_ms(&result.latencies.response);
    println!("delay {delay:?}\nservice {service:?}\nresponse {response:?}");
    assert_eq!((result.counts.sent, result.counts.accepted), (10_000, 10_000));
    assert!((response.p90 - 1_000.0).abs() < 100.0, "p90 {}", response.p90);
    assert!((response.p99 - 1_900.0).abs() < 100.0, "p99 {}", response.p99);
    assert!((response.max - 2_000.0).abs() < 100.0, "max {}", response.max);
    assert!((response.mean - 200.0).abs() < 30.0, "mean {}", response.mean);
    // The trap: by service alone, 50 requests of 10,000 were slow and the 99th percentile saw nothing.
    assert!(service.p99 < 500.0, "p99 of service {}", service.p99);
    // The generator says that it could not send in time.
    assert!(!result.valid());
}
