//! One request and its reply: sent on a connection, given up at its deadline, and recorded with what came of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use pipeline::outcomes::Outcome;
use tokio::sync::Notify;

use super::turns::Turn;
use crate::bodies::Bodies;
use crate::connection::{Connection, Reply, Trouble};
use crate::gauges::{Counts, Shown};
use crate::measure::{Instants, Measures, Recent};
use crate::outcome::{Reasons, Verdict};
use crate::target::Target;
use crate::timer::Clock;

/// What one stream of a connection is doing, as the sweep sees it.
#[derive(Default)]
pub(super) struct Slot {
    /// Since when it has been at the present step of a request: to open and be ready, or to send and read the reply.
    since_ns: Cell<Option<u64>>,
    expired: Notify,
}

impl Slot {
    /// Gives up the step that has taken longer than this.
    pub(super) fn expire(&self, now_ns: u64, timeout_ns: u64) {
        if self.since_ns.get().is_some_and(|since| now_ns.saturating_sub(since) > timeout_ns) {
            // Only who waits now is woken, so that the next request does not inherit this expiry.
            self.expired.notify_waiters();
        }
    }
}

/// What exchanges are made with, and what they have found so far.
pub(super) struct Exchanges {
    pub(super) batched: bool,
    pub(super) closed_loop: bool,
    pub(super) bodies: Bodies,
    pub(super) clock: Clock,
    pub(super) target: Rc<Target>,
    pub(super) retry_at_ns: Cell<u64>,
    pub(super) not_opened: Cell<u64>,
    pub(super) found: RefCell<Found>,
}

/// What a thread has found.
pub(super) struct Found {
    pub(super) measures: Measures,
    pub(super) outcomes: Vec<Option<Outcome>>,
    pub(super) reasons: Reasons,
    pub(super) counts: Counts,
    /// Replies by status.
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) requests_under_way: u64,
    pub(super) recent: Recent,
}

impl Exchanges {
    /// Sends a request and records what came of it.
    pub(super) async fn exchange(
        &self,
        turn: Turn,
        slot: &Slot,
        connection: &mut Connection,
    ) -> Result<(), Trouble> {
        let due_unix_ns = self.clock.unix_ns(turn.due_ns);
        let Some(body) = self.bodies.body(turn.first, turn.orders, self.batched, due_unix_ns) else {
            return Ok(());
        };
        let sent_ns = Cell::new(None);
        let send = async {
            loop {
                connection.ready().await?;
                let message = self.target.request(body.clone(), due_unix_ns);
                let now_ns = self.clock.now_ns();
                let before = sent_ns.replace(Some(now_ns));
                slot.since_ns.set(sent_ns.get());
                match connection.send(message).await {
                    // The server had closed an idle connection. That is no fault of either side, so the request goes
                    // out once more on a new one, and the time that this takes is delay.
                    Err(Trouble::NotTaken) if before.is_none() => {}
                    result => return result,
                }
            }
        };
        slot.since_ns.set(Some(self.clock.now_ns()));
        self.found.borrow_mut().requests_under_way += 1;
        let result = tokio::select! {
            biased;
            result = send => Some(result),
            () = slot.expired.notified() => None,
        };
        slot.since_ns.set(None);
        let at = sent_ns.get().map(|sent_ns| Instants {
            due_ns: turn.due_ns,
            sent_ns,
            reply_ns: self.clock.now_ns(),
        });
        let result = match result {
            // A request may wait for less than an opening may take, or for another stream's: still none was opened.
            None if !connection.is_open() => Some(Err(Trouble::NotOpened(io::ErrorKind::TimedOut.into()))),
            result => result,
        };
        if result.is_none() {
            connection.close();
        }
        let (verdict, at, result) = match result {
            Some(Ok(reply)) => (self.read(&reply, turn), at, Ok(())),
            Some(Err(trouble)) => {
                if matches!(trouble, Trouble::NotOpened(_)) {
                    self.not_opened.set(self.not_opened.get() + 1);
                }
                let at = if trouble.may_have_arrived() { at } else { None };
                (Verdict::of_trouble(&trouble), at, Err(trouble))
            }
            None if at.is_some() => (Verdict::all(Outcome::Unknown, "timeout"), at, Ok(())),
            None => (Verdict::all(Outcome::Failed, "not_ready"), None, Ok(())),
        };
        self.found.borrow_mut().record(turn, &verdict, at, self.closed_loop);
        result
    }

    fn read(&self, reply: &Reply, turn: Turn) -> Verdict {
        if let Some(after) = reply.retry_after {
            let after_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
            let at_ns = self.clock.now_ns().saturating_add(after_ns);
            self.retry_at_ns.set(self.retry_at_ns.get().max(at_ns));
        }
        let status = reply.status.as_u16();
        *self.found.borrow_mut().statuses.entry(status).or_default() += 1;
        Verdict::of_reply(status, &reply.body, turn.orders, &self.target.expect)
    }
}

impl Found {
    pub(super) fn new(fine: bool) -> Self {
        Self {
            measures: Measures::new(fine),
            outcomes: Vec::new(),
            reasons: Reasons::default(),
            counts: Counts::default(),
            statuses: BTreeMap::new(),
            requests_under_way: 0,
            recent: Recent::new(),
        }
    }

    /// What others may see of it meanwhile.
    pub(super) fn shown(&mut self, at_ns: u64) -> Shown<'_> {
        Shown {
            at_ns,
            counts: self.counts,
            statuses: &self.statuses,
            requests_under_way: self.requests_under_way,
            recent: &mut self.recent,
        }
    }

    fn record(&mut self, turn: Turn, verdict: &Verdict, at: Option<Instants>, closed_loop: bool) {
        let Turn { first_of_thread, orders, due_ns, .. } = turn;
        self.requests_under_way -= 1;
        if let Some(at) = at {
            if closed_loop {
                // It was due at no instant, so there is no delay, and nothing that a customer waited.
                self.measures.record_service(at, orders);
                self.recent.record_service(at, orders);
            } else {
                self.measures.record_latencies(at, orders);
                self.recent.record(at, orders);
            }
        }
        // How many requests a closed loop will send is not known before.
        if self.outcomes.len() < first_of_thread + orders {
            self.outcomes.resize(first_of_thread + orders, None);
        }
        let places = self.outcomes.iter_mut().skip(first_of_thread).take(orders);
        let counts = verdict.settle(places, &mut self.reasons);
        self.measures.record_outcomes(due_ns, counts.accepted, counts.sent);
        self.counts.add(counts);
    }
}
