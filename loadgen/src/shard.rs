//! One thread of the generator: its share of the schedule and its connections.
//!
//! [`turns`] says which request is next, [`exchange`] sends it and measures; here connections go from one to the other,
//! and a sweep some ten times a second looks at deadlines and at the stop sign, and shows what has been done.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pipeline::outcomes::Outcome;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use self::exchange::{Exchanges, Found, Slot};
use self::turns::{Turn, Turns};
use crate::bodies::Bodies;
use crate::connection::{Connection, OPEN_WITHIN, Trouble};
use crate::gauges::Gauges;
use crate::measure::Measures;
use crate::outcome::Reasons;
use crate::schedule;
use crate::target::Target;
use crate::timer::{Clock, Timer, thread_cpu};

mod exchange;
mod turns;

/// How often deadlines are checked and gauges shown. A deadline is late by at most this.
const SWEEP: Duration = Duration::from_millis(100);
/// A connection that could not be opened waits this long before it tries again, and twice as long each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);
/// Ready tasks that run between two looks at the sockets and the timer. tokio's default of 61 can take longer than the
/// period of the schedule at high rates.
const TASKS_BETWEEN_POLLS: u32 = 16;

/// What a thread is given.
pub(crate) struct Share {
    pub(crate) batched: bool,
    pub(crate) timeout: Duration,
    pub(crate) bodies: Bodies,
    pub(crate) schedule: schedule::Shard,
    pub(crate) target: Target,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) spin: Duration,
    pub(crate) slack: Duration,
    pub(crate) fine: bool,
    pub(crate) gauges: Arc<Gauges>,
}

/// What a thread hands back.
pub(crate) struct Yield {
    pub(crate) measures: Measures,
    /// Of each order of the share, in its order: nothing if it was not sent. It ends with the last that was.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    pub(crate) reasons: Reasons,
    /// Replies by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Attempts to open a connection that did not succeed.
    pub(crate) not_opened: u64,
    /// Requests that were due and had to wait for the limit on requests under way.
    pub(crate) limited: u64,
    /// When the schedule was broken off, if it was, in nanoseconds since the start.
    pub(crate) broken_off_ns: Option<u64>,
    /// The latest instant that a `Retry-After` named, in nanoseconds since the start.
    pub(crate) retry_at_ns: u64,
    /// The CPU time of the thread, from the start of the schedule to its last reply.
    pub(crate) cpu: Duration,
    /// The share of the schedule's time in which the thread computed, and did not only look at the clock.
    pub(crate) cpu_share: f64,
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
        let further = connections.iter().flat_map(|first| (1..share.streams).map(|_| first.stream()));
        let further: Vec<Connection> = further.collect();
        connections.extend(further);
        let Some(clock) = ready.send(()).ok().and_then(|()| start.recv().ok()) else { return Ok(None) };
        let [spin_ns, slack_ns] =
            [share.spin, share.slack].map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let shard = Rc::new(Shard {
            timeout_ns: u64::try_from(share.timeout.as_nanos()).unwrap_or(u64::MAX),
            clock,
            gauges: share.gauges,
            slots: connections.iter().map(|_| Slot::default()).collect(),
            in_flight: share.max_in_flight.map(Semaphore::new),
            limited: Cell::new(0),
            broken_off_ns: Cell::new(None),
            exchanges: Exchanges {
                batched: share.batched,
                closed_loop: share.schedule.schedule().is_closed_loop(),
                bodies: share.bodies,
                clock,
                target,
                retry_at_ns: Cell::new(0),
                not_opened: Cell::new(not_opened),
                found: RefCell::new(Found::new(share.fine)),
            },
            turns: Turns::new(share.schedule, clock, spin_ns, slack_ns),
        });
        // The clock says 0 until the start, and what is due at 0 must not be sent before it.
        Timer::new(clock)?.wait_until(1).await?;
        let cpu_before = thread_cpu();
        let cpu_share = shard.send_all(connections, cpu_before).await?;
        let cpu = thread_cpu().saturating_sub(cpu_before);
        shard.show();
        let found = shard.exchanges.found.replace(Found::new(false));
        Ok(Some(Yield {
            measures: found.measures,
            outcomes: found.outcomes,
            reasons: found.reasons,
            statuses: found.statuses,
            not_opened: shard.exchanges.not_opened.get(),
            limited: shard.limited.get(),
            broken_off_ns: shard.broken_off_ns.get(),
            retry_at_ns: shard.exchanges.retry_at_ns.get(),
            cpu,
            cpu_share,
        }))
    })
}

