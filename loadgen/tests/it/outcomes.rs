//! What becomes of orders: whatever the server does, each has exactly one outcome and the counts add up.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadgen::gauges::Phase;
use loadgen::payload::{CreatedAt, DEFAULT_MAX_BYTES, GenerateSpec, Payload, generate};
use loadgen::plan::Plan;
use loadgen::run::{RunResult, run, unobserved};
use pipeline::outcomes::Outcome;

use crate::server::{Answer, start};

fn payload(orders: usize) -> Arc<Payload> {
    let spec = GenerateSpec {
        orders,
        seed: 1,
        run_id: "test".to_owned(),
        created_at: CreatedAt::Absent,
        max_bytes: DEFAULT_MAX_BYTES,
    };
    Arc::new(generate(&spec).unwrap())
}

/// 200 orders in 0.2 s.
fn plan(url: &str) -> Plan {
    Plan { connections: 4, ..Plan::new(url, 1_000.0, Duration::from_millis(200)) }
}

/// Runs a plan and checks what must hold of every result.
fn run_and_check(plan: &Plan) -> RunResult {
    let payload = payload(plan.orders_asked().unwrap());
    let result = run(plan, &payload, unobserved).unwrap();
    check(&result);
    result
}

fn check(result: &RunResult) {
    for counts in [result.counts, result.first] {
        assert_eq!(counts.sent, counts.accepted + counts.rejected + counts.failed + counts.unknown);
    }
    assert_eq!(result.outcomes.len(), result.schedule.orders());
    assert_eq!(result.outcomes.iter().flatten().count() as u64, result.counts.sent);
    assert_eq!(result.rejections.values().sum::<u64>(), result.counts.rejected);
    assert_eq!(result.series.iter().map(|second| second.due).sum::<u64>(), result.due);
    assert_eq!(result.series.iter().map(|second| second.sent).sum::<u64>(), result.first.sent);
    let accepted = result.series.iter().map(|second| second.accepted).sum::<u64>();
    let not_accepted = result.series.iter().map(|second| second.not_accepted).sum::<u64>();
    assert_eq!((accepted, accepted + not_accepted), (result.first.accepted, result.first.sent));
    let latencies = &result.latencies;
    assert_eq!(latencies.delay.len(), latencies.response.len());
    assert_eq!(latencies.service.len(), latencies.response.len());
}

/// True if the reasons against the run, if any, are only those of a slow machine.
fn settled(result: &RunResult) -> bool {
    !result.reasons.iter().any(|reason| reason.contains("unknown") || reason.contains("connection"))
}

#[test]
fn each_order_is_sent_once_with_the_instant_it_was_due_at() {
    let (url, log) = start(|_| Answer::Reply(202, ""));
    let result = run_and_check(&Plan { threads: 3, connections: 7, ..plan(&url) });
    assert_eq!((result.counts.sent, result.counts.accepted, result.retried), (200, 200, 0));
    assert_eq!(result.latencies.response.len(), 200);
    let log = log.lock().unwrap();
    let mut due: Vec<(u64, String)> =
        log.iter().map(|got| (got.due_at, got.order_ids().pop().unwrap())).collect();
    due.sort_unstable();
    for (i, (due_at, order_id)) in due.iter().enumerate() {
        assert_eq!(*order_id, format!("test-{i}"));
        assert_eq!(due_at - due[0].0, i as u64 * 1_000_000);
    }
    assert!(log.iter().all(|got| got.content_type == "application/json"));
}

#[test]
fn http2_does_the_same() {
    let (url, log) = start(|_| Answer::Reply(202, ""));
    let result = run_and_check(&Plan { http2: true, ..plan(&url) });
    assert_eq!(result.counts.accepted, 200);
    assert_eq!(log.lock().unwrap().len(), 200);
}

