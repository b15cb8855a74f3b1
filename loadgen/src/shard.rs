//! One thread of the generator: its share of the schedule, its connections, and what it measures.
//!
//! There is no queue of requests that are due. The schedule is a function, so the queue is a range of it: from the next
//! request that no connection has taken to the last one that is due. A connection that is free takes the next request
//! if its instant has come, and otherwise waits to be woken by the dispatcher, which sleeps on a precise timer. When
//! all connections are busy the range grows, and each request in it is taken later than due: that is its delay.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hdrhistogram::Histogram;
use pipeline::outcomes::Outcome;
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

use crate::connection::{Connection, Trouble};
use crate::gauges::{Counts, Gauges};
use crate::measure::{self, Instants, Measures};
use crate::outcome::{Reasons, Verdict};
use crate::plan::Bodies;
use crate::schedule;
use crate::target::Target;
use crate::timer::{Clock, Timer, thread_cpu};

/// How often deadlines are checked and gauges shown. A deadline is late by at most this.
const SWEEP: Duration = Duration::from_millis(100);
/// A connection that could not be opened waits this long before it tries again, and twice as long each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// A server that does not answer a connection request in this time is counted as not to be reached.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Wake-ups are at least this far apart, because each costs roughly half of what a request costs: at 25,000 requests/s
/// this took the generator from 0.8 to 0.63 of a core. Up to 10,000 requests/s a thread it changes nothing; above, a
/// request waits for up to this long, which its delay shows.
const SHORTEST_SLEEP_NS: u64 = 100_000;
/// Ready tasks that run between two looks at the sockets and the timer. tokio's default of 61 can take longer than the
/// period of the schedule at high rates.
const TASKS_BETWEEN_POLLS: u32 = 16;

/// What a thread is given.
pub(crate) struct Share {
    pub(crate) batched: bool,
    pub(crate) fine: bool,
    pub(crate) timeout: Duration,
    pub(crate) bodies: Bodies,
    pub(crate) schedule: schedule::Shard,
    pub(crate) target: Target,
    pub(crate) connections: usize,
    pub(crate) gauges: Arc<Gauges>,
}

/// What a thread hands back.
pub(crate) struct Yield {
    pub(crate) measures: Measures,
    /// Of each order of the share, in its order: nothing if it was not sent.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    pub(crate) reasons: Reasons,
    /// Attempts to open a connection that did not succeed.
    pub(crate) not_opened: u64,
    /// When the schedule was broken off, if it was, in nanoseconds since the start.
    pub(crate) broken_off_ns: Option<u64>,
    /// The latest instant that a `Retry-After` named, in nanoseconds since the start.
    pub(crate) retry_at_ns: u64,
    /// The CPU time of the thread, from the start of the schedule to its last reply.
    pub(crate) cpu: Duration,
}

/// Runs one share of the schedule on the calling thread. It opens its connections, says so through `ready`, and starts
/// with the clock that it is sent; without one it ends, because another thread could not start.
pub(crate) fn run(
    share: Share,
    ready: &mpsc::Sender<()>,
    start: &mpsc::Receiver<Clock>,
) -> io::Result<Option<Yield>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_POLLS)
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let target = Rc::new(share.target);
        let mut connections: Vec<Connection> =
            (0..share.connections).map(|_| Connection::new(Rc::clone(&target), OPEN_WITHIN)).collect();
        let mut not_opened = 0;
        for connection in &mut connections {
            // One attempt shows that the server is not there; each connection will try again at its first request.
            if connection.ready().await.is_err() {
                not_opened += 1;
                break;
            }
        }
        let Some(clock) = ready.send(()).ok().and_then(|()| start.recv().ok()) else { return Ok(None) };
        let orders = share.schedule.len() * share.schedule.schedule().batch();
        let shard = Rc::new(Shard {
            batched: share.batched,
            timeout_ns: u64::try_from(share.timeout.as_nanos()).unwrap_or(u64::MAX),
            bodies: share.bodies,
            schedule: share.schedule,
            clock,
            target,
            gauges: share.gauges,
            slots: connections.iter().map(|_| Slot::default()).collect(),
            next: Cell::new(0),
            woken: Cell::new(0),
            closed: Cell::new(false),
            broken_off_ns: Cell::new(None),
            retry_at_ns: Cell::new(0),
            not_opened: Cell::new(not_opened),
            free: Notify::new(),
            closing: Notify::new(),
            state: RefCell::new(State::new(orders, share.fine)),
        });
        let cpu_before = thread_cpu();
        shard.send_all(connections).await?;
        let cpu = thread_cpu().saturating_sub(cpu_before);
        shard.show();
        let state = shard.state.replace(State::new(0, false));
        Ok(Some(Yield {
            measures: state.measures,
            outcomes: state.outcomes,
            reasons: state.reasons,
            not_opened: shard.not_opened.get(),
            broken_off_ns: shard.broken_off_ns.get(),
            retry_at_ns: shard.retry_at_ns.get(),
            cpu,
        }))
    })
}

