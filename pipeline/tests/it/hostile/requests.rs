//! Attacks whose HTTP is wrong: headers, routes, framing, and what is no request at all.

use super::attacks::{Answer, Attack, rejected};
use super::bytes::{Random, chunked, good, post};
use super::orders::truncated;

pub fn bad_header(random: &mut Random, number: usize) -> Attack {
    let long = format!("idempotency-key: {}\r\n", "k".repeat(65));
    let (header, status, reason) = random.pick(&[
        ("content-type: text/plain\r\n", 415, "unsupported_media_type"),
        ("content-type: multipart/form-data; boundary=x\r\n", 415, "unsupported_media_type"),
        ("content-type: application/xml\r\n", 415, "unsupported_media_type"),
        ("content-type: \r\n", 415, "unsupported_media_type"),
        ("content-type: application/json\u{e9}\r\n", 415, "unsupported_media_type"),
        ("content-encoding: br\r\n", 415, "unsupported_encoding"),
        ("content-encoding: gzip, gzip\r\n", 415, "unsupported_encoding"),
        ("content-encoding: gzip\r\ncontent-encoding: gzip\r\n", 415, "unsupported_encoding"),
        ("content-encoding: \r\n", 415, "unsupported_encoding"),
        ("idempotency-key: a b\r\n", 400, "bad_idempotency_key"),
        ("idempotency-key: \r\n", 400, "bad_idempotency_key"),
        ("idempotency-key: \u{e9}\r\n", 400, "bad_idempotency_key"),
        (long.as_str(), 400, "bad_idempotency_key"),
        ("tillflow-due-at: soon\r\n", 400, "bad_due_at"),
        ("tillflow-due-at: 99999999999999999999\r\n", 400, "bad_due_at"),
        ("content-length: 8388609\r\n", 413, "body_too_large"),
        ("content-length: 9223372036854775807\r\n", 413, "body_too_large"),
    ]);
    let order = good(&format!("header-{number}"));
    let mut bytes = post(header, order.as_bytes());
    if status == 413 {
        // The length that is announced is the only one, and nothing of the body is sent.
        bytes = format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\n{header}\r\n").into_bytes();
    }
    Attack::new("bad header", bytes, Answer::Refused(status, reason))
}

