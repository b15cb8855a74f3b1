//! How a block gets into the rollups exactly once: what to do next, decided from what was seen so far. Pure; looking,
//! sending and waiting are the caller's, and so is the clock.
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

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
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
    /// A look found a block.
    Found(BlockRow),
    /// A look was answered, and there is no block.
    Absent,
    /// The insert was acknowledged.
    Acknowledged,
    /// The insert failed, or was not answered: it may be stored, or may be stored yet.
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
    /// How long an insert can be under way after it was acknowledged.
    wait: Duration,
}

impl Chain {
    /// The way of a block that nothing is known of. Inserts take at most `wait`.
    pub const fn new(wait: Duration) -> Self {
        Self { state: State::Looking(Before::Insert), attempt: 0, looked_at: Duration::ZERO, wait }
    }

    /// What is to be done next, at an instant of a clock that goes on while the machine sleeps.
    pub fn next(&mut self, now: Duration) -> Action {
        if self.state == State::Sending && now.saturating_sub(self.looked_at) > SEND_WITHIN {
            self.state = State::Looking(Before::Insert);
        }
        match &self.state {
            State::Looking(_) => {
                self.looked_at = now;
                Action::Look
            }
            State::Sending => Action::Send { attempt: self.attempt },
            State::Waiting => Action::Wait(self.wait),
            State::Done(stored) => Action::Done(stored.0.clone()),
        }
    }

    /// Notes what came of the last action. What does not belong to it changes nothing, so that it is done again.
    pub fn on(&mut self, event: Event) {
        self.state = match (&self.state, event) {
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
mod tests {
    use super::*;

    pub(super) fn row(last: i64) -> BlockRow {
        BlockRow { topic_id: "t".into(), first: 10, last, ..BlockRow::default() }
    }

    const WAIT: Duration = Duration::from_secs(31);
    const NOW: Duration = Duration::from_secs(1_000);

    /// The actions of a way, each answered by the next of these events.
    fn walk(events: &[Event]) -> Vec<Action> {
        let mut chain = Chain::new(WAIT);
        let mut actions = vec![chain.next(NOW)];
        for event in events {
            chain.on(event.clone());
            actions.push(chain.next(NOW));
        }
        actions
    }

    #[test]
    fn a_block_is_looked_for_sent_and_read_back() {
        let send = Action::Send { attempt: 0 };
        assert_eq!(
            walk(&[Event::Absent, Event::Acknowledged, Event::Found(row(19))]),
            [Action::Look, send, Action::Look, Action::Done(row(19))]
        );
    }

    #[test]
    fn a_block_that_is_there_already_is_not_sent() {
        assert_eq!(walk(&[Event::Found(row(12))]), [Action::Look, Action::Done(row(12))]);
    }

    #[test]
    fn after_an_error_the_same_token_is_sent_again_and_only_after_a_look() {
        let send = Action::Send { attempt: 0 };
        assert_eq!(
            walk(&[Event::Absent, Event::Failed, Event::Absent, Event::Failed, Event::Found(row(19))]),
            [Action::Look, send.clone(), Action::Look, send, Action::Look, Action::Done(row(19))]
        );
    }

    #[test]
    fn a_burned_token_is_waited_for_before_the_next_attempt() {
        assert_eq!(
            walk(&[Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Absent]),
            [
                Action::Look,
                Action::Send { attempt: 0 },
                Action::Look,
                Action::Wait(WAIT),
                Action::Look,
                Action::Send { attempt: 1 }
            ]
        );
    }

    #[test]
    fn what_comes_during_the_wait_is_taken() {
        let waited =
            [Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Found(row(30))];
        assert_eq!(walk(&waited).last(), Some(&Action::Done(row(30))));
    }

    #[test]
    fn who_slept_between_look_and_send_looks_again() {
        let mut chain = Chain::new(WAIT);
        assert_eq!(chain.next(NOW), Action::Look);
        chain.on(Event::Absent);
        assert_eq!(chain.next(NOW + SEND_WITHIN), Action::Send { attempt: 0 });
        assert_eq!(chain.next(NOW + SEND_WITHIN + Duration::from_nanos(1)), Action::Look);
        chain.on(Event::Found(row(19)));
        assert_eq!(chain.next(NOW + 2 * SEND_WITHIN), Action::Done(row(19)));
    }

    #[test]
    fn an_attempt_that_was_reached_is_kept_over_sleep_and_errors() {
        let mut chain = Chain::new(WAIT);
        for event in [Event::Absent, Event::Acknowledged, Event::Absent, Event::Waited, Event::Absent] {
            chain.next(NOW);
            chain.on(event);
        }
        assert_eq!(chain.next(NOW), Action::Send { attempt: 1 });
        assert_eq!(chain.next(NOW * 2), Action::Look);
        chain.on(Event::Absent);
        assert_eq!(chain.next(NOW * 2), Action::Send { attempt: 1 });
        chain.on(Event::Failed);
        assert_eq!(chain.next(NOW * 2), Action::Look);
    }

    #[test]
    fn an_event_out_of_place_changes_nothing() {
        let mut chain = Chain::new(WAIT);
        for event in [Event::Acknowledged, Event::Failed, Event::Waited] {
            chain.on(event);
            assert_eq!(chain.next(NOW), Action::Look);
        }
    }

    #[test]
    fn a_token_names_its_offset_and_no_other() {
        assert_eq!(token("topic", 3, 12, 0), "topic-3-12-0");
        assert!(!token("topic", 3, 120, 0).starts_with(&token_prefix("topic", 3, 12)));
    }
}
