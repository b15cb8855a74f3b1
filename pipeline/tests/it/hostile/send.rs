//! Sending attacks and good orders, and comparing what comes back with what must.

use super::attacks::{Answer, Attack};
use super::bytes::{good, post};
use crate::support::{DEADLINE, Reply};
use pipeline::outcomes::Outcome;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// What has to be found afterwards: in the metrics, by reason, and in the log, by id.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub requests: u64,
    pub rejected: BTreeMap<String, u64>,
    pub refused: BTreeMap<&'static str, u64>,
    pub statuses: BTreeMap<u16, u64>,
    pub orders: Vec<(String, Outcome)>,
}

impl Tally {
    pub fn count(&mut self, answer: &Answer) {
        let status = match answer {
            Answer::Accepted(id) => {
                self.orders.push((id.clone(), Outcome::Accepted));
                202
            }
            Answer::Rejected(status, reason, count) => {
                *self.rejected.entry(reason.clone()).or_default() += *count as u64;
                *status
            }
            Answer::Refused(status, reason) => {
                *self.refused.entry(reason).or_default() += 1;
                *status
            }
            // The library's own answers are seen by no counter of requests.
            Answer::Bare(_) => return,
        };
        *self.statuses.entry(status).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        for (reason, count) in other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.orders.extend(other.orders);
    }
}

/// A connection with what was read of it beyond the last answer.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Writes what the server takes: it may answer and close before it has read all.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    pub fn read(&mut self) -> Option<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, head, body: String::from_utf8(body).unwrap() })
    }

    /// What comes until the server ends the connection. It may end it by a reset.
    pub fn rest(&mut self) -> Vec<u8> {
        let (mut rest, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => return rest,
                Ok(read) => rest.extend(&piece[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return rest,
                Err(error) => panic!("the server does not end the connection: {error}"),
            }
        }
    }

    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }
}

/// Sends an attack on a connection of its own and reads the answers.
pub fn send(address: SocketAddr, attack: &Attack, tally: &mut Tally) {
    let mut connection = Connection::open(address);
    connection.write(&attack.bytes);
    if attack.ends {
        let _ = connection.stream().shutdown(Shutdown::Write);
    }
    read(&mut connection, attack, tally);
}

/// Reads the answers to an attack that was sent.
pub fn read(connection: &mut Connection, attack: &Attack, tally: &mut Tally) {
    tally.requests += 1;
    for expected in &attack.answers {
        let said = || {
            format!(
                "{}: {}",
                attack.kind,
                String::from_utf8_lossy(&attack.bytes[..attack.bytes.len().min(300)])
            )
        };
        let reply =
            connection.read().unwrap_or_else(|| panic!("no answer, {expected:?} expected to {}", said()));
        assert_eq!(wrong(expected, &reply), None, "{expected:?} expected, {reply:?} came to {}", said());
        tally.count(expected);
    }
    if attack.closed {
        assert_eq!(connection.rest(), b"", "{}: no further answer, and the end", attack.kind);
    }
}

/// What is wrong with an answer.
fn wrong(expected: &Answer, reply: &Reply) -> Option<&'static str> {
    let (status, right) = match expected {
        Answer::Accepted(id) => {
            let json = reply.json();
            (202, json["accepted"] == 1 && json["results"][0]["order_id"] == id.as_str())
        }
        Answer::Rejected(status, reason, count) => {
            let json = reply.json();
            let results = json["results"].as_array().unwrap();
            let alike = results.iter().all(|result| result["reason"] == reason.as_str());
            (*status, alike && results.len() == *count && json["rejected"] == *count)
        }
        Answer::Refused(status, reason) => (*status, reply.json()["reason"] == *reason),
        Answer::Bare(status) => (*status, reply.body.is_empty()),
    };
    match (status == reply.status, right) {
        (false, _) => Some("status"),
        (_, false) => Some("body"),
        _ => None,
    }
}

/// Sends good orders on a connection that is kept, one at a time, until told to stop.
pub fn send_good(address: SocketAddr, name: &str, stop: &std::sync::atomic::AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Connection::open(address);
    for number in 0..5_000 {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let id = format!("{name}-{number}");
        connection.write(&post("", good(&id).as_bytes()));
        let reply = connection.read().expect("a good order is answered");
        let answer = Answer::Accepted(id);
        assert_eq!(wrong(&answer, &reply), None, "{answer:?} expected, {reply:?} came");
        tally.count(&answer);
    }
    tally
}
