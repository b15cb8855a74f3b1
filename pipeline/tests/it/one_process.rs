//! What holds of the pipeline in one process alone: it owns its files, and drains them.

use crate::support::{DEADLINE, Pipeline, balanced};
use std::io::{Read, Write};
use std::net::TcpStream;

const ORDER: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

#[test]
fn a_second_process_on_the_same_files_refuses_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let _pipeline = Pipeline::start(dir.path(), &[]);
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(["embedded", "--set", "receive.listen=127.0.0.1:0", "--set", "manage.listen=", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains("in use by another process"), "{error}");
}

#[test]
fn a_terminated_process_has_stored_all_that_it_accepted() {
    let dir = tempfile::tempdir().unwrap();
    // A block would wait for an hour; the drain does not.
    let pipeline = Pipeline::start(dir.path(), &["process.block_interval=1h"]);
    for _ in 0..20 {
        assert_eq!(pipeline.post(ORDER).status, 202);
    }
    assert_eq!(pipeline.terminate(), Some(0));
    assert_eq!(balanced(dir.path())["total"]["orders"], 20);
}

#[test]
fn a_connection_that_says_nothing_ends_as_an_idle_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &["receive.head_timeout=1s"]);
    // The second begins like POST and like the preface of HTTP/2; the third has been answered once.
    let answered =
        format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{ORDER}", ORDER.len());
    let opened = [("", 0), ("P", 0), (answered.as_str(), 1)].map(|(said, answers)| {
        let mut stream = TcpStream::connect(pipeline.orders).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(said.as_bytes()).unwrap();
        (stream, said, answers)
    });
    for (mut stream, said, answers) in opened {
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("the connection ends before the deadline");
        assert_eq!(heard.matches("HTTP/1.1 202").count(), answers, "{said:?}: {heard}");
    }
}
