//! The orders of a run as bytes, made before the clock starts, so that sending one costs no more than slicing.
//!
//! A payload is either drawn from a fitted table for a seed ([`generate`]) or read from a file ([`replay`]). It owns
//! the bytes and nothing else: when an order is due, how it is sent and what became of it belong to others. It says
//! nothing about whether an order is valid either, since a replayed file may hold invalid ones on purpose; all it
//! needs of a line is the order id at its beginning.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

mod generate;
mod replay;
mod retail;
mod shape;
mod template;

pub use generate::{CreatedAt, GenerateSpec, RUN_ID_LENGTH_MAX, generate, generate_shaped};
pub use replay::{created_at_ns, replay};
pub use shape::{Customers, Shape};
pub use template::{Template, TemplateError};

/// What a payload may take unless its maker asks for another limit, in bytes: about 20 million orders.
pub const DEFAULT_MAX_BYTES: usize = 4 << 30;

/// How every line begins. The id is read from there without parsing the line.
const ORDER_ID_PREFIX: &[u8] = br#"{"order_id":""#;

/// The longest order id that the order contract allows, in bytes.
const ORDER_ID_LENGTH_MAX: usize = 64;

/// Why there is no payload. The texts read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The orders do not fit into the limit on memory.
    #[error("hold the orders in memory: order {order} goes over the limit of {max_bytes} bytes")]
    TooLarge {
        /// The first order that did not fit, counted from 0.
        order: usize,
        /// The limit in bytes.
        max_bytes: usize,
    },
    /// The run id cannot begin an order id.
    #[error(
        "use {0:?} as a run id: it needs 1 to {RUN_ID_LENGTH_MAX} visible ASCII characters, no quote or backslash"
    )]
    RunId(String),
    /// The orders cannot be given this shape.
    #[error("shape the orders: {0}")]
    Shape(String),
    /// The compiled-in table cannot be drawn from.
    #[error("use the table of retail shares: {0}")]
    Table(String),
    /// A file of orders could not be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What reading or decompressing it said.
        source: io::Error,
    },
    /// A line of a file is no order that can be replayed.
    #[error("replay {path}: line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// All orders of a run as one arena of NDJSON: an order is a slice of it, and so is a batch of consecutive orders.
///
/// A slice shares the arena, which lives until the last of them is dropped.
#[derive(Clone, Debug)]
pub struct Payload {
    arena: Bytes,
    /// Where each order ends, behind its newline. 8 bytes an order beside the 200 or so of the order itself.
    ends: Vec<usize>,
    fingerprint: u64,
}

impl Payload {
    /// The number of orders.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no order.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all orders with their newlines.
    pub fn size_bytes(&self) -> usize {
        self.arena.len()
    }

    /// Order `index` without its newline; none behind the last.
    pub fn order(&self, index: usize) -> Option<Bytes> {
        self.batch(index, 1)
    }

    /// `count` consecutive orders with a newline between them, but none at the end. None if `count` is 0 or the range
    /// goes beyond the last order.
    pub fn batch(&self, first: usize, count: usize) -> Option<Bytes> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        let end = *self.ends.get(last)?;
        // Every order ends in a newline, which belongs to the arena and not to the order.
        Some(self.arena.slice(self.start(first)?..end.checked_sub(1)?))
    }

    /// The id of order `index`, read from the beginning of its line.
    pub fn order_id(&self, index: usize) -> Option<&str> {
        order_id(self.arena.get(self.start(index)?..*self.ends.get(index)?)?)
    }

    /// XXH3 (64 bits) of the whole arena: two runs with the same fingerprint were offered the same bytes in the same
    /// order.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn start(&self, index: usize) -> Option<usize> {
        match index.checked_sub(1) {
            None => Some(0),
            Some(before) => self.ends.get(before).copied(),
        }
    }
}

/// The order id at the beginning of a line, if there is one that the order contract allows and that needs no
/// unescaping.
fn order_id(line: &[u8]) -> Option<&str> {
    let id = line.strip_prefix(ORDER_ID_PREFIX)?.split(|byte| *byte == b'"').next()?;
    let allowed = (1..=ORDER_ID_LENGTH_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\')
        // The quote behind the id: a line may break off inside it.
        && line.get(ORDER_ID_PREFIX.len() + id.len()) == Some(&b'"');
    if allowed { str::from_utf8(id).ok() } else { None }
}

/// An arena that grows by one order at a time, up to a limit.
struct Arena {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    max_bytes: usize,
}

impl Arena {
    fn new(max_bytes: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), max_bytes }
    }

    /// Ends the order that was appended to `bytes`.
    fn end_order(&mut self) -> Result<(), PayloadError> {
        self.bytes.push(b'\n');
        self.ends.push(self.bytes.len());
        if self.size_bytes() > self.max_bytes { Err(self.too_large(self.ends.len() - 1)) } else { Ok(()) }
    }

    /// The bytes of the orders and of their ends, both of which count against the limit.
    fn size_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }

    fn too_large(&self, order: usize) -> PayloadError {
        PayloadError::TooLarge { order, max_bytes: self.max_bytes }
    }

    fn finish(self) -> Payload {
        let fingerprint = xxh3_64(&self.bytes);
        Payload { arena: Bytes::from(self.bytes), ends: self.ends, fingerprint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(lines: &[&str]) -> Payload {
        let mut arena = Arena::new(DEFAULT_MAX_BYTES);
        for line in lines {
            arena.bytes.extend_from_slice(line.as_bytes());
            arena.end_order().unwrap();
        }
        arena.finish()
    }

    #[test]
    fn an_order_and_a_batch_are_slices_without_a_last_newline() {
        let payload = payload(&[r#"{"order_id":"a"}"#, r#"{"order_id":"b"}"#, r#"{"order_id":"c"}"#]);
        assert_eq!(payload.len(), 3);
        assert_eq!(payload.order(1).unwrap(), r#"{"order_id":"b"}"#);
        assert_eq!(payload.batch(1, 2).unwrap(), "{\"order_id\":\"b\"}\n{\"order_id\":\"c\"}");
        assert_eq!((payload.order_id(0), payload.order_id(2)), (Some("a"), Some("c")));
    }

    #[test]
    fn there_is_nothing_beyond_the_last_order_and_no_empty_batch() {
        let payload = payload(&[r#"{"order_id":"a"}"#]);
        assert_eq!((payload.order(1), payload.batch(0, 2), payload.batch(0, 0)), (None, None, None));
        assert_eq!((payload.batch(usize::MAX, 2), payload.order_id(1)), (None, None));
        assert!(Arena::new(0).finish().is_empty());
    }

    #[test]
    fn an_order_id_is_read_only_where_the_contract_allows_it() {
        let longest = "x".repeat(ORDER_ID_LENGTH_MAX);
        assert_eq!(order_id(format!(r#"{{"order_id":"{longest}"}}"#).as_bytes()), Some(longest.as_str()));
        for line in [
            format!(r#"{{"order_id":"{longest}x"}}"#),
            r#"{"order_id":""}"#.to_owned(),
            r#"{"order_id":"a b"}"#.to_owned(),
            r#"{"order_id":"a\u0041"}"#.to_owned(),
            r#"{"order_id":"é"}"#.to_owned(),
            r#"{"order_id":"a"#.to_owned(),
            r#"{"order_id": "a"}"#.to_owned(),
            r#"{"id":"a"}"#.to_owned(),
        ] {
            assert_eq!(order_id(line.as_bytes()), None, "{line}");
        }
    }
}
