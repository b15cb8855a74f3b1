//! TLS on the port that takes orders.

use super::client::{Identity, ask, connect};
use super::{ORDER, start};
use crate::support::{DEADLINE, Pipeline, eventually};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

fn request() -> Vec<u8> {
    let length = ORDER.len();
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{ORDER}"
    )
    .into_bytes()
}

fn handshake_errors(pipeline: &Pipeline, reason: &str) -> f64 {
    pipeline.metric(&format!("tillflow_receive_tls_handshake_errors_total{{reason=\"{reason}\"}}"))
}

#[test]
fn orders_come_over_tls_and_their_decryption_counts_as_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::write(dir.path(), 2090);
    let pipeline = start(dir.path(), &identity.settings());
    let mut stream = connect(pipeline.orders, &identity, &[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 goes first");
    // The server's first frame is its settings.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "{frame:?}");
    drop(stream);
    let mut stream = connect(pipeline.orders, &identity, &[b"http/1.1"]).unwrap();
    assert_eq!(ask(&mut stream, &request()), Some(202));
    let decrypted = pipeline.metric("tillflow_receive_copied_bytes_total{cause=\"decrypted\"}");
    assert_eq!(decrypted, ORDER.len() as f64);
    // 2090-01-01 in Unix time.
    assert_eq!(pipeline.metric("tillflow_receive_certificate_not_after_seconds"), 3_786_912_000.0);

    // The management port speaks plain HTTP all the same, and a client that trusts another certificate is refused.
    assert_eq!(pipeline.page("/readyz").status, 200);
    let other = tempfile::tempdir().unwrap();
    assert!(connect(pipeline.orders, &Identity::write(other.path(), 2090), &[]).is_err());
    eventually("it is counted", || handshake_errors(&pipeline, "refused") == 1.0);
    assert_eq!(pipeline.terminate(), Some(0));
}

#[test]
fn a_new_certificate_is_used_for_new_connections_and_a_broken_pair_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::write(dir.path(), 2080);
    let pipeline = start(dir.path(), &first.settings());
    let mut kept = connect(pipeline.orders, &first, &[]).unwrap();
    let errors = || pipeline.metric("tillflow_receive_reload_errors_total{file=\"certificate\"}");

    // Another certificate with the key from before.
    let other = tempfile::tempdir().unwrap();
    let second = Identity::write(other.path(), 2085);
    std::fs::write(&first.certificate, &second.pem.0).unwrap();
    eventually("the pair that does not match is noticed", || errors() == 1.0);
    assert!(connect(pipeline.orders, &first, &[]).is_ok(), "the first one is still in force");
    std::fs::write(&first.key, &second.pem.1).unwrap();
    eventually("the new certificate is used", || connect(pipeline.orders, &second, &[]).is_ok());
    assert_eq!(pipeline.metric("tillflow_receive_certificate_not_after_seconds"), 3_629_145_600.0);
    assert!(connect(pipeline.orders, &first, &[]).is_err());
    assert_eq!(ask(&mut kept, &request()), Some(202), "a connection that was open stays as it was");

    std::fs::write(&first.key, "nothing").unwrap();
    eventually("the broken key is noticed", || errors() == 2.0);
    let mut stream = connect(pipeline.orders, &second, &[]).unwrap();
    assert_eq!(ask(&mut stream, &request()), Some(202));
}

#[test]
fn what_is_no_handshake_is_cut_off_and_counted_by_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::write(dir.path(), 2090);
    let mut settings = identity.settings().to_vec();
    settings.push("receive.head_timeout=1s".to_owned());
    let pipeline = start(dir.path(), &settings);
    let garbage: [&[u8]; 5] = [
        b"POST /v1/orders HTTP/1.1\r\nhost: t\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0xff; 100],
        // A record that is longer than any may be.
        b"\x16\x03\x01\xff\xff\x01",
        // A hello whose inside is longer than itself.
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
    ];
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut open = Vec::new();
    for bytes in garbage.iter().chain([&&hello[..], &&hello[..1], &&b""[..]]) {
        let mut stream = TcpStream::connect(pipeline.orders).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        open.push(stream);
    }
    let mut gone = TcpStream::connect(pipeline.orders).unwrap();
    gone.write_all(hello).unwrap();
    drop(gone);
    let began = Instant::now();
    for stream in &mut open {
        let mut rest = Vec::new();
        // It ends, with an alert or without, or by a reset where something was left unread.
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP"), "nothing is answered in the clear");
    }
    assert!(began.elapsed() < DEADLINE, "no half of a handshake is waited for");
    let counted = || ["refused", "late", "broken"].map(|reason| handshake_errors(&pipeline, reason));
    eventually("each is counted", || counted() == [5.0, 3.0, 1.0]);
    eventually("each is gone", || pipeline.metric("tillflow_receive_connections") == 0.0);
    let mut stream = connect(pipeline.orders, &identity, &[]).unwrap();
    assert_eq!(ask(&mut stream, &request()), Some(202));
}
