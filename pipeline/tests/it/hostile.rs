//! Hostile clients: ten thousand requests of which each is wrong in a way of its own, with good orders among them. Each
//! wrong one gets the status and the reason that it must, the process neither ends nor grows, and each good order is
//! stored exactly once.

mod attacks;
mod bytes;
mod flood;
mod heavy;
mod http2;
mod orders;
mod requests;
mod send;
mod slow;

use crate::support::{Pipeline, balanced, ledger};
use attacks::{Answer, Attack, attack};
use bytes::{Random, good, post};
use heavy::{heavy, held_back, reset, speak_http2};
use pipeline::order::Reason;
use pipeline::outcomes::OutcomeWriter;
use pipeline::receive::Refusal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use send::{Connection, Tally, send, send_good};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const SEED: u64 = 20_260_115;
/// Requests in all, of which the light ones are what the others leave.
const REQUESTS: usize = 10_000;
const IDLE: usize = 1_000;
/// What is sent in each of two rounds beside light attacks: bodies held back, resets, HTTP/2, each heavy kind so often.
const HELD_BACK: usize = 20;
const RESETS: usize = 200;
const HTTP2: usize = 30;
const HEAVY: usize = 4;
/// What the process may grow by in the second round, in KiB, and how large it may be at its peak. The heaviest request
/// makes its thread's allocator take some 16 MiB, of which it keeps a part, and by chance that is in the second round.
const GROWTH: u64 = 16 << 10;
const PEAK: u64 = 128 << 10;

#[test]
fn ten_thousand_hostile_requests_do_no_harm_to_the_good_orders_among_them() {
    allow_files(3 * IDLE as u64);
    let dir = tempfile::tempdir().unwrap();
    // Idle connections outlast the test; a body that does not come is given up on soon. SQLite's caches fill by design,
    // so they are small.
    let settings = ["receive.head_timeout=60s", "receive.body_timeout=1500ms", "embedded.cache_bytes=1MiB"];
    let pipeline = Pipeline::start(dir.path(), &settings);
    let fresh = pipeline.memory().0;
    let mut idle: Vec<Connection> = (0..IDLE).map(|_| Connection::open(pipeline.orders)).collect();
    // Half of them have sent half a head.
    for connection in idle.iter_mut().step_by(2) {
        connection.write(b"POST /v1/orders HTTP/1.1\r\nhost: t\r\n");
    }
    let heavy = heavy();
    let light = REQUESTS - 2 * (RESETS + HELD_BACK + HTTP2 + HEAVY * heavy.len());
    let mut tally = round(pipeline.orders, 0..light / 3, &heavy);
    let before = pipeline.memory().0;
    tally.add(round(pipeline.orders, light / 3..light, &heavy));
    let (after, peak) = pipeline.memory();
    println!(
        "{} hostile requests and {} good orders; {fresh} KiB fresh, {before} before, {after} after, {peak} at its peak",
        tally.requests,
        tally.orders.len()
    );
    assert_eq!(tally.requests, REQUESTS as u64);

    // Those that did nothing all the while are served like all others.
    for (number, connection) in idle.iter_mut().enumerate() {
        let answer = Answer::Accepted(format!("idle-{number}"));
        let order = post("", good(&format!("idle-{number}")).as_bytes());
        let sent = if number % 2 == 0 { "POST /v1/orders HTTP/1.1\r\nhost: t\r\n".len() } else { 0 };
        connection.write(&order[sent..]);
        assert_eq!(connection.read().expect("an idle connection is still open").status, 202);
        tally.count(&answer);
    }
    check_metrics(&pipeline, &tally);
    check_ids(dir.path(), &tally);
    assert_eq!(pipeline.terminate(), Some(0), "the process has neither panicked nor ended");
    assert!(after < before + GROWTH, "{before} KiB before, {after} KiB after");
    assert!(peak < PEAK, "{peak} KiB at its peak");
}

