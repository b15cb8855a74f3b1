//! Which request is next, and when somebody is woken to send it.
//!
//! There is no queue of requests that are due. The schedule is a function, so the queue is a range of it: from the next
//! request that no connection has taken to the last one that is due. A connection that is free takes the next request
//! if its instant has come, and otherwise waits to be woken by the dispatcher, which sleeps on a precise timer. When
//! all connections are busy the range grows, and each request in it is taken later than due: that is its delay.

use std::cell::Cell;
use std::io;

use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::schedule;
use crate::timer::{Clock, Timer};

/// The dispatcher is woken early by what wake-ups are late by, and by no more than this.
const LONGEST_LEAD_NS: u64 = 50_000;

/// A request that a connection has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The number of its first order, in the payload and in the outcomes of this thread.
    pub(super) first: usize,
    pub(super) first_of_thread: usize,
    pub(super) orders: usize,
    pub(super) due_ns: u64,
}

/// The requests of a thread, taken one after the other.
pub(super) struct Turns {
    pub(super) schedule: schedule::Shard,
    clock: Clock,
    /// How long before a due instant the dispatcher looks at the clock rather than sleep.
    spin_ns: u64,
    /// Wake-ups are at least this far apart.
    slack_ns: u64,
    /// The next request that no connection has taken.
    next: Cell<usize>,
    /// The next request for which no connection has been woken.
    woken: Cell<usize>,
    /// True when no more requests are to be taken.
    closed: Cell<bool>,
    spun_ns: Cell<u64>,
    /// Connections that wait for a request.
    free: Notify,
    /// Ends the dispatcher's sleep.
    closing: Notify,
}

impl Turns {
    pub(super) fn new(schedule: schedule::Shard, clock: Clock, spin_ns: u64, slack_ns: u64) -> Self {
        Self {
            schedule,
            clock,
            spin_ns,
            slack_ns,
            next: Cell::new(0),
            woken: Cell::new(0),
            closed: Cell::new(false),
            spun_ns: Cell::new(0),
            free: Notify::new(),
            closing: Notify::new(),
        }
    }

    /// When the last request is due; of a closed loop, when it ends.
    pub(super) fn last_due_ns(&self) -> u64 {
        if self.schedule.schedule().is_closed_loop() {
            return u64::try_from(self.schedule.schedule().length().as_nanos()).unwrap_or(u64::MAX);
        }
        self.schedule.len().checked_sub(1).map_or(0, |turn| self.schedule.due_ns(turn))
    }

    /// The time in which the dispatcher looked at the clock.
    pub(super) const fn spun_ns(&self) -> u64 {
        self.spun_ns.get()
    }

    /// Wakes one connection for each request that comes due. `late` is told by how much each wake-up missed its
    /// instant.
    pub(super) async fn dispatch(&self, mut late: impl FnMut(u64)) -> io::Result<()> {
        let timer = Timer::new(self.clock)?;
        let mut woken_ns = 0_u64;
        let mut lead_ns = 0_u64;
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
            let wake_ns = due_ns.max(woken_ns.saturating_add(self.slack_ns));
            // What the slack makes late anyway need not be punctual.
            let early_ns = if wake_ns > due_ns { 0 } else { lead_ns };
            let sleep_until_ns = wake_ns.saturating_sub(self.spin_ns.max(early_ns));
            if sleep_until_ns > now_ns {
                tokio::select! {
                    woken = timer.wait_until(sleep_until_ns) => woken?,
                    () = self.closing.notified() => break,
                }
                lead_ns = lead(lead_ns, self.clock.now_ns().saturating_sub(sleep_until_ns));
            }
            self.spin(wake_ns).await;
            woken_ns = self.clock.now_ns();
            late(woken_ns.saturating_sub(wake_ns));
        }
        Ok(())
    }

    /// Looks at the clock over and over until this instant, if it is not past. In between the runtime looks at its sockets,
    /// so that replies do not wait.
    async fn spin(&self, until_ns: u64) {
        let begun_ns = self.clock.now_ns();
        let mut now_ns = begun_ns;
        while now_ns < until_ns && !self.closed.get() {
            yield_now().await;
            now_ns = self.clock.now_ns();
        }
        self.spun_ns.set(self.spun_ns.get() + now_ns.saturating_sub(begun_ns));
    }

    /// The next request, as soon as one is due; nothing when there are no more.
    pub(super) async fn take(&self) -> Option<Turn> {
        loop {
            let turn = self.next.get();
            if turn >= self.schedule.len() || self.closed.get() {
                // Others may wait for a request that will not come.
                self.free.notify_waiters();
                return None;
            }
            let now_ns = self.clock.now_ns();
            if self.schedule.schedule().is_closed_loop() {
                // Whoever is free goes on, until the time is over.
                if now_ns >= self.last_due_ns() {
                    return None;
                }
                return Some(self.taken(turn, now_ns));
            }
            let due_ns = self.schedule.due_ns(turn);
            if turn < self.woken.get() || due_ns <= now_ns {
                return Some(self.taken(turn, due_ns));
            }
            self.free.notified().await;
        }
    }

    fn taken(&self, turn: usize, due_ns: u64) -> Turn {
        self.next.set(turn + 1);
        self.woken.set(self.woken.get().max(turn + 1));
        let (first, orders) = self.schedule.schedule().orders_of(self.schedule.request(turn));
        Turn { first, first_of_thread: turn * self.schedule.schedule().batch(), orders, due_ns }
    }

    /// Ends the taking of requests. Those under way are still waited for.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.closing.notify_one();
        self.free.notify_waiters();
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// How much earlier than needed to set the timer, after it was late by so much. It falls at once and rises slowly, so it
/// stays near the least that wake-ups are late by, and little time is left to look at the clock.
fn lead(before_ns: u64, late_ns: u64) -> u64 {
    let late_ns = late_ns.min(LONGEST_LEAD_NS);
    if late_ns < before_ns { late_ns } else { before_ns + (late_ns - before_ns) / 32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_comes_near_the_least_that_wake_ups_are_late_by() {
        let after =
            |lead_ns, lates: &[u64]| lates.iter().fold(lead_ns, |lead_ns, late_ns| lead(lead_ns, *late_ns));
        assert_eq!(after(0, &[0]), 0);
        assert!((24_000..=25_000).contains(&after(0, &[25_000; 200])));
        // One that is very late says little, and one that is early a lot.
        assert!(after(25_000, &[5_000_000]) < 26_000);
        assert_eq!(after(25_000, &[3_000]), 3_000);
        assert!(after(0, &[5_000_000; 1_000]) <= LONGEST_LEAD_NS);
    }
}
