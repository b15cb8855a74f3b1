//! Upgrades: processors of equal rules take over from each other one by one; those of different ones do not run side by
//! side, also where they have nothing to store.
//!
//! The other build is this one with another default price, which decides sums; or the program that `TILLFLOW_OTHER_BUILD`
//! names, which `tests/upgrade/build` makes with another rule number.

use crate::scale::{Ending, metric, nothing_is_lost_or_doubled, senders, shared, stores_on};
use crate::separate::Separate;
use crate::ways::crash::clients::{Client, Gate};
use crate::ways::place::Place;
use crate::ways::process::{Process, program, spawn_build};
use crate::ways::wait::{DEADLINE, eventually};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Starts a processor of the other build and waits for nothing.
fn spawn_other(place: &Place, log: Stdio) -> Child {
    match std::env::var_os("TILLFLOW_OTHER_BUILD") {
        Some(path) => spawn_build(Command::new(path), "process", &place.settings(&[]), log),
        None => spawn_build(program(), "process", &place.settings(&["order.default_price=301.00"]), log),
    }
}

/// Starts a processor once it may, which is when the last blocks of those with other rules are 10 seconds old.
fn start_when_it_may(spawn: impl Fn() -> Child) -> Process {
    let started = Instant::now();
    loop {
        if let Some(process) = Process::up_unless_it_ends(spawn()) {
            return process;
        }
        assert!(started.elapsed() < DEADLINE, "it does not start");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Asserts that the other build refuses to start, and says why.
fn refused(place: &Place) {
    let output = spawn_other(place, Stdio::piped()).wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("do not run side by side"), "{error}");
}

#[test]
#[ignore = "needs the servers"]
fn a_processor_of_other_rules_does_not_start_beside_one_that_has_nothing_to_do() {
    let place = &Place::on(Separate::new("idle_rules"));
    let first = place.start_part("process", &[], None);
    shared(&[(&first, 6.0)]);
    refused(place);
    let second = place.start_part("process", &["process.block_interval=2s"], None);
    shared(&[(&first, 3.0), (&second, 3.0)]);
    refused(place);
    assert_eq!((first.terminate(), second.terminate()), (Some(0), Some(0)));
    let other = start_when_it_may(|| spawn_other(place, Stdio::null()));
    shared(&[(&other, 6.0)]);
}

#[test]
#[ignore = "needs the servers"]
fn upgrades_and_rollbacks_under_load_lose_and_double_nothing() {
    let place = &Place::on(Separate::new("upgrade"));
    let mut clients: Vec<_> = (0..2).map(|number| Client::new(number, 7)).collect();
    let gates = [Gate::default()];
    thread::scope(|scope| {
        let _ending = Ending(&gates);
        let ingest = place.start_part("ingest", &[], None);
        senders(scope, &mut clients, &gates);
        gates[0].open(ingest.orders.unwrap());
        let first = place.start_part("process", &[], None);
        stores_on(&first);
        // Equal rules: one after the other.
        let second = place.start_part("process", &["process.block_interval=50ms"], None);
        shared(&[(&first, 3.0), (&second, 3.0)]);
        assert_eq!(first.terminate(), Some(0));
        shared(&[(&second, 6.0)]);
        stores_on(&second);
        // Other rules: all of the old ones stop first. Ingest goes on.
        refused(place);
        assert_eq!(second.terminate(), Some(0));
        let other = start_when_it_may(|| spawn_other(place, Stdio::null()));
        shared(&[(&other, 6.0)]);
        stores_on(&other);
        // And back.
        assert_eq!(other.terminate(), Some(0));
        let back =
            start_when_it_may(|| spawn_build(program(), "process", &place.settings(&[]), Stdio::null()));
        eventually("it goes on", || metric(&back, "tillflow_store_orders_total") > 0.0);
        assert_eq!(back.terminate(), Some(0));
    });
    let last = place.start_part("process", &[], None);
    nothing_is_lost_or_doubled(place, &mut clients);
    assert_eq!(last.terminate(), Some(0));
}