#[test]
fn a_mixed_reply_gives_each_order_of_the_batch_its_own_outcome() {
    let (url, log) = start(|got| {
        // The retried orders come alone or in other batches, and are then accepted.
        if got.order_ids().len() < 10 {
            return Answer::Reply(202, "");
        }
        Answer::Reply(
            207,
            r#"{"accepted":7,"rejected":1,"failed":1,"unknown":1,"results":[
                {"index":3,"outcome":"rejected","reason":"total_negative","retry":false},
                {"index":5,"outcome":"failed","reason":"broker_full","retry":true},
                {"index":9,"outcome":"unknown","reason":"broker_timeout","retry":true}]}"#,
        )
    });
    let result = run_and_check(&Plan { batch: 10, ..plan(&url) });
    let first = result.first;
    assert_eq!((first.accepted, first.rejected, first.failed, first.unknown), (140, 20, 20, 20));
    assert_eq!((result.counts.accepted, result.counts.rejected, result.retried), (180, 20, 40));
    assert_eq!(result.rejections, BTreeMap::from([("total_negative".to_owned(), 20)]));
    let failures = BTreeMap::from([("broker_full".to_owned(), 20), ("broker_timeout".to_owned(), 20)]);
    assert_eq!(result.failures, failures);
    // A batch of ten counts ten times, and retries not at all.
    assert_eq!(result.latencies.response.len(), 200);
    assert!(log.lock().unwrap().iter().all(|got| got.content_type == "application/x-ndjson"));
}

#[test]
fn an_invalid_order_is_rejected_for_good_and_its_reason_counted() {
    let reply =
        r#"{"accepted":0,"rejected":1,"results":[{"index":0,"outcome":"rejected","reason":"bad_total"}]}"#;
    let (url, log) = start(move |_| Answer::Reply(422, reply));
    let result = run_and_check(&plan(&url));
    assert_eq!((result.counts.rejected, result.retried), (200, 0));
    assert_eq!(result.rejections, BTreeMap::from([("bad_total".to_owned(), 200)]));
    assert_eq!(log.lock().unwrap().len(), 200);
    assert!(settled(&result), "{:?}", result.reasons);
}

#[test]
fn orders_that_are_to_come_later_do_so_after_the_time_the_server_asked_for() {
    let (url, log) =
        start(|got| if got.number < 50 { Answer::Later(429, 1) } else { Answer::Reply(202, "") });
    let begun = Instant::now();
    let result = run_and_check(&plan(&url));
    assert_eq!((result.first.failed, result.counts.accepted, result.retried), (50, 200, 50));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // They say again when they were due at first: that instant does not change.
    let log = log.lock().unwrap();
    let again = log.iter().skip(200).map(|got| (got.order_ids(), got.due_at));
    let first: BTreeMap<_, _> = log.iter().take(200).map(|got| (got.order_ids(), got.due_at)).collect();
    again.for_each(|(order_ids, due_at)| assert_eq!(first[&order_ids], due_at));
}

#[test]
fn a_server_that_asks_to_be_left_alone_for_ever_is_left_alone_until_retries_end() {
    let (url, _) =
        start(|got| if got.number == 0 { Answer::Later(429, u64::MAX) } else { Answer::Reply(202, "") });
    let retry_for = Duration::from_secs(1);
    let result = run_and_check(&Plan { retry_for, ..plan(&url) });
    assert_eq!((result.counts.accepted, result.counts.failed, result.retried), (199, 1, 0));
}

#[test]
fn a_connection_that_breaks_leaves_its_order_unknown_until_it_is_sent_again() {
    let (url, log) = start(|got| if got.number % 10 == 3 { Answer::Hangup } else { Answer::Reply(202, "") });
    let result = run_and_check(&plan(&url));
    assert_eq!(result.first.unknown, 20);
    // Two of the twenty repeats meet the same fate and go out a third time: each sending counts.
    let sendings = log.lock().unwrap().len() as u64;
    assert_eq!((result.counts.accepted, result.retried, sendings), (200, 22, 222));
    assert!(result.failures["connection_lost"] >= 20);
    assert!(settled(&result), "{:?}", result.reasons);
}

