//! The embedded pipeline from the outside: what goes in over HTTP is stored, counted once, and answered truthfully.

use crate::support::{DEADLINE, Pipeline, balanced, eventually, exchange};
use std::io::{Read, Write};
use std::net::TcpStream;

const ORDER: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

#[test]
fn orders_of_every_form_are_stored_and_the_books_balance() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    assert_eq!(pipeline.post(ORDER).status, 202);
    let mixed = pipeline.post(&format!("[{ORDER},{{}},{ORDER}]"));
    assert_eq!((mixed.status, &mixed.json()["results"][1]["reason"]), (207, &"missing_field".into()));
    let lines = format!("{ORDER}\n\n{ORDER}\nnonsense\n");
    let reply = pipeline.post_as("application/x-ndjson", lines.as_bytes()).unwrap().json();
    assert_eq!((&reply["accepted"], &reply["rejected"]), (&2.into(), &1.into()));
    let tutorial =
        format!("POST /orderitem HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{ORDER}", ORDER.len());
    assert_eq!(exchange(pipeline.orders, tutorial.as_bytes()).unwrap().status, 201);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == 6.0);
    let total = &balanced(dir.path())["total"];
    assert_eq!((&total["orders"], &total["total_minor"]), (&6.into(), &360_000.into()));
    assert_eq!(pipeline.terminate(), Some(0));
}

#[test]
fn an_order_sent_again_counts_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let order = r#"{"order_id":"again","customer_id":3,"source":"Dine In","quantity":2}"#;
    for _ in 0..3 {
        let pipeline = Pipeline::start(dir.path(), &[]);
        assert_eq!(pipeline.post(order).status, 202);
        assert_eq!(pipeline.post(order).status, 202);
        pipeline.kill();
    }
    let pipeline = Pipeline::start(dir.path(), &[]);
    let total = &balanced(dir.path())["total"];
    assert_eq!((&total["log"], &total["orders"], &total["duplicates"]), (&6.into(), &1.into(), &5.into()));
    assert_eq!(pipeline.metric("tillflow_parse_window_ids{partition=\"2\"}").max(1.0), 1.0);
}

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
fn the_number_of_partitions_cannot_change_under_the_data() {
    let dir = tempfile::tempdir().unwrap();
    Pipeline::start(dir.path(), &[]).kill();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pipeline"))
        .args(["embedded", "--set", "log.partitions=7", "--set", "manage.listen=", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("log.partitions is 7") && error.contains("has 6"), "{error}");
}

#[test]
fn a_terminated_pipeline_has_stored_what_it_accepted() {
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
