//! What bounds a run: the limit on requests under way, and the closed loop.

use std::time::Duration;

use bytes::Bytes;
use loadgen::plan::{Bodies, Plan};
use loadgen::report::RunReport;
use loadgen::run::{RunError, run, unobserved};

use crate::servers::{Answer, Server};

fn body() -> Bodies {
    Bodies::Same(Bytes::from_static(b"hello"))
}

#[test]
fn a_request_above_the_limit_waits_is_late_and_is_sent() {
    let server = Server::plain(Answer { after: Duration::from_millis(20), ..Answer::default() });
    // 40 in a fifth of a second, of which two every 20 ms can be under way: the last waits for some 0.2 s.
    let mut plan = Plan::new(&server.url, 200.0, Duration::from_millis(200));
    (plan.connections, plan.max_in_flight) = (10, Some(2));
    let result = run(&plan, body(), unobserved).unwrap();
    assert_eq!((result.counts.accepted, server.seen().len()), (40, 40));
    assert_eq!(server.most_under_way(), 2);
    assert!(result.limited > 10, "{}", result.limited);
    // What it waits for is delay, and not service, whatever the machine adds to both.
    let longest = Duration::from_nanos(result.latencies.delay.max());
    assert!(longest >= Duration::from_millis(150), "{longest:?}");
}

#[test]
fn a_limit_of_less_than_one_a_thread_is_refused() {
    let mut plan = Plan::new("http://127.0.0.1:1/", 1.0, Duration::from_secs(1));
    (plan.threads, plan.max_in_flight) = (2, Some(1));
    let refused = run(&plan, body(), unobserved).unwrap_err();
    assert!(matches!(refused, RunError::Connections { connections: 1, threads: 2 }));
}

#[test]
fn a_closed_loop_measures_service_and_says_what_it_is() {
    let server = Server::plain(Answer { after: Duration::from_millis(5), ..Answer::default() });
    let mut plan = Plan::new(&server.url, 1.0, Duration::from_millis(300));
    (plan.connections, plan.threads, plan.closed_loop) = (4, 2, true);
    let result = run(&plan, body(), unobserved).unwrap();
    let sent = result.counts.sent;
    // Each connection at least a few, and never more than the time between replies allows.
    assert!((8..=4 * 60).contains(&sent), "{sent}");
    assert_eq!(
        (result.due, server.seen().len() as u64, result.outcomes.iter().flatten().count() as u64),
        (sent, sent, sent)
    );
    assert_eq!(server.most_under_way(), 4);
    assert_eq!((result.latencies.service.len(), result.latencies.response.len()), (sent, 0));
    let report = RunReport::new(&plan, None, &result);
    let label = "closed loop: service only, coordinated omission";
    assert_eq!(
        (report.mode, report.valid, report.reasons.as_slice()),
        (label, false, &[label.to_owned()][..])
    );
    assert!(report.to_string().contains(label));
}

#[test]
fn a_closed_loop_ends_with_its_orders() {
    let server = Server::plain(Answer::default());
    let mut plan = Plan::new(&server.url, 1.0, Duration::from_secs(60));
    (plan.connections, plan.closed_loop, plan.orders) = (3, true, Some(50));
    assert_eq!(run(&plan, body(), unobserved).unwrap().counts.sent, 50);
}
