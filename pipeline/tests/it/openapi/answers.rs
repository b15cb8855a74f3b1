//! Requests that provoke every documented answer, at running servers.

use super::scripted;
use super::witness::{JSON, NDJSON, Witness, bare, post};
use crate::support::{Pipeline, eventually, exchange, read_reply};
use pipeline::outcomes::Outcome;
use pipeline::receive::{NO_ANSWER, NOT_PERSISTED, Refusal};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

const ORDER: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;
const POSTS: [(&str, u16); 2] = [("/v1/orders", 202), ("/orderitem", 201)];

/// Documented answers that this test does not provoke, each with the reason why.
const NOT_PROVOKED: [(&str, &str); 0] = [];

#[test]
fn every_documented_answer_is_given_and_every_answer_is_documented() {
    let mut witness = Witness::new();
    let dir = tempfile::tempdir().unwrap();
    let plain = Pipeline::start(&dir.path().join("plain"), &[]);
    accepted_orders(&mut witness, plain.orders);
    refused_requests(&mut witness, plain.orders);
    other_methods_and_paths(&mut witness, plain.orders);
    let settings = ["receive.max_connections=1", "receive.max_head_bytes=128KiB"];
    broken_connections(&mut witness, plain.orders, &Pipeline::start(&dir.path().join("one"), &settings));
    let settings =
        ["receive.max_orders_per_request=3", "receive.max_body_bytes=64KiB", "receive.body_timeout=1s"];
    over_limits(&mut witness, Pipeline::start(&dir.path().join("small"), &settings).orders);
    let settings = [
        "receive.max_body_bytes=64KiB",
        "receive.max_in_flight_bytes=64KiB",
        "receive.max_in_flight_requests=2",
    ];
    busy(&mut witness, &Pipeline::start(&dir.path().join("narrow"), &settings));
    let tokens = dir.path().join("tokens");
    std::fs::write(&tokens, format!("client {}", "ab".repeat(32))).unwrap();
    let setting = format!("receive.tokens_file={}", tokens.display());
    let closed = Pipeline::start(&dir.path().join("closed"), &[&setting]);
    for (path, _) in POSTS {
        witness.ask(closed.orders, &post(path, &[], ORDER.as_bytes()), 401, Some(Refusal::Unauthorized));
    }
    what_the_log_says(&mut witness);

    let mut documented = BTreeSet::new();
    for (method, path, operation) in witness.document.operations() {
        let statuses = operation["responses"].as_object().unwrap().keys();
        documented.extend(statuses.map(|status| format!("{method} {path} {status}")));
    }
    let known: BTreeSet<_> = NOT_PROVOKED.iter().map(|(answer, _)| (*answer).to_owned()).collect();
    let missing: BTreeSet<_> = documented.difference(&witness.answers).cloned().collect();
    assert_eq!(missing, known, "documented, but never answered");
    for refusal in Refusal::ALL {
        assert!(witness.words.contains(refusal.tag()), "{} was not provoked", refusal.tag());
    }
    assert!([NOT_PERSISTED, NO_ANSWER].iter().all(|reason| witness.words.contains(*reason)));
}