/// What a thread's connections share.
struct Shard {
    batched: bool,
    timeout_ns: u64,
    bodies: Bodies,
    schedule: schedule::Shard,
    clock: Clock,
    target: Rc<Target>,
    gauges: Arc<Gauges>,
    slots: Vec<Slot>,
    /// The next request that no connection has taken.
    next: Cell<usize>,
    /// The next request for which no connection has been woken.
    woken: Cell<usize>,
    /// True when no more requests are to be taken.
    closed: Cell<bool>,
    broken_off_ns: Cell<Option<u64>>,
    retry_at_ns: Cell<u64>,
    not_opened: Cell<u64>,
    /// Connections that wait for a request.
    free: Notify,
    /// Ends the dispatcher's sleep.
    closing: Notify,
    state: RefCell<State>,
}

/// What one connection is doing, as the sweep sees it.
#[derive(Default)]
struct Slot {
    /// Since when it has been at the present step of a request: to open and be ready, or to send and read the reply.
    since_ns: Cell<Option<u64>>,
    expired: Notify,
}

struct State {
    measures: Measures,
    outcomes: Vec<Option<Outcome>>,
    reasons: Reasons,
    counts: Counts,
    requests_under_way: u64,
    recent_us: Histogram<u32>,
}

/// A request that a connection has taken.
#[derive(Clone, Copy)]
struct Request {
    /// The number of its first order, in the payload and in the outcomes of this thread.
    first: usize,
    first_of_thread: usize,
    orders: usize,
    due_ns: u64,
}

