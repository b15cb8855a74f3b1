//! When each request is due: a pure function of the rate over time, the batch size and the number of orders.
//!
//! The schedule is open: it does not know the server, and no slow reply moves a later request. It owns no clock;
//! instants are nanoseconds since the start of the run. All arithmetic is in integers, so that request i is due at the
//! same nanosecond however many requests came before it, and errors of rounding never add up.
//!
//! The one exception has no instants at all: a closed loop, in which each connection sends when it has its reply. It is
//! kept apart by [`Schedule::closed_loop`], and whoever asks it for an instant is told 0.

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use self::lines::Lines;
pub use self::profile::{Profile, Step};

mod lines;
pub(crate) mod profile;
#[cfg(test)]
mod tests;

const MILLI: f64 = 1_000.0;

/// A schedule that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The rate is not a number of orders a second that can be kept.
    #[error("the rate must be from 0.001 to 1,000,000,000 orders/s")]
    Rate,
    /// A batch without orders.
    #[error("a batch must have at least one order")]
    Batch,
    /// The schedule would be empty.
    #[error("the schedule has no orders: the duration or the number of orders is zero")]
    Empty,
    /// A burst that is longer than the interval it ends.
    #[error("a burst must not be longer than the interval from one to the next")]
    Burst,
    /// A sine that would go below zero.
    #[error("the amplitude of a sine must be from 0 to its mean")]
    Amplitude,
    /// A period so short, or so often repeated, that the schedule has too many pieces.
    #[error("the period is too short for this duration")]
    Period,
    /// A rate that changes too far or for too long to be integrated exactly.
    #[error("a rate that changes must stay below 10,000,000 orders/s, and each change within a day")]
    Slope,
    /// A replay without instants.
    #[error("a replay needs the instants of the orders: give a file whose orders have created_at")]
    Replay,
    /// A replay at no speed.
    #[error("the speed of a replay must be above 0 and at most 1,000,000")]
    Speed,
}

/// Where due instants come from.
#[derive(Debug, PartialEq, Eq)]
enum Pace {
    /// A rate over time.
    Lines(Lines),
    /// An instant for each order, in their order.
    Instants(Vec<u64>),
    /// None: each connection goes on when it is free, for this long.
    BackToBack(u64),
}

/// Which requests there are, when each is due, and which orders it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pace: Arc<Pace>,
    batch: usize,
    orders: usize,
}

impl Schedule {
    /// The schedule of `rate` orders a second for `duration`, in requests of `batch` orders, and of no more than
    /// `most_orders` in all.
    ///
    /// Order j is due at j / rate, and belongs to the schedule if that is before the end; a request is due when its
    /// first order is.
    ///
    /// # Errors
    /// A rate that is not between 0.001 and 10^9 orders/s, an empty batch, an empty schedule.
    pub fn new(
        rate: f64,
        duration: Duration,
        batch: usize,
        most_orders: usize,
    ) -> Result<Self, ScheduleError> {
        Self::of(&Profile::Steady { rate, duration }, batch, most_orders)
    }

    /// The schedule of a profile: order j is due when the integral of the rate reaches j.
    ///
    /// # Errors
    /// A profile that cannot be kept, an empty batch, an empty schedule.
    pub fn of(profile: &Profile, batch: usize, most_orders: usize) -> Result<Self, ScheduleError> {
        let lines = profile.lines()?;
        let orders = usize::try_from(lines.orders()).unwrap_or(usize::MAX);
        Self::with(Pace::Lines(lines), batch, orders.min(most_orders))
    }

    /// The schedule of orders that were due at these instants of some clock, in nanoseconds and in any order, replayed
    /// from the earliest on with the gaps divided by `speed`. Gaps are kept to the nanosecond of `gap / speed`.
    ///
    /// # Errors
    /// No speed, an empty batch, no instants.
    pub fn replay(
        instants: &[i128],
        speed: f64,
        batch: usize,
        most_orders: usize,
    ) -> Result<Self, ScheduleError> {
        if !(speed > 0.0 && speed <= 1e6) {
            return Err(ScheduleError::Speed);
        }
        let earliest = instants.iter().copied().min().ok_or(ScheduleError::Replay)?;
        let gap = |instant: &i128| ((instant - earliest) as f64 / speed) as u64;
        let mut due: Vec<u64> = instants.iter().map(gap).collect();
        due.sort_unstable();
        due.truncate(most_orders);
        let orders = due.len();
        Self::with(Pace::Instants(due), batch, orders)
    }

    /// No schedule: each connection sends its next request when it has the reply to the one before, for `duration`.
    ///
    /// # Errors
    /// An empty batch, no time, no orders.
    pub fn closed_loop(duration: Duration, batch: usize, most_orders: usize) -> Result<Self, ScheduleError> {
        if duration.is_zero() {
            return Err(ScheduleError::Empty);
        }
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self::with(Pace::BackToBack(ns), batch, most_orders)
    }

    fn with(pace: Pace, batch: usize, orders: usize) -> Result<Self, ScheduleError> {
        if batch == 0 {
            return Err(ScheduleError::Batch);
        }
        if orders == 0 { Err(ScheduleError::Empty) } else { Ok(Self { pace: Arc::new(pace), batch, orders }) }
    }

