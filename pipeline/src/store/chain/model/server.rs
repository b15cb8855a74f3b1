//! The server of the rollups: what it has under way, what it has noted and what it holds.

use super::{Model, World};
use crate::store::chain::Event;
use crate::store::chain::model::rules::Rule;

/// An insert that is on its way to the server, or that the server works on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Insert {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) attempt: u32,
    /// Its token is noted.
    pub(super) noted: bool,
    /// Whoever waits for its answer.
    pub(super) sender: Option<usize>,
    /// The processors whose wait began while it was under way, as a set.
    pub(super) waited_for: u8,
}

/// A block that is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Row {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) attempt: u32,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Server {
    /// In the order of their fields, so that worlds that differ in nothing else are one.
    inserts: Vec<Insert>,
    /// First offset and attempt of each token, and the last offset where tokens have it, which is a rule left out.
    tokens: Vec<(i64, u32, Option<i64>)>,
    pub(super) rows: Vec<Row>,
}

impl Server {
    pub(super) fn receive(&mut self, insert: Insert) {
        self.inserts.push(insert);
        self.inserts.sort_unstable();
    }

    /// A processor has gone, or waits no more.
    pub(super) fn leave_alone(&mut self, number: usize) {
        for insert in &mut self.inserts {
            insert.sender = insert.sender.filter(|sender| *sender != number);
            insert.waited_for &= !(1 << number);
        }
        self.inserts.sort_unstable();
    }

    pub(super) fn begin_wait(&mut self, number: usize) {
        for insert in &mut self.inserts {
            insert.waited_for |= u8::from(insert.noted) << number;
        }
        self.inserts.sort_unstable();
    }

    pub(super) fn waited_for(&self, number: usize) -> bool {
        self.inserts.iter().any(|insert| insert.waited_for >> number & 1 == 1)
    }

    /// What the ledger sees: whether the blocks lie one behind the other from the first offset on.
    pub(super) fn balanced(&self) -> bool {
        let begins =
            |row: &Row| row.first == 0 || self.rows.iter().any(|before| before.last + 1 == row.first);
        let alone = |row: &Row| {
            self.rows.iter().filter(|other| other.first <= row.last && row.first <= other.last).count() == 1
        };
        self.rows.iter().all(|row| begins(row) && alone(row))
    }
}

impl World {
    /// The server does the next thing for an insert, or dies, or a day passes.
    pub(super) fn serve(&self, model: &Model, found: &mut Vec<Self>) {
        for at in 0..self.server.inserts.len() {
            self.serve_one(model, at, found);
        }
        if let Some(mut world) = self.failing(model).filter(|_| !self.server.inserts.is_empty()) {
            for insert in std::mem::take(&mut world.server.inserts) {
                if let Some(sender) = insert.sender {
                    world.tell_failed(model, sender);
                }
            }
            found.push(world);
        }
        self.sleep(model, found);
    }

    fn serve_one(&self, model: &Model, at: usize, found: &mut Vec<Self>) {
        let mut world = self.clone();
        let insert = world.server.inserts.remove(at);
        let last = model.without(Rule::LastIsNotInTheToken).then_some(insert.last);
        let token = (insert.first, insert.attempt, last);
        if !insert.noted && !self.server.tokens.contains(&token) {
            world.server.tokens.push(token);
            world.server.tokens.sort_unstable();
            world.server.receive(Insert { noted: true, ..insert });
            found.push(world);
            return;
        }
        if insert.noted {
            // There is no room for its rows, or it takes too long: its token is burned.
            found.extend(world.failing(model).map(|mut world| {
                if let Some(sender) = insert.sender {
                    world.tell_failed(model, sender);
                }
                world
            }));
            let Insert { first, last, attempt, .. } = insert;
            world.server.rows.push(super::server::Row { first, last, attempt });
            world.server.rows.sort_unstable();
        }
        if let Some(sender) = insert.sender {
            // The answer is lost.
            found.extend(world.failing(model).map(|mut world| {
                world.tell_failed(model, sender);
                world
            }));
            world.tell(sender, Event::Acknowledged);
        }
        found.push(world);
    }

    /// A day passes: the server has forgotten all tokens, and whoever had looked slept. What was under way has ended.
    fn sleep(&self, model: &Model, found: &mut Vec<Self>) {
        let under_way = |insert: &Insert| insert.noted || !model.late;
        if self.days == model.days
            || self.server.tokens.is_empty()
            || self.server.inserts.iter().any(under_way)
        {
            return;
        }
        let mut world = Self { days: self.days + 1, ..self.clone() };
        world.server.tokens.clear();
        found.push(world);
    }
}