pub fn bad_route(random: &mut Random, _: usize) -> Attack {
    let (line, status, reason) = random.pick(&[
        ("GET /v1/orders", 405, "method_not_allowed"),
        ("PUT /v1/orders", 405, "method_not_allowed"),
        ("DELETE /orderitem", 405, "method_not_allowed"),
        ("BREW /v1/orders", 405, "method_not_allowed"),
        ("POST /openapi.json", 405, "method_not_allowed"),
        ("POST /v1/orders/", 404, "not_found"),
        ("POST /V1/ORDERS", 404, "not_found"),
        ("POST //v1/orders", 404, "not_found"),
        ("POST /v1/orders/../orders", 404, "not_found"),
        ("POST /v1/orders%00", 404, "not_found"),
        ("GET /../../../../etc/passwd", 404, "not_found"),
        ("OPTIONS *", 404, "not_found"),
        ("CONNECT example.org:443", 404, "not_found"),
    ]);
    let bytes = format!("{line} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
    Attack::new("bad route", bytes.into_bytes(), Answer::Refused(status, reason))
}

/// Bytes that are no request at all.
pub fn no_http(random: &mut Random, _: usize) -> Attack {
    let mut garbage: Vec<u8> = (0..random.below(2_000)).map(|_| random.byte()).collect();
    // A byte that no method has comes first, so that it is plain at once.
    garbage.insert(0, 1 + u8::try_from(random.below(8)).unwrap());
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.extend((0..506).map(|_| random.byte()));
    let bytes = match random.below(8) {
        0 => garbage,
        1 => hello,
        2 => b"POST /v1/orders HTTP/9.9\r\n\r\n".to_vec(),
        3 => b"POST /v1/orders\r\n\r\n".to_vec(),
        4 => b"POST /v1/orders HTTP/1.1\r\nno colon\r\n\r\n".to_vec(),
        5 => b"POST /v1/orders HTTP/1.1\r\nhost: \0\r\n\r\n".to_vec(),
        6 => b"{\"customer_id\":3,\"source\":\"Online\",\"quantity\":1}\r\n\r\n".to_vec(),
        _ => b"POST /v1/or ders HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
    };
    Attack::fatal("no HTTP", bytes, Answer::Bare(400))
}

/// Heads from which it does not follow where the body ends, so that two servers may take different requests from them.
pub fn bad_framing(random: &mut Random, _: usize) -> Attack {
    let header = random.pick(&[
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -1",
        "content-length: 0x5",
        "content-length: ",
        "content-length: 99999999999999999999999",
        "content-length : 5",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "x: a\r\n folded: b\r\ncontent-length: 5",
        "x: a\r\n\ttransfer-encoding: chunked",
        "transfer-encoding: \x0bchunked",
        "transfer-encoding : chunked",
        " transfer-encoding: chunked",
    ]);
    let bytes = format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\n{header}\r\n\r\nhello");
    Attack::fatal("bad framing", bytes, Answer::Bare(400))
}

pub fn broken_chunks(random: &mut Random, _: usize) -> Attack {
    let body = random.pick(&[
        "zz\r\n",
        "-5\r\nhello",
        "FFFFFFFFFFFFFFFFF\r\nhello",
        "3\r\nhello",
        "5 5\r\nhello",
        "\r\n",
    ]);
    let bytes = format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    Attack::fatal("broken chunks", bytes, Answer::Refused(400, "body_broken"))
}

pub fn long_head(random: &mut Random, _: usize) -> Attack {
    let long = "x".repeat(17_000 + random.below(20_000));
    let bytes = match random.below(3) {
        0 => format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\nx: {long}\r\n\r\n"),
        1 => format!("POST /v1/orders?{long} HTTP/1.1\r\nhost: t\r\n\r\n"),
        _ => format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\n{}\r\n", "x: y\r\n".repeat(101)),
    };
    Attack::fatal("long head", bytes, Answer::Bare(431))
}

/// Good and bad requests in one write are answered in their order, each for itself.
pub fn pipelined(random: &mut Random, number: usize) -> Attack {
    let mut bytes = Vec::new();
    let mut answers = Vec::new();
    for part in 0..2 + random.below(4) {
        if random.below(2) == 0 {
            let id = format!("pipelined-{number}-{part}");
            bytes.extend(post("", good(&id).as_bytes()));
            answers.push(Answer::Accepted(id));
        } else {
            let next = truncated(random, number);
            bytes.extend(next.bytes);
            answers.extend(next.answers);
        }
    }
    Attack { kind: "pipelined", bytes, answers, ends: false, closed: false }
}

/// A request behind a request: a length that is too short leaves a rest that is no request, and what lies behind an
/// end that two headers tell differently is never looked at.
pub fn smuggled(random: &mut Random, number: usize) -> Attack {
    let inner = post("", good(&format!("smuggled-{number}")).as_bytes());
    match random.below(3) {
        0 => {
            let order = good(&format!("short-{number}"));
            let length = 1 + random.below(order.len() - 3);
            let head = format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n");
            let rest = order[length..].to_owned();
            let bytes = format!("{head}{}{{{rest}\r\n\r\n", &order[..length]);
            let answers = vec![rejected("not_json"), Answer::Bare(400)];
            Attack { kind: "smuggled", bytes: bytes.into_bytes(), answers, ends: false, closed: true }
        }
        one_or_two => {
            let id = format!("told-twice-{number}");
            let length = if one_or_two == 1 { 4 } else { 4_000 };
            let mut bytes = chunked(good(&id).as_bytes());
            let header = format!("content-length: {length}\r\n");
            let at = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
            bytes.splice(at..at, header.bytes());
            bytes.extend(inner);
            Attack::fatal("smuggled", bytes, Answer::Accepted(id))
        }
    }
}
