//! Who gets in: bearer tokens and TLS, each read again from its file without a restart, and the management port apart.

mod client;
mod tls;

use crate::support::{Pipeline, Reply, eventually, exchange};
use crate::ways::process::program;
use std::path::{Path, PathBuf};

const ORDER: &str = r#"{"customer_id":3,"source":"Online","quantity":1,"total":5}"#;

/// `pipeline token NAME`: the token, and the line of the file.
fn token(name: &str) -> (String, String) {
    let output = program().args(["token", name]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    (lines.next().unwrap().to_owned(), lines.next().unwrap().to_owned())
}

fn settings(file: &Path) -> [String; 2] {
    [format!("receive.tokens_file={}", file.display()), "receive.reload=50ms".to_owned()]
}

fn start(dir: &Path, settings: &[String]) -> Pipeline {
    Pipeline::start(&dir.join("data"), &settings.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Posts an order with more headers, each with its line's end.
fn post(pipeline: &Pipeline, headers: &str) -> Reply {
    let length = ORDER.len();
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    exchange(pipeline.orders, (head + ORDER).as_bytes()).expect("an answer")
}

fn with(pipeline: &Pipeline, token: &str) -> Reply {
    post(pipeline, &format!("authorization: Bearer {token}\r\n"))
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn orders_are_taken_from_whoever_shows_a_token_that_the_file_knows() {
    let dir = tempfile::tempdir().unwrap();
    let ((north, line), (south, other)) = (token("north"), token("south"));
    assert_ne!(north, south, "each is random");
    let file = write(dir.path(), "tokens", &format!("# clients\n{line}\n{other}\n"));
    let pipeline = start(dir.path(), &settings(&file));
    assert_eq!((with(&pipeline, &north).status, with(&pipeline, &south).status), (202, 202));
    let wrong = format!("{}x", &north[..north.len() - 1]);
    let digest = line.split(' ').next_back().unwrap();
    let headers = [
        String::new(),
        format!("authorization: Bearer {wrong}\r\n"),
        // What stands in the file lets nobody in.
        format!("authorization: Bearer {digest}\r\n"),
        format!("authorization: Basic {north}\r\n"),
        format!("authorization: {north}\r\n"),
        "authorization: Bearer\r\n".to_owned(),
        "authorization: Bearer \u{e9}\r\n".to_owned(),
        format!("authorization: Bearer {north}\r\nauthorization: Bearer {south}\r\n"),
    ];
    for header in &headers {
        let reply = post(&pipeline, header);
        assert_eq!((reply.status, &reply.json()["reason"]), (401, &"unauthorized".into()), "{header}");
        assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        assert!(!reply.body.contains(&north), "{}", reply.body);
    }
    let refused = headers.len() as f64;
    assert_eq!(pipeline.metric("tillflow_receive_refusals_total{reason=\"unauthorized\"}"), refused);
    assert_eq!(pipeline.metric("tillflow_receive_requests_total{status=\"401\"}"), refused);
    assert_eq!(pipeline.metric("tillflow_receive_token_requests_total{client=\"north\"}"), 1.0);
    assert_eq!(pipeline.metric("tillflow_receive_tokens"), 2.0);

    // The answer comes before the body is read, here one that never comes.
    let head = b"POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-length: 8000000\r\n\r\n";
    assert_eq!(exchange(pipeline.orders, head).expect("an answer before the body").status, 401);
    // What says nothing about orders is open.
    let document = b"GET /openapi.json HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(pipeline.orders, document).unwrap().status, 200);
    assert_eq!(pipeline.metric("tillflow_receive_orders_total{outcome=\"accepted\"}"), 2.0);
}

#[test]
fn the_file_of_tokens_is_read_again_and_a_broken_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ((old, line), (new, other)) = (token("old"), token("new"));
    let file = write(dir.path(), "tokens", &line);
    let pipeline = start(dir.path(), &settings(&file));
    assert_eq!((with(&pipeline, &old).status, with(&pipeline, &new).status), (202, 401));
    for (number, broken) in ["", "no digest", &format!("{line}\n{line}\n")].into_iter().enumerate() {
        write(dir.path(), "tokens", broken);
        let errors = "tillflow_receive_reload_errors_total{file=\"tokens\"}";
        eventually("the broken file is noticed", || pipeline.metric(errors) > number as f64);
        assert_eq!(with(&pipeline, &old).status, 202, "the tokens from before stay in force");
    }
    std::fs::remove_file(&file).unwrap();
    let errors = "tillflow_receive_reload_errors_total{file=\"tokens\"}";
    eventually("the missing file is noticed", || pipeline.metric(errors) > 3.0);
    assert_eq!(with(&pipeline, &old).status, 202);
    write(dir.path(), "tokens", &other);
    eventually("the new token is let in", || with(&pipeline, &new).status == 202);
    assert_eq!(with(&pipeline, &old).status, 401, "the old one is not any more");
    assert_eq!(pipeline.metric("tillflow_receive_reloads_total{file=\"tokens\"}"), 1.0);
}

#[test]
fn a_pipeline_does_not_start_with_a_file_that_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let broken = write(dir.path(), "tokens", "canary-7 canary-8\n");
    let missing = dir.path().join("nowhere");
    let tls = |certificate: &Path| format!("receive.tls.certificate={}", certificate.display());
    for (settings, complaint) in [
        (vec![settings(&broken)[0].clone()], "tokens: line 1: a name and the 64"),
        (vec![settings(&missing)[0].clone()], "nowhere: No such file"),
        (vec![tls(&broken)], "the certificate and receive.tls.key"),
        (
            vec![tls(&broken), format!("receive.tls.key={}", broken.display())],
            "tokens: there is no certificate",
        ),
    ] {
        let mut pipeline = program();
        pipeline.arg("embedded").arg("--data-dir").arg(dir.path().join("data"));
        for setting in settings.iter().map(String::as_str).chain(["receive.listen=127.0.0.1:0"]) {
            pipeline.args(["--set", setting]);
        }
        let output = pipeline.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let wanted = complaint.replace("the certificate and receive.tls.key", "receive.tls.key");
        assert!(said.contains(&wanted) && !said.contains("canary"), "{said}");
    }
}
