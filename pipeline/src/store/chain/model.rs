//! Every order of events that processors and servers can go through, up to a few failures, tried out on the state
//! machines that the processors run: [`Chain`] and [`Position`].
//!
//! Several processors take the same partition for theirs all the while, as if no group fenced any of them, and each ends
//! its blocks wherever it likes. The rollups' server is modelled by what its engine does: it notes an insert's token,
//! then stores its rows, then answers. It may die between any two of these; answers may be lost; an insert whose sender
//! has gone goes on until it ends by itself, and a wait is over when none that was under way at its beginning still is.
//! A day may pass, in which a processor sleeps and the server forgets all tokens. A processor may die at each step, and
//! begins anew with what the stores and the group tell it.
//!
//! In each world, no record is counted twice, a block that is there has its orders and its dead letters, nobody goes on
//! behind what is not stored, nothing is committed before it is stored, nothing is taken for lost that is not, and all
//! can still come to its end. [`rules`] leaves out each rule of the protocol, and the model finds out.

mod explore;
mod processor;
mod rules;
mod server;

use super::tests::row as row_from;
use super::{Chain, Event};
use crate::block::BlockRow;
use crate::position::Position;
use rules::Rule;
use server::Server;
use std::time::Duration;

/// How large the worlds are, and what is left out of the protocol.
#[derive(Clone, Copy)]
struct Model {
    processors: usize,
    /// The log holds so many.
    records: i64,
    failures: u8,
    days: u8,
    /// How many attempts are looked at; a world that wants more is not followed.
    attempts: u32,
    /// Inserts may be on their way to the server for a day, which the protocol cannot prevent.
    late: bool,
    left_out: Option<Rule>,
}

/// Longer than all that the protocol remembers.
const DAY: Duration = Duration::from_secs(86_400);

/// What a processor is at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    /// It begins, with nothing in memory.
    Start,
    /// It has asked for the first of the two: the committed position and the newest block's end.
    Asked(Option<i64>),
    /// It takes records, or stores its block.
    Block,
    /// It has stored its block and may commit.
    Stored,
    /// It waits for the answer to its insert.
    Answer,
    /// It waits for the inserts that are under way.
    Waits,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Processor {
    at: At,
    position: Position,
    chain: Chain,
    /// The dead letters of its block are in the log.
    buried: bool,
}

impl Processor {
    fn new() -> Self {
        let chain = Chain::new(Duration::ZERO);
        Self { at: At::Start, position: Position::default(), chain, buried: false }
    }
}

/// A set of offsets.
type Offsets = u8;

fn offsets(first: i64, last: i64) -> Offsets {
    (first..=last).fold(0, |set, offset| set | 1 << offset)
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    processors: Vec<Processor>,
    server: Server,
    /// The offsets whose orders are in the orders store, and those whose dead letters are in the log.
    orders: Offsets,
    dead: Offsets,
    committed: Option<i64>,
    failures: u8,
    days: u8,
    /// Somebody wanted more attempts than are looked at.
    given_up: bool,
    /// Somebody took something for lost.
    lost: bool,
}

impl World {
    fn new(model: &Model) -> Self {
        Self {
            processors: vec![Processor::new(); model.processors],
            server: Server::default(),
            orders: 0,
            dead: 0,
            committed: None,
            failures: 0,
            days: 0,
            given_up: false,
            lost: false,
        }
    }

    /// Whether everybody has stored all there is.
    fn done(&self, model: &Model) -> bool {
        self.processors.iter().all(|one| one.at == At::Block && one.position.stored() == model.records)
    }

    /// What is wrong, if anything is.
    fn wrong(&self, model: &Model) -> Option<&'static str> {
        let counts = |offset: i64| {
            self.server.rows.iter().filter(|row| (row.first..=row.last).contains(&offset)).count()
        };
        let doubled = (0..model.records).any(|offset| counts(offset) > 1);
        if model.late {
            return (doubled && self.server.balanced())
                .then_some("a record counts twice and the ledger does not tell");
        }
        let end = (0..model.records).find(|offset| counts(*offset) == 0).unwrap_or(model.records);
        let stored = self.server.rows.iter().fold(0, |set, row| set | offsets(row.first, row.last));
        let ahead = self.processors.iter().any(|one| one.position.stored() > end);
        [
            (doubled, "a record counts twice"),
            (!self.server.balanced(), "the blocks are not one behind the other"),
            (stored & !self.orders != 0, "a block is there without its orders"),
            (stored & !self.dead != 0, "a block is there without its dead letters"),
            (ahead, "a processor goes on behind what is not stored"),
            (self.committed.is_some_and(|committed| committed > end), "what is not stored is committed"),
            (self.lost, "something is taken for lost"),
        ]
        .into_iter()
        .find_map(|(wrong, what)| wrong.then_some(what))
    }

    fn failing(&self, model: &Model) -> Option<Self> {
        (self.failures < model.failures).then(|| Self { failures: self.failures + 1, ..self.clone() })
    }

    fn tell(&mut self, number: usize, event: Event) {
        self.processors[number].chain.on(event);
        self.processors[number].at = At::Block;
    }

    /// Tells that an insert failed, or was not answered.
    fn tell_failed(&mut self, model: &Model, number: usize) {
        self.tell(number, Event::Failed);
        if model.without(Rule::SameTokenAfterAnError) {
            self.processors[number].chain.attempt += 1;
        }
    }

    /// All that can happen next.
    fn successors(&self, model: &Model) -> Vec<Self> {
        let mut found = Vec::new();
        for number in 0..self.processors.len() {
            self.step(model, number, &mut found);
            self.die(model, number, &mut found);
        }
        self.serve(model, &mut found);
        found
    }
}

/// A block row that ends at an offset.
fn row(last: i64) -> BlockRow {
    BlockRow { topic_id: String::new(), ..row_from(last) }
}