    /// True for a closed loop, whose requests are due at no instant.
    pub fn is_closed_loop(&self) -> bool {
        matches!(*self.pace, Pace::BackToBack(_))
    }

    /// The number of orders; of a closed loop the most that there can be.
    pub const fn orders(&self) -> usize {
        self.orders
    }

    /// Orders a request.
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// The number of requests; all but the last carry a full batch.
    pub const fn requests(&self) -> usize {
        self.orders.div_ceil(self.batch)
    }

    /// When request `request` is due, in nanoseconds after the start.
    pub fn due_ns(&self, request: usize) -> u64 {
        let order = request as u128 * self.batch as u128;
        match &*self.pace {
            Pace::Lines(lines) => lines.due_ns(order),
            Pace::Instants(due) => {
                let order = usize::try_from(order).unwrap_or(usize::MAX);
                due.get(order).or(due.last()).copied().unwrap_or(0)
            }
            Pace::BackToBack(_) => 0,
        }
    }

    /// The first order of request `request`, and how many it carries.
    pub fn orders_of(&self, request: usize) -> (usize, usize) {
        let first = request.saturating_mul(self.batch).min(self.orders);
        (first, self.batch.min(self.orders - first))
    }

    /// The number of requests that are due before `ns` nanoseconds after the start.
    pub fn requests_before(&self, ns: u64) -> usize {
        let orders = match &*self.pace {
            Pace::Lines(lines) => usize::try_from(lines.orders_before(ns)).unwrap_or(usize::MAX),
            Pace::Instants(due) => due.partition_point(|due| *due < ns),
            Pace::BackToBack(_) => 0,
        };
        orders.min(self.orders).div_ceil(self.batch)
    }

    /// The number of orders in the requests that are due before `ns` nanoseconds after the start.
    pub fn orders_before(&self, ns: u64) -> usize {
        self.requests_before(ns).saturating_mul(self.batch).min(self.orders)
    }

    /// How long the schedule is: the time in which its orders come at its rate.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(match &*self.pace {
            Pace::Lines(lines) => lines.due_ns(self.orders as u128),
            // The instant after the last one, so that no schedule takes no time.
            Pace::Instants(due) => due.last().map_or(1, |last| last + 1),
            Pace::BackToBack(ns) => *ns,
        })
    }

    /// True if the rate is the same throughout.
    pub fn is_level(&self) -> bool {
        matches!(&*self.pace, Pace::Lines(lines) if lines.level_milli().is_some())
    }

    /// The orders a second that are asked for, over the whole schedule; 0 for a closed loop, which asks for none.
    pub fn rate(&self) -> f64 {
        match &*self.pace {
            Pace::Lines(lines) => {
                lines.level_milli().map_or_else(|| self.mean_rate(), |milli| milli as f64 / MILLI)
            }
            Pace::Instants(_) => self.mean_rate(),
            Pace::BackToBack(_) => 0.0,
        }
    }

    /// The orders a second that are asked for at one instant. A replay has no rate but that of its last second.
    pub fn rate_at(&self, ns: u64) -> f64 {
        match &*self.pace {
            Pace::Lines(lines) => lines.milli_at(ns) as f64 / MILLI,
            Pace::Instants(_) => {
                let before = self.orders_before(ns.saturating_sub(1_000_000_000));
                (self.orders_before(ns) - before) as f64
            }
            Pace::BackToBack(_) => 0.0,
        }
    }

    fn mean_rate(&self) -> f64 {
        self.orders as f64 / self.length().as_secs_f64()
    }

    /// A hash of all that decides which orders are due when: schedules with the same one are the same.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        let mut add = |word: u64| hash.update(&word.to_le_bytes());
        match &*self.pace {
            Pace::Lines(lines) => lines.words().for_each(&mut add),
            Pace::Instants(due) => due.iter().copied().for_each(&mut add),
            Pace::BackToBack(ns) => add(!*ns),
        }
        [self.batch as u64, self.orders as u64].into_iter().for_each(add);
        hash.digest()
    }

    /// The shard of one of `threads` threads.
    pub fn shard(&self, thread: usize, threads: usize) -> Shard {
        Shard { schedule: self.clone(), thread, threads }
    }
}

/// The requests of one thread: of T threads, thread t has the requests t, t + T, t + 2T and so on.
#[derive(Clone, Debug)]
pub struct Shard {
    schedule: Schedule,
    thread: usize,
    threads: usize,
}

impl Shard {
    /// The number of requests of this thread.
    pub const fn len(&self) -> usize {
        self.schedule.requests().saturating_sub(self.thread).div_ceil(self.threads)
    }

    /// True if this thread has no requests.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The schedule's number of this thread's request `turn`, counted from 0.
    pub const fn request(&self, turn: usize) -> usize {
        self.thread.saturating_add(turn.saturating_mul(self.threads))
    }

    /// When this thread's request `turn` is due, in nanoseconds after the start.
    pub fn due_ns(&self, turn: usize) -> u64 {
        self.schedule.due_ns(self.request(turn))
    }

    /// The schedule that this is a shard of.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }
}
