//! As much of HTTP as a sender needs that must know whether an answer came: one request, and its whole reply or none.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use pipeline::outcomes::Outcome;
use serde::Deserialize;

const CONNECT: Duration = Duration::from_secs(2);

/// A connection that is kept for the next request.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

/// What a server answered.
pub(super) struct Reply {
    /// The status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Vec<u8>,
}

impl Connection {
    /// A connection whose replies come within a time.
    pub(super) fn open(address: SocketAddr, within: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(within))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Posts a body. Whatever the error, the server may have got it.
    pub(super) fn post(&mut self, path: &str, media: &str, body: &str) -> io::Result<Reply> {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: t\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let mut line = String::new();
        let (mut status, mut length) = (0, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                break;
            } else if status == 0 {
                status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(|_| bad())?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Reply { status, body })
    }
}

impl Reply {
    /// What it says of each order of its request.
    pub(super) fn outcomes(&self, orders: usize) -> Vec<Outcome> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            results: Vec<Told>,
        }
        #[derive(Deserialize)]
        struct Told {
            index: usize,
            outcome: String,
        }
        // What a status stands for, where the body does not name an order.
        let by_status = match self.status {
            200..=299 => Outcome::Accepted,
            408 | 429 | 503 => Outcome::Failed,
            500..=599 => Outcome::Unknown,
            _ => Outcome::Rejected,
        };
        let mut outcomes = vec![by_status; orders];
        for told in serde_json::from_slice::<Body>(&self.body).map(|body| body.results).unwrap_or_default() {
            let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.tag() == told.outcome);
            if let (Some(place), Some(outcome)) = (outcomes.get_mut(told.index), outcome) {
                *place = outcome;
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &[u8], orders: usize) -> Vec<Outcome> {
        Reply { status, body: body.to_vec() }.outcomes(orders)
    }

    #[test]
    fn a_reply_says_what_became_of_each_order() {
        let body = br#"{"results":[{"index":1,"outcome":"unknown"},{"index":2,"outcome":"rejected"}]}"#;
        let expected = [Outcome::Accepted, Outcome::Unknown, Outcome::Rejected];
        assert_eq!(said(207, body, 3), expected);
        assert_eq!(said(503, b"", 2), [Outcome::Failed; 2]);
        assert_eq!(said(504, b"{}", 1), [Outcome::Unknown]);
    }
}
