//! Attacks that cost more than a few bytes: much work for little, time, or a connection that is cut.

use super::attacks::{Answer, Attack};
use super::bytes::{Random, chunked, good, gzip, gzip_bomb, post, zstd_bomb};
use super::send::{Connection, Tally, read};
use rustix::net::sockopt::set_socket_linger;
use std::net::SocketAddr;
use std::time::Duration;

/// Each heavy kind once.
pub fn heavy() -> Vec<Attack> {
    let too_large = || Answer::Refused(413, "body_too_large");
    let batch = |order: &str, count| {
        post("content-type: application/x-ndjson\r\n", (order.to_owned() + "\n").repeat(count).as_bytes())
    };
    let many = |reason: &str, count| Answer::Rejected(422, reason.to_owned(), count);
    vec![
        Attack::new("gzip bomb", post("content-encoding: gzip\r\n", &gzip_bomb(200)), too_large()),
        Attack::new("zstd bomb", post("content-encoding: zstd\r\n", &zstd_bomb(400, 20)), too_large()),
        // As many members as fit, each of which costs more than its 20 bytes show.
        Attack::new(
            "gzip members",
            post("content-encoding: gzip\r\n", &gzip(b"").repeat(400_000)),
            Answer::Refused(400, "bad_encoding"),
        ),
        // A window over the 8 MiB of RFC 9659 is refused before it is allocated.
        Attack::new(
            "zstd window",
            post("content-encoding: zstd\r\n", &zstd_bomb(1, 27)),
            Answer::Refused(400, "bad_encoding"),
        ),
        Attack {
            closed: true,
            ..Attack::new("chunks over the limit", chunked(&vec![b' '; 10 << 20]), too_large())
        },
        Attack::new("too many orders", batch("{}", 50_001), Answer::Refused(413, "too_many_orders")),
        Attack::new("many rejected", batch("0", 50_000), many("not_an_object", 50_000)),
        Attack::new(
            "long order",
            post("", good("long").replace("0123456789", &"x".repeat(8 << 20 >> 1)).as_bytes()),
            Answer::Rejected(422, "too_large".to_owned(), 1),
        ),
        Attack::new("blank body", post("", &vec![b' '; 8 << 20]), Answer::Refused(400, "empty")),
    ]
}

/// Bodies of which the end never comes: each is answered 408 when the time is over, or 400 where the client says that
/// no more comes. They are all open at once.
pub fn held_back(address: SocketAddr, count: usize, tally: &mut Tally) {
    let mut open: Vec<(Connection, Attack)> = (0..count)
        .map(|number| {
            let order = good(&format!("held-back-{number}"));
            let (late, broken) = (Answer::Refused(408, "body_timeout"), Answer::Refused(400, "body_broken"));
            let long = format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n{order}")
                .into_bytes();
            let mut unfinished = chunked(order.as_bytes());
            unfinished.truncate(unfinished.len() - 5);
            let (bytes, answer, ends) = match number % 4 {
                0 => (long, late, false),
                1 => (unfinished, late, false),
                2 => (long, broken, true),
                _ => (unfinished, broken, true),
            };
            let mut connection = Connection::open(address);
            connection.write(&bytes);
            if ends {
                connection.stream().shutdown(std::net::Shutdown::Write).unwrap();
            }
            (connection, Attack { ends, closed: true, ..Attack::new("held back", bytes, answer) })
        })
        .collect();
    for (connection, attack) in &mut open {
        read(connection, attack, tally);
    }
}

/// A connection that is reset somewhere in a request; nobody reads an answer. The order is never whole.
pub fn reset(address: SocketAddr, random: &mut Random, tally: &mut Tally) {
    let request = post("", good("reset").as_bytes());
    let mut connection = Connection::open(address);
    connection.write(&request[..1 + random.below(request.len() - 1)]);
    // With no time to linger, closing throws away what is unsent and resets the connection.
    set_socket_linger(connection.stream(), Some(Duration::ZERO)).unwrap();
    tally.requests += 1;
}

/// HTTP/2's preface with garbage behind it: the server says its settings and its error in frames, and ends it.
pub fn speak_http2(address: SocketAddr, random: &mut Random, tally: &mut Tally) {
    let mut connection = Connection::open(address);
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // A frame that is longer than any may be.
    let mut garbage = vec![0xff; 3];
    garbage.extend((0..200).map(|_| random.byte()));
    connection.write(&garbage);
    let frames = connection.rest();
    const SETTINGS: u8 = 4;
    assert!(frames.is_empty() || frames.get(3) == Some(&SETTINGS), "{frames:?}");
    tally.requests += 1;
}