#[test]
fn a_server_that_closes_after_each_reply_loses_nothing() {
    let (url, log) = start(|_| Answer::AcceptAndClose);
    let result = run_and_check(&plan(&url));
    assert_eq!((result.first.accepted, result.retried), (200, 0));
    assert_eq!(log.lock().unwrap().len(), 200);
}

#[test]
fn a_request_without_a_reply_is_given_up_and_its_time_counts() {
    let (url, _) = start(|got| if got.number < 2 { Answer::Silence } else { Answer::Reply(202, "") });
    let timeout = Duration::from_millis(300);
    let result = run_and_check(&Plan { timeout, ..plan(&url) });
    assert_eq!((result.first.unknown, result.failures["timeout"]), (2, 2));
    assert_eq!((result.counts.accepted, result.retried), (200, 2));
    assert!(u128::from(result.latencies.response.max()) >= timeout.as_nanos());
}

#[test]
fn a_reply_that_never_comes_does_not_make_a_busy_generator_look_idle() {
    let (url, _) = start(|got| if got.number == 0 { Answer::Silence } else { Answer::Reply(202, "") });
    let timeout = Duration::from_secs(4);
    let result = run_and_check(&Plan { timeout, retry_for: Duration::ZERO, ..plan(&url) });
    // It worked for the 0.2 s of the schedule, and waited for all the others.
    let thinned = result.cpu.as_secs_f64() / timeout.as_secs_f64();
    assert!(result.cpu_share > 2.0 * thinned, "{} {thinned}", result.cpu_share);
}

#[test]
fn an_order_that_may_be_in_the_log_stays_unknown_when_its_repeats_fail() {
    let (url, _) = start(|got| if got.number == 0 { Answer::Hangup } else { Answer::Reply(503, "") });
    let retry_for = Duration::from_millis(300);
    let result = run_and_check(&Plan { retry_for, orders: Some(2), ..plan(&url) });
    assert_eq!((result.counts.failed, result.counts.unknown), (1, 1));
    assert!(!result.valid());
}

#[test]
fn without_a_server_all_fails_and_the_run_is_not_valid() {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/v1/orders");
    let timeout = Duration::from_millis(500);
    let result = run_and_check(&Plan { timeout, retry_for: Duration::from_millis(200), ..plan(&url) });
    assert_eq!(result.counts.failed, result.counts.sent);
    assert!(result.counts.sent < result.due, "not all could be tried");
    assert_eq!(result.latencies.response.len(), 0);
    assert!(result.connections_not_opened > 0);
    assert!(!result.valid());
}

#[test]
fn a_schedule_that_is_broken_off_reports_what_was_done() {
    let (url, log) = start(|_| Answer::Reply(202, ""));
    let plan = Plan { duration: Duration::from_secs(60), ..plan(&url) };
    let begun = Instant::now();
    let result = run(&plan, &payload(60_000), |progress| {
        let enough = progress.phase == Phase::Schedule && progress.counts.sent >= 200;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    check(&result);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(result.broken_off_after.is_some());
    assert!((200..20_000).contains(&result.counts.sent));
    assert_eq!(log.lock().unwrap().len() as u64, result.counts.sent);
    assert!(result.outcomes.iter().skip(30_000).all(Option::is_none));
    assert_eq!(result.outcomes.first(), Some(&Some(Outcome::Accepted)));
}

#[test]
fn too_few_connections_show_as_delay_and_nothing_is_skipped() {
    let (url, log) = start(|_| {
        // One request at a time, 5 ms each: 200 requests a second where 1,000 are asked for.
        std::thread::sleep(Duration::from_millis(5));
        Answer::Reply(202, "")
    });
    let result = run_and_check(&Plan { connections: 1, ..plan(&url) });
    assert_eq!((result.counts.sent, log.lock().unwrap().len()), (200, 200));
    // The last one is due at 0.2 s and cannot be sent before 199 others have taken 1 s.
    assert!(result.latencies.delay.max() > 700_000_000);
    assert!(!result.valid());
}
