//! After the schedule: orders that failed or are unknown are sent again under the same ids until each is definite.
//!
//! This is a closed loop on purpose, with few connections, pauses and the server's `Retry-After`: it is to find out what
//! became of the orders, not to measure. None of it enters the latencies.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use pipeline::outcomes::Outcome;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::bodies::Bodies;
use crate::connection::{Connection, OPEN_WITHIN, Trouble};
use crate::gauges::Counts;
use crate::outcome::{Reasons, Verdict};
use crate::schedule::Schedule;
use crate::target::Target;
use crate::timer::Clock;

/// Few enough that a server which had too much to do recovers.
const MOST_CONNECTIONS: usize = 16;
/// Small batches, so that one invalid or slow order holds up few others.
const MOST_ORDERS_A_REQUEST: usize = 100;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What the retries are given.
pub(crate) struct Retry {
    pub(crate) bodies: Bodies,
    pub(crate) schedule: Schedule,
    pub(crate) target: Target,
    pub(crate) clock: Clock,
    pub(crate) connections: usize,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// How long all of them may take.
    pub(crate) retry_for: Duration,
    /// How long the server has asked to be left alone.
    pub(crate) not_before: Duration,
}

/// What came of the retries.
#[derive(Default)]
pub(crate) struct Retried {
    /// Sendings of orders beyond their first: an order that went out again twice counts twice.
    pub(crate) sendings: u64,
    pub(crate) reasons: Reasons,
}

/// Orders that go out again in one request: neighbours in the payload that were due together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    first: usize,
    orders: usize,
}

/// Sends unsettled orders again and writes what became of them into `outcomes`.
pub(crate) fn settle(
    retry: Retry,
    outcomes: &mut Vec<Option<Outcome>>,
    mut observe: impl FnMut(Counts) -> ControlFlow<()>,
) -> io::Result<Retried> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let now = Instant::now();
        let loop_ = Rc::new(Loop {
            batched: retry.schedule.batch() > 1,
            bodies: retry.bodies,
            schedule: retry.schedule,
            clock: retry.clock,
            timeout: retry.timeout,
            deadline: now + retry.retry_for,
            target: Rc::new(retry.target),
            pause_until: Cell::new(now),
            pause: Cell::new(FIRST_PAUSE),
            stopped: Cell::new(false),
            waiting: RefCell::default(),
            sendings: Cell::new(0),
            outcomes: RefCell::new(std::mem::take(outcomes)),
            reasons: RefCell::default(),
        });
        loop_.pause(retry.not_before);
        let mut connections: Vec<Connection> = (0..retry.connections.clamp(1, MOST_CONNECTIONS))
            .map(|_| Connection::new(Rc::clone(&loop_.target), OPEN_WITHIN))
            .collect();
        // Rounds: each sends what is still unsettled once, and the pause between them grows.
        while !loop_.over() {
            *loop_.waiting.borrow_mut() =
                groups(&loop_.outcomes.borrow(), &loop_.schedule, MOST_ORDERS_A_REQUEST);
            if loop_.waiting.borrow().is_empty() {
                break;
            }
            let mut tasks = JoinSet::new();
            for connection in connections.drain(..) {
                tasks.spawn_local(Rc::clone(&loop_).serve(connection));
            }
            let mut ticks = tokio::time::interval(REPORT_EVERY);
            loop {
                tokio::select! {
                    served = tasks.join_next() => match served {
                        Some(connection) => connections.extend(connection),
                        None => break,
                    },
                    _ = ticks.tick() => {
                        if observe(counts(&loop_.outcomes.borrow())).is_break() {
                            loop_.stopped.set(true);
                        }
                    }
                }
            }
            loop_.pause(loop_.pause.get());
            loop_.pause.set(LONGEST_PAUSE.min(loop_.pause.get() * 2));
        }
        *outcomes = loop_.outcomes.take();
        Ok(Retried { sendings: loop_.sendings.get(), reasons: loop_.reasons.take() })
    })
}

/// Counts orders by their last outcome.
pub(crate) fn counts(outcomes: &[Option<Outcome>]) -> Counts {
    let mut counts = Counts::default();
    outcomes.iter().flatten().for_each(|outcome| counts.count(*outcome));
    counts
}

