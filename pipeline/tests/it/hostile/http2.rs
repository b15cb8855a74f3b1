//! Clients that speak HTTP/2 byte by byte.

use super::bytes::good;
use super::send::Connection;
use crate::support::{Pipeline, eventually};
use std::io::{Read, Write};
use std::time::Duration;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// Of a kind that no server knows, and each has to pass over.
const OTHER: u8 = 0xbe;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A client's first frame: its window for each answer.
fn settings(window: u16) -> Vec<u8> {
    let [high, low] = window.to_be_bytes();
    frame(SETTINGS, 0, 0, &[0, 4, 0, 0, high, low])
}

fn request(stream: u32, body: &[u8]) -> Vec<u8> {
    // Method POST and scheme http from the static table; authority, path and content type as literals.
    let mut head = vec![0x83, 0x86];
    for (name, value) in
        [(&[0x01][..], "t"), (&[0x04], "/v1/orders"), (&[0x0f, 0x10], "application/x-ndjson")]
    {
        head.extend(name);
        head.push(u8::try_from(value.len()).unwrap());
        head.extend(value.bytes());
    }
    const END_OF_HEAD: u8 = 4;
    let mut bytes = frame(HEADERS, END_OF_HEAD, stream, &head);
    let mut pieces = body.chunks(16_000).peekable();
    while let Some(piece) = pieces.next() {
        bytes.extend(frame(0, u8::from(pieces.peek().is_none()), stream, piece));
    }
    bytes
}

/// A request by a client with such a window for each answer. Where that is nothing, the connection is never blocked but
/// the answer can never be sent.
pub fn over_http2(body: &[u8], window: u16) -> Vec<u8> {
    [settings(window), request(1, body)].concat()
}

#[test]
fn a_connection_of_http2_that_asks_nothing_more_is_ended_although_its_client_answers_pings() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["receive.head_timeout=1s"]);
    let mut connection = Connection::open(pipeline.orders);
    connection.write(PREFACE);
    connection.write(&over_http2(good("once").as_bytes(), 0xffff));
    let (mut stream, mut pings, mut head) = (connection.stream(), 0, [0; 9]);
    while stream.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).unwrap();
        const ACK: u8 = 1;
        let answer = match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        pings += usize::from(head[3] == PING);
        stream.write_all(&answer).unwrap();
    }
    assert!(pings > 0, "it was alive");
    eventually("the connection is ended", || pipeline.metric("tillflow_receive_connections") == 0.0);
    assert_eq!(pipeline.metric("tillflow_receive_orders_total{outcome=\"accepted\"}"), 1.0);
}

#[test]
fn an_order_keeps_no_buffer_that_other_frames_fill() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    // Nothing becomes durable while somebody else holds the log.
    let log = rusqlite::Connection::open(dir.path().join("log.db")).unwrap();
    log.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (before, _) = pipeline.memory();
    let mut open: Vec<Connection> = (0..16).map(|_| Connection::open(pipeline.orders)).collect();
    for connection in &mut open {
        connection.write(PREFACE);
        connection.write(&settings(0xffff));
    }
    for number in 0..200 {
        for (client, connection) in open.iter_mut().enumerate() {
            let order = good(&format!("{client}-{number}"));
            connection.write(&request(2 * number + 1, order.as_bytes()));
            connection.write(&frame(OTHER, 0, 0, &[0; 8_000]));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    eventually("all are in flight", || pipeline.metric("tillflow_receive_in_flight_requests") == 3_200.0);
    let (now, _) = pipeline.memory();
    drop(log);
    // With a buffer for each it would be 25 MiB more.
    assert!(now < before + (20 << 10), "{before} KiB before, {now} KiB with 3,200 orders in flight");
    eventually("all are accepted", || {
        pipeline.metric("tillflow_receive_orders_total{outcome=\"accepted\"}") == 3_200.0
    });
}
