//! How a block gets into the stores exactly once: what to do next, decided from what was seen so far. Pure; writing,
//! looking, sending and waiting are the caller's, and so is the clock.
//!
//! First its orders are written, which may be done again and again and changes nothing; its sums are sent when all of
//! them were acknowledged, so that a block that is there has its orders.
//!
//! Of all processors that try to go on from the same offset, the server takes one: their inserts have the same
//! deduplication token, made of the offset and of an attempt, and not of what they hold. Which one it took is read
//! afterwards. A token can be burned: the server notes it before it has the insert's data, and may die between the two.
//! It acknowledges every later insert of that token then and stores none. So, when an insert was acknowledged and its
//! block is not there, whoever still works on it is waited for, and the next attempt is made; everybody makes the same
//! attempts in the same order.

use crate::block::BlockRow;
use std::time::Duration;

/// How old the last look for the block may be when an insert is sent. A processor that was asleep for longer looks again:
/// what it wants to send may have been stored by another one so long ago that the server has forgotten the token.
pub const SEND_WITHIN: Duration = Duration::from_secs(30);

/// How long after the first attempt others may follow it; later, it is made again. Whoever begins anew begins with the
/// first attempt, and where the server has forgotten its token meanwhile, it would take both.
pub const ATTEMPTS_WITHIN: Duration = Duration::from_secs(3_600);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write the orders.
    Write,
    /// Read the block row of the first offset.
    Look,
    /// Send the insert, now, with the token of this attempt.
    Send {
        /// The attempt, from 0.
        attempt: u32,
    },
    /// Wait so long, by a clock that stands still when this machine sleeps: the server may sleep with it.
    Wait(Duration),
    /// Nothing: this is the block there is.
    Done(BlockRow),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// All orders were acknowledged.
    Written,
    /// A look found a block.
    Found(BlockRow),
    /// A look was answered, and there is no block.
    Absent,
    /// The insert was acknowledged.
    Acknowledged,
    /// The action failed, or was not answered. An insert may be stored all the same, or may be stored yet.
    Failed,
    /// The wait is over.
    Waited,
}

/// Why there is a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Before {
    /// An insert of the same attempt.
    Insert,
    /// A wait: the insert was acknowledged, so the block should be there.
    Wait,
    /// The next attempt: the insert was acknowledged, and its block did not come.
    NextAttempt,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Writing,
    Looking(Before),
    Sending,
    Waiting,
    Done(Box<Stored>),
}

/// A block row that can be hashed by its place, for models.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored(BlockRow);

impl std::hash::Hash for Stored {
    fn hash<H: std::hash::Hasher>(&self, into: &mut H) {
        (self.0.partition, self.0.first, self.0.last).hash(into);
    }
}

/// The way of one block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    state: State,
    attempt: u32,
    /// When the last look began.
    looked_at: Duration,
    /// When the first attempt was last made.
    begun_at: Duration,
    /// How long an insert can be under way after it was acknowledged.
    wait: Duration,
}

impl Chain {
    /// The way of a block that nothing is known of. Inserts take at most `wait`.
    pub const fn new(wait: Duration) -> Self {
        Self { state: State::Writing, attempt: 0, looked_at: Duration::ZERO, begun_at: Duration::ZERO, wait }
    }

    /// What is to be done next, at an instant of a clock that goes on while the machine sleeps.
    pub fn next(&mut self, now: Duration) -> Action {
        let further =
            self.attempt > 0 || matches!(self.state, State::Waiting | State::Looking(Before::NextAttempt));
        let is_open = !matches!(self.state, State::Done(_));
        if further && is_open && now.saturating_sub(self.begun_at) > ATTEMPTS_WITHIN {
            (self.attempt, self.state) = (0, State::Looking(Before::Insert));
        }
        if self.state == State::Sending && now.saturating_sub(self.looked_at) > SEND_WITHIN {
            self.state = State::Looking(Before::Insert);
        }
        match &self.state {
            State::Writing => Action::Write,
            State::Looking(_) => {
                self.looked_at = now;
                Action::Look
            }
            State::Sending => {
                if self.attempt == 0 {
                    self.begun_at = now;
                }
                Action::Send { attempt: self.attempt }
            }
            State::Waiting => Action::Wait(self.wait),
            State::Done(stored) => Action::Done(stored.0.clone()),
        }
    }

    /// Notes what came of the last action. What does not belong to it, or says that it failed, changes nothing, so that
    /// it is done again; but an insert that failed is looked for first.
    pub fn on(&mut self, event: Event) {
        self.state = match (&self.state, event) {
            (State::Writing, Event::Written) => State::Looking(Before::Insert),
            (State::Looking(_), Event::Found(row)) => State::Done(Box::new(Stored(row))),
            (State::Looking(Before::Insert), Event::Absent) => State::Sending,
            (State::Looking(Before::Wait), Event::Absent) => State::Waiting,
            (State::Looking(Before::NextAttempt), Event::Absent) => {
                self.attempt += 1;
                State::Sending
            }
            (State::Sending, Event::Acknowledged) => State::Looking(Before::Wait),
            (State::Sending, Event::Failed) => State::Looking(Before::Insert),
            (State::Waiting, Event::Waited) => State::Looking(Before::NextAttempt),
            _ => return,
        };
    }
}

/// The token of an attempt, which is the insert's query id as well.
pub fn token(topic_id: &str, partition: u32, first: i64, attempt: u32) -> String {
    format!("{}{attempt}", token_prefix(topic_id, partition, first))
}

/// What the tokens of all attempts begin with, and no other block's.
pub fn token_prefix(topic_id: &str, partition: u32, first: i64) -> String {
    format!("{topic_id}-{partition}-{first}-")
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests;