/// The unsettled orders, in groups of neighbours that were due together, of at most `most` each.
fn groups(outcomes: &[Option<Outcome>], schedule: &Schedule, most: usize) -> VecDeque<Group> {
    let mut groups: VecDeque<Group> = VecDeque::new();
    for (order, outcome) in outcomes.iter().enumerate() {
        if !matches!(outcome, Some(Outcome::Failed | Outcome::Unknown)) {
            continue;
        }
        match groups.back_mut() {
            Some(last)
                if last.first + last.orders == order
                    && last.orders < most
                    && !order.is_multiple_of(schedule.batch()) =>
            {
                last.orders += 1;
            }
            _ => groups.push_back(Group { first: order, orders: 1 }),
        }
    }
    groups
}

struct Loop {
    batched: bool,
    bodies: Bodies,
    schedule: Schedule,
    clock: Clock,
    timeout: Duration,
    deadline: Instant,
    target: Rc<Target>,
    pause_until: Cell<Instant>,
    pause: Cell<Duration>,
    stopped: Cell<bool>,
    waiting: RefCell<VecDeque<Group>>,
    sendings: Cell<u64>,
    outcomes: RefCell<Vec<Option<Outcome>>>,
    reasons: RefCell<Reasons>,
}

impl Loop {
    fn over(&self) -> bool {
        self.stopped.get() || Instant::now() >= self.deadline
    }

    /// Sends nothing for this long, or to the end of all retries, whatever a server asks for.
    fn pause(&self, pause: Duration) {
        let until = Instant::now().checked_add(pause).map_or(self.deadline, |until| until.min(self.deadline));
        self.pause_until.set(self.pause_until.get().max(until));
    }

    /// One connection's part of a round.
    async fn serve(self: Rc<Self>, mut connection: Connection) -> Connection {
        loop {
            while self.pause_until.get() > Instant::now() && !self.over() {
                // In short steps, so that the end of all retries is noticed in a long pause.
                sleep_until(self.pause_until.get().min(Instant::now() + REPORT_EVERY)).await;
            }
            let group = self.waiting.borrow_mut().pop_front();
            match group {
                Some(group) if !self.over() => self.exchange(group, &mut connection).await,
                _ => return connection,
            }
        }
    }

    async fn exchange(&self, group: Group, connection: &mut Connection) {
        let due_ns = self.schedule.due_ns(group.first / self.schedule.batch());
        let due_unix_ns = self.clock.unix_ns(due_ns);
        let Some(body) = self.bodies.body(group.first, group.orders, self.batched, due_unix_ns) else {
            return;
        };
        let sent = Cell::new(false);
        let send = async {
            connection.ready().await?;
            sent.set(true);
            connection.send(self.target.request(body, due_unix_ns)).await
        };
        let until = self.deadline.min(Instant::now() + self.timeout);
        let verdict = match timeout_at(until, send).await {
            Ok(Ok(reply)) => {
                if let Some(after) = reply.retry_after {
                    self.pause(after);
                }
                Verdict::of_reply(reply.status.as_u16(), &reply.body, group.orders, &self.target.expect)
            }
            Ok(Err(trouble)) => {
                if matches!(trouble, Trouble::NotOpened(_)) {
                    self.pause(self.pause.get());
                }
                Verdict::of_trouble(&trouble)
            }
            Err(_) => {
                connection.close();
                let outcome = if sent.get() { Outcome::Unknown } else { Outcome::Failed };
                Verdict::all(outcome, "timeout")
            }
        };
        let mut outcomes = self.outcomes.borrow_mut();
        let places = outcomes.iter_mut().skip(group.first).take(group.orders);
        verdict.settle(places, &mut self.reasons.borrow_mut());
        if sent.get() {
            self.sendings.set(self.sendings.get() + group.orders as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_request_go_together_and_others_do_not() {
        use Outcome::{Accepted, Failed, Rejected, Unknown};
        let outcomes =
            [Some(Failed), Some(Unknown), Some(Accepted), Some(Failed), Some(Failed), None, Some(Rejected)];
        let schedule = Schedule::new(1.0, Duration::from_secs(7), 4, usize::MAX).unwrap();
        let expected =
            [Group { first: 0, orders: 2 }, Group { first: 3, orders: 1 }, Group { first: 4, orders: 1 }];
        assert_eq!(groups(&outcomes, &schedule, 100), expected);
    }

    #[test]
    fn groups_are_small() {
        let schedule = Schedule::new(1.0, Duration::from_secs(10), 10, usize::MAX).unwrap();
        let sizes: Vec<usize> =
            groups(&[Some(Outcome::Failed); 10], &schedule, 4).iter().map(|group| group.orders).collect();
        assert_eq!(sizes, [4, 4, 2]);
    }
}
