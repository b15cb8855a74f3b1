//! Any HTTP target: each protocol and each way to it, seen from the server.

use std::collections::BTreeSet;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hyper::Version;
use loadgen::payload::Template;
use loadgen::plan::{Bodies, Limits, Plan, Tls};
use loadgen::run::{RunResult, run, unobserved};

use crate::servers::{Answer, Server};

const REQUESTS: usize = 40;

/// Some requests in a fifth of a second. What is tested is not how punctual they are.
fn plan(url: &str) -> Plan {
    let mut plan = Plan::new(url, 200.0, Duration::from_millis(200));
    plan.connections = 4;
    plan.limits = Limits { min_achieved: 0.0, max_delay: Duration::from_secs(60), max_cpu: 2.0 };
    plan
}

fn sent(plan: &Plan, bodies: impl Into<Bodies>) -> RunResult {
    let result = run(plan, bodies, unobserved).unwrap();
    assert_eq!(result.counts.sent, REQUESTS as u64);
    result
}

fn body() -> Bodies {
    Bodies::Same(Bytes::from_static(b"hello"))
}

#[test]
fn a_request_arrives_with_its_method_path_headers_and_body() {
    let server = Server::plain(Answer::default());
    let mut plan = plan(&format!("{}/a/b?c=d", server.url));
    plan.method = "PUT".to_owned();
    plan.headers =
        vec![("x-one".to_owned(), "1".to_owned()), ("content-type".to_owned(), "text/plain".to_owned())];
    assert_eq!(sent(&plan, body()).counts.accepted, REQUESTS as u64);
    let seen = server.seen();
    assert_eq!(seen.len(), REQUESTS);
    let first = &seen[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.body.as_str()),
        ("PUT", "/a/b?c=d", "hello")
    );
    assert_eq!(first.version, Version::HTTP_11);
    for header in [("x-one", "1"), ("content-type", "text/plain")] {
        assert!(first.headers.iter().any(|(name, value)| (name.as_str(), value.as_str()) == header));
    }
    // Nothing is sent that nobody asked for: an order says when it was due, another body does not.
    let mut names: Vec<_> = first.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "host", "x-one"]);
}

#[test]
fn a_template_gives_each_request_a_body_of_its_own() {
    let server = Server::plain(Answer::default());
    let template = Template::new(r#"{"n":{{seq}},"id":"{{uuid}}"}"#, 1).unwrap();
    sent(&plan(&server.url), Bodies::Template(Arc::new(template)));
    let bodies: BTreeSet<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), REQUESTS);
    assert!((0..REQUESTS).all(|n| bodies.iter().any(|body| body.starts_with(&format!("{{\"n\":{n},")))));
}

#[test]
fn streams_share_the_connections_of_http2() {
    let server = Server::plain(Answer { after: Duration::from_millis(50), ..Answer::default() });
    let mut plan = plan(&server.url);
    (plan.http2, plan.connections, plan.streams) = (true, 1, 8);
    sent(&plan, body());
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.version == Version::HTTP_2 && seen.connection == 0));
    // 200 a second at 50 ms each are ten under way, if the streams let them.
    assert!((2..=8).contains(&server.most_under_way()), "{}", server.most_under_way());
}

#[test]
fn tls_trusts_the_authorities_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let server = Server::secure(&ca, &["h2", "http/1.1"]);
        let mut plan = plan(&server.url);
        (plan.http2, plan.tls) = (http2, Tls::Authorities(ca.clone()));
        assert_eq!(sent(&plan, body()).counts.accepted, REQUESTS as u64);
        assert_eq!(server.seen()[0].version, version);
    }
}

#[test]
fn a_certificate_that_is_not_trusted_fails_and_is_ignored_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::secure(&folder.path().join("ca.pem"), &["http/1.1"]);
    let mut plan = plan(&server.url);
    // Another authority than that of the server.
    let other = folder.path().join("other.pem");
    drop(Server::secure(&other, &[]));
    plan.tls = Tls::Authorities(other);
    let result = sent(&plan, body());
    assert_eq!((result.counts.failed, result.failures["tls_not_agreed"]), (REQUESTS as u64, REQUESTS as u64));
    assert!(!result.valid());
    assert_eq!(server.seen().len(), 0);
    plan.tls = Tls::Insecure;
    assert_eq!(sent(&plan, body()).counts.accepted, REQUESTS as u64);
}

/// An address that leads to a server for one connection and for a while. Then that is cut, and whoever comes is left to
/// wait.
fn door(server: &str, open_for: Duration) -> String {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let far = TcpStream::connect(server.trim_start_matches("https://")).unwrap();
    thread::spawn(move || {
        let near = listener.accept().unwrap().0;
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut to));
        }
        thread::sleep(open_for);
        near.shutdown(Shutdown::Both).unwrap();
        far.shutdown(Shutdown::Both).unwrap();
        let mut waiting = Vec::new();
        listener.incoming().for_each(|stream| waiting.push(stream));
    });
    url
}

#[test]
fn a_connection_that_is_not_opened_within_a_request_s_time_makes_the_run_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let server = Server::secure(&ca, &["http/1.1"]);
    let mut plan = plan(&door(&server.url, Duration::from_millis(400)));
    (plan.connections, plan.timeout) = (1, Duration::from_millis(300));
    (plan.duration, plan.tls) = (Duration::from_millis(800), Tls::Authorities(ca));
    let result = run(&plan, body(), unobserved).unwrap();
    assert!(
        result.counts.accepted > 0 && result.failures.contains_key("connection_not_opened"),
        "{:?}",
        result.failures
    );
    assert!(result.connections_not_opened > 0);
    assert!(result.reasons.iter().any(|reason| reason.contains("attempts to open")), "{:?}", result.reasons);
}

#[test]
fn a_server_without_http2_is_not_measured_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let server = Server::secure(&ca, &[]);
    let mut plan = plan(&server.url);
    (plan.http2, plan.tls) = (true, Tls::Authorities(ca));
    assert_eq!(sent(&plan, body()).failures["tls_not_agreed"], REQUESTS as u64);
}

#[test]
fn a_unix_socket_is_connected_to_and_the_url_gives_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::unix(&path);
    let mut plan = plan("http://some-host.invalid/x");
    plan.unix_socket = Some(path);
    assert_eq!(sent(&plan, body()).counts.accepted, REQUESTS as u64);
    let first = &server.seen()[0];
    assert!(first.headers.contains(&("host".to_owned(), "some-host.invalid".to_owned())));
}

#[test]
fn statuses_are_counted_and_those_expected_are_accepted() {
    let server = Server::plain(Answer { status: 404, ..Answer::default() });
    let mut plan = plan(&server.url);
    let result = sent(&plan, body());
    assert_eq!((result.counts.rejected, result.statuses[&404]), (REQUESTS as u64, REQUESTS as u64));
    plan.expect = vec![404..=404];
    assert_eq!(sent(&plan, body()).counts.accepted, REQUESTS as u64);
}