impl Shard {
    /// Sends what is due until the schedule has ended and the last reply is there.
    async fn send_all(self: &Rc<Self>, connections: Vec<Connection>) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            tasks.spawn_local(Rc::clone(self).serve(number, connection));
        }
        let sweep = tokio::task::spawn_local(Rc::clone(self).sweep());
        let dispatched = self.dispatch().await;
        if dispatched.is_err() {
            self.close();
        }
        while tasks.join_next().await.is_some() {}
        sweep.abort();
        dispatched
    }

    /// Wakes one connection for each request that comes due.
    async fn dispatch(&self) -> io::Result<()> {
        let timer = Timer::new(self.clock)?;
        let mut woken_ns = 0_u64;
        while !self.closed.get() && self.woken.get() < self.schedule.len() {
            let due_ns = self.schedule.due_ns(self.woken.get());
            let now_ns = self.clock.now_ns();
            if due_ns <= now_ns {
                self.woken.set(self.woken.get() + 1);
                self.free.notify_one();
                continue;
            }
            // Connections that become free take what is due by themselves, so most requests of a run at a high rate
            // need no wake-up; the timer is then simply set for the next one.
            let wake_ns = due_ns.max(woken_ns + SHORTEST_SLEEP_NS);
            tokio::select! {
                woken = timer.wait_until(wake_ns) => woken?,
                () = self.closing.notified() => break,
            }
            woken_ns = self.clock.now_ns();
            self.state.borrow_mut().measures.record_timer_error(woken_ns.saturating_sub(wake_ns));
        }
        Ok(())
    }

    /// One connection: takes requests one after the other until there are no more.
    async fn serve(self: Rc<Self>, number: usize, mut connection: Connection) {
        let Some(slot) = self.slots.get(number) else { return };
        let mut backoff = FIRST_BACKOFF;
        while let Some(request) = self.take().await {
            match self.exchange(request, slot, &mut connection).await {
                Err(Trouble::NotOpened(_)) => {
                    tokio::time::sleep(backoff).await;
                    backoff = LONGEST_BACKOFF.min(backoff * 2);
                }
                _ => backoff = FIRST_BACKOFF,
            }
        }
    }

    /// The next request, as soon as one is due; nothing when there are no more.
    async fn take(&self) -> Option<Request> {
        loop {
            let turn = self.next.get();
            if turn >= self.schedule.len() || self.closed.get() {
                // Others may wait for a request that will not come.
                self.free.notify_waiters();
                return None;
            }
            let due_ns = self.schedule.due_ns(turn);
            if turn < self.woken.get() || due_ns <= self.clock.now_ns() {
                self.next.set(turn + 1);
                self.woken.set(self.woken.get().max(turn + 1));
                let (first, orders) = self.schedule.schedule().orders_of(self.schedule.request(turn));
                let first_of_thread = turn * self.schedule.schedule().batch();
                return Some(Request { first, first_of_thread, orders, due_ns });
            }
            self.free.notified().await;
        }
    }

    /// Sends a request and records what came of it.
    async fn exchange(
        &self,
        request: Request,
        slot: &Slot,
        connection: &mut Connection,
    ) -> Result<(), Trouble> {
        let Some(body) = self.bodies.body(request.first, request.orders, self.batched) else {
            return Ok(());
        };
        let due_unix_ns = self.clock.unix_ns(request.due_ns);
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
        self.state.borrow_mut().requests_under_way += 1;
        let result = tokio::select! {
            biased;
            result = send => Some(result),
            () = slot.expired.notified() => None,
        };
        slot.since_ns.set(None);
        let at = sent_ns.get().map(|sent_ns| Instants {
            due_ns: request.due_ns,
            sent_ns,
            reply_ns: self.clock.now_ns(),
        });
        if result.is_none() {
            connection.close();
        }
        let (verdict, at, result) = match result {
            Some(Ok(reply)) => {
                if let Some(after) = reply.retry_after {
                    let after_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
                    let at_ns = self.clock.now_ns().saturating_add(after_ns);
                    self.retry_at_ns.set(self.retry_at_ns.get().max(at_ns));
                }
                (Verdict::of_reply(reply.status.as_u16(), &reply.body, request.orders), at, Ok(()))
            }
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
        self.state.borrow_mut().record(request, &verdict, at);
        result
    }

    /// Checks deadlines, shows the gauges and looks at the stop sign, some ten times a second.
    async fn sweep(self: Rc<Self>) {
        let last_due_ns = self.schedule.len().checked_sub(1).map_or(0, |turn| self.schedule.due_ns(turn));
        let drained_ns = last_due_ns.saturating_add(self.timeout_ns);
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            let now_ns = self.clock.now_ns();
            for slot in &self.slots {
                if slot.since_ns.get().is_some_and(|since| now_ns.saturating_sub(since) > self.timeout_ns) {
                    // Only who waits now is woken, so that the next request does not inherit this expiry.
                    slot.expired.notify_waiters();
                }
            }
            if self.gauges.stopped() && !self.closed.get() && now_ns < last_due_ns {
                self.broken_off_ns.set(Some(now_ns));
                self.close();
            }
            if self.gauges.stopped() || now_ns > drained_ns {
                self.close();
            }
            self.show();
        }
    }

    /// Ends the taking of requests. Those under way are still waited for.
    fn close(&self) {
        self.closed.set(true);
        self.closing.notify_one();
        self.free.notify_waiters();
    }

    fn show(&self) {
        let mut state = self.state.borrow_mut();
        let State { counts, requests_under_way, recent_us, .. } = &mut *state;
        self.gauges.show(*counts, *requests_under_way, recent_us);
    }
}

impl State {
    fn new(orders: usize, fine: bool) -> Self {
        Self {
            measures: Measures::new(fine),
            outcomes: vec![None; orders],
            reasons: Reasons::default(),
            counts: Counts::default(),
            requests_under_way: 0,
            recent_us: measure::small_histogram(),
        }
    }

    fn record(&mut self, request: Request, verdict: &Verdict, at: Option<Instants>) {
        let Request { first_of_thread, orders, due_ns, .. } = request;
        self.requests_under_way -= 1;
        if let Some(at) = at {
            self.measures.record_latencies(at, orders);
            measure::record_small(&mut self.recent_us, at.response_us(), orders);
        }
        let places = self.outcomes.iter_mut().skip(first_of_thread).take(orders);
        let counts = verdict.settle(places, &mut self.reasons);
        self.measures.record_outcomes(due_ns, counts.accepted, counts.sent);
        self.counts.add(counts);
    }
}