/// What a thread's connections share.
struct Shard {
    timeout_ns: u64,
    clock: Clock,
    turns: Turns,
    exchanges: Exchanges,
    gauges: Arc<Gauges>,
    slots: Vec<Slot>,
    /// The limit on requests under way, if there is one besides the number of connections.
    in_flight: Option<Semaphore>,
    limited: Cell<u64>,
    broken_off_ns: Cell<Option<u64>>,
}

impl Shard {
    /// Sends what is due until the schedule has ended and the last reply is there, and returns the share of the
    /// schedule's time in which the thread computed.
    async fn send_all(
        self: &Rc<Self>,
        connections: Vec<Connection>,
        cpu_before: Duration,
    ) -> io::Result<f64> {
        let mut tasks = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            tasks.spawn_local(Rc::clone(self).serve(number, connection));
        }
        let sweep = tokio::task::spawn_local(Rc::clone(self).sweep());
        let late = |ns| self.exchanges.found.borrow_mut().measures.record_timer_error(ns);
        let closed_loop = self.exchanges.closed_loop;
        let dispatched = if closed_loop { Ok(()) } else { self.turns.dispatch(late).await };
        // All is due now. Whoever only waits for replies is idle, and one that never comes would make a busy thread look so.
        let kept = (!closed_loop).then(|| self.cpu_share(cpu_before));
        if dispatched.is_err() {
            self.turns.close();
        }
        while tasks.join_next().await.is_some() {}
        sweep.abort();
        dispatched.map(|()| kept.unwrap_or_else(|| self.cpu_share(cpu_before)))
    }

    /// The share of the time so far in which the thread computed, without the time in which it only looked at the clock.
    fn cpu_share(&self, cpu_before: Duration) -> f64 {
        let used = thread_cpu().saturating_sub(cpu_before);
        let computed = used.saturating_sub(Duration::from_nanos(self.turns.spun_ns()));
        let mut time = Duration::from_nanos(self.clock.now_ns());
        if !self.exchanges.closed_loop && self.broken_off_ns.get().is_none() {
            // The last request is due before the schedule is over; of a schedule of one, at its very beginning.
            time = time.max(self.turns.schedule.schedule().length());
        }
        computed.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// One connection: takes requests one after the other until there are no more.
    async fn serve(self: Rc<Self>, number: usize, mut connection: Connection) {
        let Some(slot) = self.slots.get(number) else { return };
        let mut backoff = FIRST_BACKOFF;
        while let Some(turn) = self.turns.take().await {
            match self.within_limit(turn, slot, &mut connection).await {
                Err(Trouble::NotOpened(_)) => {
                    tokio::time::sleep(backoff).await;
                    backoff = LONGEST_BACKOFF.min(backoff * 2);
                }
                _ => backoff = FIRST_BACKOFF,
            }
        }
    }

    /// Sends the request, as soon as fewer are under way than the limit says. It is not skipped; it is late.
    async fn within_limit(
        &self,
        turn: Turn,
        slot: &Slot,
        connection: &mut Connection,
    ) -> Result<(), Trouble> {
        let _permit = match &self.in_flight {
            None => None,
            Some(limit) => match limit.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    self.limited.set(self.limited.get() + 1);
                    limit.acquire().await.ok()
                }
            },
        };
        self.exchanges.exchange(turn, slot, connection).await
    }

    /// Checks deadlines, shows the gauges and looks at the stop sign, some ten times a second.
    async fn sweep(self: Rc<Self>) {
        let last_due_ns = self.turns.last_due_ns();
        let drained_ns = last_due_ns.saturating_add(self.timeout_ns);
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            let now_ns = self.clock.now_ns();
            self.slots.iter().for_each(|slot| slot.expire(now_ns, self.timeout_ns));
            if self.gauges.stopped() && !self.turns.is_closed() && now_ns < last_due_ns {
                self.broken_off_ns.set(Some(now_ns));
                self.turns.close();
            }
            if self.gauges.stopped() || now_ns > drained_ns {
                self.turns.close();
            }
            self.show();
        }
    }

    fn show(&self) {
        self.gauges.show(self.exchanges.found.borrow_mut().shown(self.clock.now_ns()));
    }
}
