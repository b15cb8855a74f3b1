//! Slow clients: those that never say what they want, and those that never read what they are told.

use super::bytes::{good, post};
use super::http2::{PREFACE, over_http2};
use super::send::Connection;
use crate::support::{Pipeline, eventually};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use std::time::Duration;

#[test]
fn a_client_that_does_not_finish_a_head_is_cut_off_however_little_it_sent() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["receive.head_timeout=1s"]);
    // The first four leave open whether HTTP/1 or HTTP/2 is spoken, or have only just said so.
    let beginnings: [&[u8]; 7] =
        [b"", b"P", b"PRI * HTTP/2.0\r\n", PREFACE, b"POST /v1", b"GET / HTTP/1.1\r\nhost: t", b"\r\n"];
    let mut open: Vec<Connection> = beginnings
        .iter()
        .map(|beginning| {
            let mut connection = Connection::open(pipeline.orders);
            connection.write(beginning);
            connection
        })
        .collect();
    let mut served = Connection::open(pipeline.orders);
    served.write(&post("", good("served").as_bytes()));
    assert_eq!(served.read().unwrap().status, 202);
    let mut dripping = Connection::open(pipeline.orders);
    dripping.write(b"POST /v1/orders HTTP/1.1\r\nx: ");
    eventually("the dripping client is cut off", || {
        dripping.write(b"x");
        pipeline.metric("tillflow_receive_connections") == 0.0
    });
    assert_eq!(served.rest(), b"", "an idle connection is ended without an answer");
    for connection in &mut open {
        assert!(!connection.rest().starts_with(b"HTTP"), "nothing was asked, so nothing is answered");
    }
    assert_eq!(pipeline.post(&good("after")).status, 202);
}

#[test]
fn answers_that_nobody_reads_count_as_in_flight_and_are_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["receive.write_timeout=2s"]);
    // 100 KB, which are answered by 6 MB: more than the sockets' own buffers take in.
    let body = "0\n".repeat(50_000);
    let mut open: Vec<Connection> = (0..40)
        .map(|number| {
            let mut connection = Connection::open(pipeline.orders);
            set_socket_recv_buffer_size(connection.stream(), 4096).unwrap();
            let request = post("content-type: application/x-ndjson\r\n", body.as_bytes());
            connection.write(if number % 2 == 0 { &request } else { PREFACE });
            if number % 2 == 1 {
                // A stream's first window has room for 64 KiB.
                connection.write(&over_http2(&body.as_bytes()[..64_000], 0));
            }
            connection
        })
        .collect();
    eventually("answers are in flight", || pipeline.metric("tillflow_receive_in_flight_bytes") > 5e6);
    eventually("all is sent or cut off", || pipeline.metric("tillflow_receive_in_flight_bytes") == 0.0);
    let answered = ["422", "429"]
        .map(|status| pipeline.metric(&format!("tillflow_receive_requests_total{{status=\"{status}\"}}")));
    assert!(answered[0] > 0.0 && answered[0] + answered[1] == 40.0, "{answered:?}: all were understood");
    let (_, peak) = pipeline.memory();
    println!("{peak} KiB at its peak");
    assert!(peak < 128 << 10, "{peak} KiB at its peak");
    assert_eq!(pipeline.post(&good("after")).status, 202, "there is room again");
    assert!(pipeline.metric("tillflow_receive_connection_errors_total") > 0.0);
    open.clear();
}

#[test]
fn a_slow_client_does_not_hold_up_a_stop_for_longer_than_the_drain_time_out() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["shutdown.drain_timeout=2s", "receive.write_timeout=60s"]);
    let mut connection = Connection::open(pipeline.orders);
    connection.write(&post("", good("taken").as_bytes()));
    assert_eq!(connection.read().unwrap().status, 202);
    connection.write(b"POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n{");
    let started = std::time::Instant::now();
    pipeline.terminate();
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}