/// Sends those light attacks, and the others, from several threads at once, with good orders among them.
fn round(address: SocketAddr, light: Range<usize>, heavy: &[Attack]) -> Tally {
    let stop = AtomicBool::new(false);
    let seed = |number: usize| Random(SEED + (light.start + number) as u64);
    let at = |part: usize| light.start + light.len() * part / 3;
    let collect = |send: &dyn Fn(&mut Tally)| {
        let mut tally = Tally::default();
        send(&mut tally);
        tally
    };
    thread::scope(|scope| {
        let names = [0, 1].map(|sender| format!("good-{}-{sender}", light.start));
        let good = names.map(|name| {
            let stop = &stop;
            scope.spawn(move || send_good(address, &name, stop))
        });
        let mut hostile = Vec::new();
        for part in 0..3 {
            let range = at(part)..at(part + 1);
            // Each has a seed of its own, so that it does not matter which thread sends it.
            let send_all = move |tally: &mut Tally| {
                for number in range.clone() {
                    send(address, &attack(&mut Random(SEED + number as u64), number), tally);
                }
            };
            hostile.push(scope.spawn(move || collect(&send_all)));
        }
        let each = || heavy.iter().cycle().take(HEAVY * heavy.len());
        hostile.push(
            scope.spawn(move || collect(&|tally| each().for_each(|attack| send(address, attack, tally)))),
        );
        hostile.push(scope.spawn(move || collect(&|tally| held_back(address, HELD_BACK, tally))));
        hostile.push(scope.spawn(move || {
            collect(&|tally| {
                (0..RESETS).for_each(|number| reset(address, &mut seed(number), tally));
                (0..HTTP2).for_each(|number| speak_http2(address, &mut seed(number), tally));
            })
        }));
        let mut tally = Tally::default();
        hostile.into_iter().for_each(|sender| tally.add(sender.join().unwrap()));
        stop.store(true, Ordering::Relaxed);
        good.into_iter().for_each(|sender| tally.add(sender.join().unwrap()));
        tally
    })
}

/// Each reason was counted as often as it was given.
fn check_metrics(pipeline: &Pipeline, tally: &Tally) {
    let counted = |name: &str, label: &str, value: &dyn std::fmt::Display| {
        pipeline.metric(&format!("tillflow_{name}_total{{{label}=\"{value}\"}}"))
    };
    for reason in Reason::ALL.map(Reason::tag) {
        let given = tally.rejected.get(reason).copied().unwrap_or(0);
        assert_eq!(counted("validate_rejections", "reason", &reason), given as f64, "{reason}");
    }
    // A connection that is reset in the middle of a body is counted, though nobody hears of it.
    let unheard = |holds: bool| if holds { (2 * RESETS) as f64 } else { 0.0 };
    for reason in Refusal::ALL.map(Refusal::tag) {
        let given = tally.refused.get(reason).copied().unwrap_or(0) as f64;
        let counted = counted("receive_refusals", "reason", &reason);
        let most = given + unheard(reason == "body_broken");
        assert!((given..=most).contains(&counted), "{reason}: {given} given, {counted} counted");
    }
    for (status, given) in &tally.statuses {
        let (given, counted) = (*given as f64, counted("receive_requests", "status", status));
        let most = given + unheard(*status == 400);
        assert!((given..=most).contains(&counted), "{status}: {given} given, {counted} counted");
    }
    assert_eq!(pipeline.metric("tillflow_receive_in_flight_requests"), 0.0);
    assert_eq!(pipeline.metric("tillflow_receive_in_flight_bytes"), 0.0);
}

/// The log has the orders that were accepted, each once, and no other.
fn check_ids(dir: &Path, tally: &Tally) {
    let path = dir.join("outcomes.zst");
    let mut writer = OutcomeWriter::create(&path).unwrap();
    for (id, outcome) in &tally.orders {
        writer.write(id, *outcome).unwrap();
    }
    writer.finish().unwrap();
    let total = &balanced(dir)["total"];
    let accepted = tally.orders.len();
    assert_eq!(
        (&total["orders"], &total["duplicates"], &total["dead"]),
        (&accepted.into(), &0.into(), &0.into())
    );
    let books = ledger(dir, &["--outcomes", path.to_str().unwrap()]);
    assert_eq!(books["balanced"], true, "{books:#}");
    let ids = &books["ids"];
    assert_eq!(
        (&ids["accepted"], &ids["lost"], &ids["not_told"]),
        (&accepted.into(), &0.into(), &0.into()),
        "{ids:#}"
    );
}

/// Lets this process, and the server that it starts, open so many files.
fn allow_files(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum })
            .expect("the hard limit is enough");
    }
}