/// The document's own examples, in each media type and encoding, and replies long and short.
fn accepted_orders(witness: &mut Witness, at: SocketAddr) {
    let media = witness.document.at("/components/requestBodies/Orders/content").clone();
    let encodings = witness.document.at("/components/parameters/ContentEncoding/schema/enum").clone();
    for (path, created) in POSTS {
        for (name, content) in media.as_object().unwrap() {
            for example in content["examples"].as_object().unwrap().values() {
                let value = &example["value"];
                let body = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                witness.ask(at, &post(path, &[("content-type", name)], body.as_bytes()), created, None);
            }
        }
        for encoding in encodings.as_array().unwrap() {
            let encoding = encoding.as_str().unwrap();
            let headers = [JSON, ("content-encoding", encoding)];
            witness.ask(at, &post(path, &headers, &encode(encoding, ORDER.as_bytes())), created, None);
        }
        let headers = [("idempotency-key", r#""key-1""#), ("tillflow-due-at", "1768478400000000000")];
        let reply = witness.ask(at, &post(path, &headers, ORDER.as_bytes()), created, None);
        assert_eq!(reply.json()["results"][0]["order_id"], "key-1");
        let list = format!("[{ORDER},{ORDER}]");
        let reply = witness.ask(at, &post(path, &headers, list.as_bytes()), created, None);
        assert_eq!(reply.json()["results"][1]["order_id"], "key-1-1");

        let many = format!("{ORDER}\n").repeat(101);
        let short = witness.ask(at, &post(path, &[NDJSON], many.as_bytes()), created, None).json();
        assert_eq!((&short["accepted"], short["results"].as_array().unwrap().len()), (&101.into(), 0));
        let all = format!("{path}?results=all");
        let long = witness.ask(at, &post(&all, &[NDJSON], many.as_bytes()), created, None).json();
        assert_eq!(long["results"].as_array().unwrap().len(), 101);
        witness.ask(at, &post(path, &[], format!("[{ORDER},5]").as_bytes()), 207, None);
        witness.ask(at, &post(path, &[], b"[{},5]"), 422, None);
        witness.ask(at, &post(path, &[], b"hello"), 400, None);
    }
}

fn encode(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    match encoding {
        "identity" => bytes.to_vec(),
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        _ => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

fn refused_requests(witness: &mut Witness, at: SocketAddr) {
    let order = ORDER.as_bytes();
    let (long, spaced) = ("x".repeat(65), [("idempotency-key", "a b")]);
    let chunked = [("transfer-encoding", "chunked")];
    let too_long = [("idempotency-key", long.as_str())];
    let full = [("idempotency-key", &long[..63])];
    let list = format!("[{ORDER},{ORDER}]");
    for (path, _) in POSTS {
        for (headers, body, refusal) in [
            (&[JSON][..], &b""[..], Refusal::Empty),
            (&[JSON], b" [ ] ", Refusal::Empty),
            (&[NDJSON], b"\n\r\n", Refusal::Empty),
            (&[JSON], b"[{},]", Refusal::NotJson),
            (&[("content-encoding", "gzip")], order, Refusal::BadEncoding),
            (&[("content-encoding", "zstd")], order, Refusal::BadEncoding),
            (&too_long, order, Refusal::BadIdempotencyKey),
            (&spaced, order, Refusal::BadIdempotencyKey),
            (&full, list.as_bytes(), Refusal::BadIdempotencyKey),
            (&[("tillflow-due-at", "soon")], order, Refusal::BadDueAt),
            (&chunked, b"zz\r\nhello\r\n0\r\n\r\n", Refusal::BodyBroken),
            (&[("content-type", "text/plain")], order, Refusal::UnsupportedMediaType),
            (
                &[("content-type", "application/x-www-form-urlencoded")],
                b"quantity=2",
                Refusal::UnsupportedMediaType,
            ),
            (&[("content-encoding", "br")], order, Refusal::UnsupportedEncoding),
            (&[("content-encoding", "gzip, gzip")], order, Refusal::UnsupportedEncoding),
            (
                &[("content-encoding", "gzip"), ("content-encoding", "zstd")],
                order,
                Refusal::UnsupportedEncoding,
            ),
            (&[("content-length", "8388609")], b"", Refusal::BodyTooLarge),
        ] {
            witness.ask(at, &post(path, headers, body), refusal.status().as_u16(), Some(refusal));
        }
    }
}

fn other_methods_and_paths(witness: &mut Witness, at: SocketAddr) {
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/v1/orders", "/orderitem", "/openapi.json", "/v1/orders/", "/", "/nowhere"] {
            let operations = witness.document.operations();
            let taken = operations.iter().any(|(known, there, _)| known == method && there == path);
            let exists = operations.iter().any(|(_, there, _)| there == path);
            let (status, refusal) = match (taken, exists) {
                (true, _) if method == "POST" => continue,
                (true, _) => (200, None),
                (false, true) => (405, Some(Refusal::MethodNotAllowed)),
                (false, false) => (404, Some(Refusal::NotFound)),
            };
            witness.ask(at, &bare(method, path, &[]), status, refusal);
        }
    }
    witness.ask(at, &bare("OPTIONS", "*", &[]), 404, Some(Refusal::NotFound));
}

/// What is answered without a body, on whatever path: `plain` has a limit of 16 KiB on heads, `one` one of 128 KiB, and
/// takes one connection.
fn broken_connections(witness: &mut Witness, plain: SocketAddr, one: &Pipeline) {
    let operations = witness.document.operations();
    let operations: Vec<_> = operations.into_iter().map(|(method, path, _)| (method, path)).collect();
    let large = "x".repeat(20_000);
    for (method, path) in &operations {
        witness.ask(plain, &bare(method, path, &[("not a name", "x")]), 400, None);
        witness.ask(plain, &bare(method, path, &[("x-nul", "\0")]), 400, None);
        witness.ask(plain, &bare(method, path, &[("content-length", "many")]), 400, None);
        witness.ask(plain, &bare(method, path, &[("x-large", &large)]), 431, None);
        witness.ask(plain, &bare(method, path, &[("x", "x"); 101]), 431, None);
        let target = format!("{path}?{}", "x".repeat(70_000));
        // The connection before may still hold the only place.
        let mut reply = None;
        eventually("there is a place", || {
            reply = exchange(one.orders, &bare(method, &target, &[]).bytes());
            reply.as_ref().is_some_and(|reply| reply.status != 503)
        });
        witness.note(method, path, &reply.unwrap(), 414, None);
    }
    // A connection that has been answered has the only place, and keeps it.
    let mut held = None;
    eventually("there is a place", || {
        let mut stream = TcpStream::connect(one.orders).unwrap();
        let written = stream.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: t\r\n\r\n");
        let status = written.ok().and_then(|()| read_reply(&mut stream)).map(|reply| reply.status);
        held = Some(stream);
        status == Some(200)
    });
    for (method, path) in &operations {
        let reply = read_reply(&mut TcpStream::connect(one.orders).unwrap()).unwrap();
        witness.note(method, path, &reply, 503, None);
    }
    drop(held);
}

/// Over the limits of a server that takes 3 orders, 64 KiB, and bodies that come within a second.
fn over_limits(witness: &mut Witness, at: SocketAddr) {
    let large = vec![b' '; 70_000];
    let chunks = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let bomb = encode("gzip", &large);
    let list = format!("[{ORDER},{ORDER},{ORDER},{ORDER}]");
    for (path, _) in POSTS {
        let (too_large, too_many) = (Some(Refusal::BodyTooLarge), Some(Refusal::TooManyOrders));
        witness.ask(at, &post(path, &[("transfer-encoding", "chunked")], &chunks), 413, too_large);
        witness.ask(at, &post(path, &[("content-encoding", "gzip")], &bomb), 413, too_large);
        witness.ask(at, &post(path, &[], list.as_bytes()), 413, too_many);
        witness.ask(at, &post(path, &[("content-length", "100")], b"{"), 408, Some(Refusal::BodyTimeout));
    }
}

/// A server that takes two requests and 64 KiB at once is given them, and turns away what comes then.
fn busy(witness: &mut Witness, narrow: &Pipeline) {
    let part = vec![b' '; 40_000];
    let hold = |headers: &[(&str, &str)], body: &[u8]| {
        let mut stream = TcpStream::connect(narrow.orders).unwrap();
        stream.write_all(&post("/v1/orders", headers, body).bytes()).unwrap();
        stream
    };
    let first = hold(&[("content-length", "50000")], &part);
    eventually("it is in flight", || narrow.metric("tillflow_receive_in_flight_bytes") > 40_000.0);
    for (path, _) in POSTS {
        witness.ask(narrow.orders, &post(path, &[], &part), 429, Some(Refusal::Busy));
        let packed = encode("gzip", &part);
        witness.ask(
            narrow.orders,
            &post(path, &[("content-encoding", "gzip")], &packed),
            429,
            Some(Refusal::Busy),
        );
    }
    let second = hold(&[("content-length", "10")], b"{");
    eventually("both are in flight", || narrow.metric("tillflow_receive_in_flight_requests") == 2.0);
    for (path, _) in POSTS {
        witness.ask(narrow.orders, &post(path, &[], ORDER.as_bytes()), 429, Some(Refusal::Busy));
    }
    drop((first, second));
    eventually("there is room again", || narrow.post(ORDER).status == 202);
}

/// What becomes of orders is up to the log; the counts of the metrics are those of the replies.
fn what_the_log_says(witness: &mut Witness) {
    let server = scripted::serve();
    let mut told = Witness::new();
    for (path, created) in POSTS {
        for (ids, status) in [
            (&["a"][..], created),
            (&["a", "b"], created),
            (&["failed"], 503),
            (&["failed-1", "failed-2"], 503),
            (&["unknown"], 504),
            (&["silent"], 504),
            (&["gone"], 504),
            (&["silent-1", "silent-2", "a"], 504),
            (&["a", "short"], 207),
            (&["a", "failed", "unknown", "b"], 207),
            (&["failed", ""], 207),
        ] {
            let orders: Vec<_> =
                ids.iter().map(|id| ORDER.replacen('{', &format!(r#"{{"order_id":"{id}","#), 1)).collect();
            let body = match orders.as_slice() {
                [only] => only.clone(),
                all => format!("[{}]", all.join(",")),
            };
            let reply = told.ask(server.address, &post(path, &[], body.as_bytes()), status, None).json();
            for (result, id) in reply["results"].as_array().unwrap().iter().zip(ids) {
                let outcome = match *id {
                    _ if ids.iter().any(|id| id.starts_with("silent") || id.starts_with("gone")) => "unknown",
                    "" => "rejected",
                    id if id.starts_with("failed") => "failed",
                    id if id.starts_with("unknown") || id == "short" => "unknown",
                    _ => "accepted",
                };
                assert_eq!(result["outcome"], outcome, "{id} of {ids:?}: {reply:#}");
                assert!(outcome == "rejected" || result["order_id"] == *id, "{reply:#}");
            }
        }
    }
    let metrics = &server.ingest.observed.metrics;
    for outcome in Outcome::ALL {
        assert_eq!(metrics.orders(outcome).get(), told.outcomes[outcome.tag()], "{}", outcome.tag());
    }
    let sent: u64 = told.outcomes.values().sum();
    assert_eq!(sent, 2 * 20, "each order that was sent has one outcome");
    witness.answers.extend(told.answers);
    witness.words.extend(told.words);
}
