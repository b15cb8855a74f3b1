//! What is wrong with a request, kind by kind, and the answer that each must get. Everything follows from a seed.

use super::bytes::Random;
use super::{orders, requests};

/// One answer of the server.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The order of that id is accepted.
    Accepted(String),
    /// So many orders are looked at, and each is rejected with that status and reason.
    Rejected(u16, String, usize),
    /// The request is refused whole, with that status and reason.
    Refused(u16, &'static str),
    /// The HTTP library's own answer, which has a status and nothing else.
    Bare(u16),
}

/// A request, or several, on a connection of their own.
#[derive(Clone, Debug)]
pub struct Attack {
    pub kind: &'static str,
    pub bytes: Vec<u8>,
    pub answers: Vec<Answer>,
    /// Whether the client ends its half of the connection behind the bytes.
    pub ends: bool,
    /// Whether the server ends the connection behind the answers.
    pub closed: bool,
}

impl Attack {
    pub fn new(kind: &'static str, bytes: Vec<u8>, answer: Answer) -> Self {
        Self { kind, bytes, answers: vec![answer], ends: false, closed: false }
    }

    /// What HTTP cannot go on behind.
    pub fn fatal(kind: &'static str, bytes: impl Into<Vec<u8>>, answer: Answer) -> Self {
        Self { closed: true, ..Self::new(kind, bytes.into(), answer) }
    }
}

type Kind = fn(&mut Random, usize) -> Attack;

/// The kinds, each as often as it stands here.
const KINDS: [Kind; 22] = [
    orders::of_the_corpus,
    orders::of_the_corpus,
    orders::of_the_corpus,
    orders::of_the_corpus,
    orders::truncated,
    orders::wrong_type,
    orders::duplicate_key,
    orders::too_deep,
    orders::no_text,
    orders::huge_number,
    orders::broken_array,
    orders::rejected_batch,
    orders::empty,
    orders::corrupt,
    requests::bad_header,
    requests::bad_route,
    requests::no_http,
    requests::bad_framing,
    requests::broken_chunks,
    requests::long_head,
    requests::pipelined,
    requests::smuggled,
];

/// The attack of a number.
pub fn attack(random: &mut Random, number: usize) -> Attack {
    KINDS[number % KINDS.len()](random, number)
}

/// One order is rejected for a reason.
pub fn rejected(reason: &str) -> Answer {
    let status = if matches!(reason, "not_json" | "invalid_utf8") { 400 } else { 422 };
    Answer::Rejected(status, reason.to_owned(), 1)
}
