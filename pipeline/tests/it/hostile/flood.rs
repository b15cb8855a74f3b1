//! Floods: more connections than there is room for, and frames of HTTP/2 that cost their sender nothing.

use super::bytes::{good, post};
use super::send::Connection;
use crate::support::{Pipeline, eventually};
use std::io::Write;
use std::time::Duration;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
/// Method POST, scheme http, path / and nothing else that is needed: each is refused as soon as it is looked at.
const HEAD: [u8; 3] = [0x83, 0x86, 0x84];
const END_OF_HEAD: u8 = 4;
/// Frames of one flood.
const FRAMES: u32 = 50_000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What is sent as number `number` of a flood.
type Flood = fn(u32) -> Vec<u8>;

#[test]
fn floods_of_frames_take_neither_memory_nor_the_place_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["receive.head_timeout=2s", "embedded.cache_bytes=1MiB"]);
    let floods: [(&str, Flood); 6] = [
        ("rapid reset", |number| {
            let stream = 2 * number + 1;
            [frame(HEADERS, END_OF_HEAD, stream, &HEAD), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        }),
        ("streams that never end", |number| frame(HEADERS, END_OF_HEAD, 2 * number + 1, &HEAD)),
        ("a head that never ends", |number| match number {
            0 => frame(HEADERS, 0, 1, &HEAD),
            // A header with a name and a value of one byte each.
            _ => frame(CONTINUATION, 0, 1, &[0, 1, b'x', 1, b'y'].repeat(20)),
        }),
        ("empty pieces of a head", |number| match number {
            0 => frame(HEADERS, 0, 1, &HEAD),
            _ => frame(CONTINUATION, 0, 1, &[]),
        }),
        ("settings", |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("pings", |number| frame(PING, 0, 0, &[number.to_be_bytes(), [0; 4]].concat())),
    ];
    for (what, flood) in floods {
        let connection = Connection::open(pipeline.orders);
        let mut stream = connection.stream();
        // The client reads nothing: what the server answers has to wait, or the server has to stop reading.
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut sent = stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).is_ok();
        for first in (0..FRAMES).step_by(500) {
            let some: Vec<u8> = (first..first + 500).flat_map(flood).collect();
            sent = sent && stream.write_all(&some).is_ok();
        }
        let reply = pipeline.post(&good(&format!("beside-{}", what.replace(' ', "-"))));
        assert_eq!(reply.status, 202, "a good order beside {what}");
        let (now, peak) = pipeline.memory();
        println!(
            "{what}: all was {}; {now} KiB, {peak} at its peak",
            if sent { "taken" } else { "not taken" }
        );
        assert!(peak < 128 << 10, "{what}: {peak} KiB at its peak");
        drop(connection.stream().shutdown(std::net::Shutdown::Both));
        drop(connection);
        eventually("the connection is gone", || pipeline.metric("tillflow_receive_connections") == 0.0);
    }
    assert_eq!(pipeline.metric("tillflow_receive_orders_total{outcome=\"accepted\"}"), floods.len() as f64);
    assert_eq!(pipeline.terminate(), Some(0));
}

#[test]
fn connections_over_the_limit_are_told_so_and_those_within_it_are_served() {
    const ROOM: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &[&format!("receive.max_connections={ROOM}")]);
    let mut held: Vec<Connection> = (0..ROOM).map(|_| Connection::open(pipeline.orders)).collect();
    eventually("they are held", || pipeline.metric("tillflow_receive_connections") == ROOM as f64);
    for _ in 0..500 {
        let reply = Connection::open(pipeline.orders).read().expect("an answer");
        assert!(reply.status == 503 && reply.head.contains("retry-after: 1"), "{reply:?}");
    }
    assert_eq!(pipeline.metric("tillflow_receive_connections_refused_total"), 500.0);
    for (number, connection) in held.iter_mut().enumerate() {
        connection.write(&post("", good(&format!("held-{number}")).as_bytes()));
        assert_eq!(connection.read().expect("an answer").status, 202);
    }
    drop(held);
    eventually("there is room again", || {
        let mut connection = Connection::open(pipeline.orders);
        connection.write(&post("", good("after").as_bytes()));
        connection.read().is_some_and(|reply| reply.status == 202)
    });
}
