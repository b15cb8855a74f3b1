//! The metrics as a scraper reads them, and scrapers that mean no good.

use super::*;
use crate::gauges::Counts;
use crate::measure::Instants;

/// What is answered to a scraper that sends this, until the connection is closed.
fn reply(metrics: &Metrics, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(metrics.address).unwrap();
    stream.set_read_timeout(Some(10 * PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn a_scraper_reads_what_the_observer_was_told() {
    let metrics = Metrics::serve("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut recent = Recent::new();
    recent.record(Instants { due_ns: 0, sent_ns: 50_000, reply_ns: 3_000_000 }, 2);
    for _ in 0..2 {
        metrics.observe(&Progress {
            started_at: 0,
            phase: Phase::Schedule,
            elapsed: Duration::from_secs(3),
            length: Duration::from_secs(10),
            due: 7,
            rate: 2.5,
            statuses: [(202, 3), (503, 1)].into(),
            counts: Counts { sent: 4, accepted: 3, failed: 1, ..Counts::default() },
            requests_under_way: 1,
            recent: recent.clone(),
        });
    }
    let reply = reply(&metrics, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    for line in [
        "HTTP/1.1 200 OK\r",
        "loadgen_phase{phase=\"schedule\"} 1",
        "loadgen_asked_orders_per_second 2.5",
        "loadgen_orders_total{outcome=\"failed\"} 1",
        "loadgen_replies_total{status=\"503\"} 1",
        "loadgen_backlog_orders 3",
        "# TYPE loadgen_response_seconds histogram",
        "loadgen_response_seconds_bucket{le=\"0.0025\"} 0",
        "loadgen_response_seconds_bucket{le=\"0.005\"} 4",
        "loadgen_delay_seconds_bucket{le=\"0.0001\"} 4",
        "loadgen_response_seconds_count 4",
    ] {
        assert!(reply.lines().any(|read| read == line.trim_end()), "{line} is not in {reply}");
    }
}

#[test]
fn a_scraper_whose_request_drips_is_not_waited_for_longer_than_any_other() {
    let metrics = Metrics::serve("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut dripping = TcpStream::connect(metrics.address).unwrap();
    let drip = thread::spawn(move || {
        let until = Instant::now() + 5 * PATIENCE;
        while Instant::now() < until && dripping.write_all(b"x").is_ok() {
            thread::sleep(PATIENCE / 20);
        }
        Instant::now() < until
    });
    assert!(reply(&metrics, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK"));
    assert!(drip.join().unwrap(), "it was read to its end");
}

#[test]
fn a_request_that_never_ends_is_read_to_its_limit() {
    let metrics = Metrics::serve("127.0.0.1:0".parse().unwrap()).unwrap();
    let endless = vec![b'x'; usize::try_from(LONGEST_REQUEST).unwrap()];
    assert!(reply(&metrics, &endless).starts_with("HTTP/1.1 200 OK"));
}
