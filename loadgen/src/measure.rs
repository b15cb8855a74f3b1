//! What is measured: three latencies as HDR histograms, the timer's error, and a row for each second of the schedule.
//!
//! A latency belongs to a request, but a batch is as many waiting orders, so each is recorded once for each order of
//! the request: `count` is orders. Times are nanoseconds. What is longer than [`LONGEST`] is recorded as that long and
//! counted as clipped, which makes the run invalid.

use std::time::Duration;

use hdrhistogram::{Counter, Histogram};

pub use self::fine::Fine;
pub use self::recent::Recent;
use crate::schedule::Schedule;

mod fine;
mod recent;

/// The longest latency that a histogram can hold.
pub const LONGEST: Duration = Duration::from_secs(600);
const LONGEST_NS: u64 = 600_000_000_000;
const DIGITS: u8 = 3;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// One row a second must stay small in runs of hours: two digits and microseconds take some 2 KB a row.
const SERIES_DIGITS: u8 = 2;
const NANOS_PER_MICRO: u64 = 1_000;

/// The bounds are constants that the library accepts, as a test shows.
#[expect(clippy::unwrap_used, reason = "constant bounds")]
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).unwrap()
}

/// A small histogram of microseconds, which grows as needed.
#[expect(clippy::unwrap_used, reason = "a constant number of digits")]
pub(crate) fn small_histogram() -> Histogram<u32> {
    Histogram::new(SERIES_DIGITS).unwrap()
}

/// Records a latency in a histogram that grows as needed, which can fail only beyond 2^63 microseconds.
pub(crate) fn record_small(histogram: &mut Histogram<u32>, value_us: u64, orders: usize) {
    let recorded = histogram.record_n(value_us, u32::try_from(orders).unwrap_or(u32::MAX));
    debug_assert!(recorded.is_ok());
}

/// When a request was due, when it was sent and when its reply had been read or was given up, in nanoseconds since the
/// start of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instants {
    pub(crate) due_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) reply_ns: u64,
}

impl Instants {
    /// From due to reply in whole microseconds, the unit of the small histograms.
    pub(crate) const fn response_us(&self) -> u64 {
        self.reply_ns.saturating_sub(self.due_ns) / NANOS_PER_MICRO
    }
}

/// The latencies of a run.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Due -> sent, just before the request is handed to its connection: what the generator itself, or its lack of
    /// free connections, adds.
    pub delay: Histogram<u64>,
    /// Sent -> reply fully read: what a closed-loop tool reports.
    pub service: Histogram<u64>,
    /// Due -> reply fully read: what a customer waits. The headline.
    pub response: Histogram<u64>,
    /// Values above [`LONGEST`].
    pub clipped: u64,
}

impl Latencies {
    fn new() -> Self {
        Self { delay: latencies(), service: latencies(), response: latencies(), clipped: 0 }
    }

    fn record(&mut self, at: Instants, orders: u64) {
        for (histogram, from, to) in [
            (&mut self.delay, at.due_ns, at.sent_ns),
            (&mut self.service, at.sent_ns, at.reply_ns),
            (&mut self.response, at.due_ns, at.reply_ns),
        ] {
            let value = to.saturating_sub(from);
            if value > LONGEST_NS {
                self.clipped += 1;
            }
            histogram.saturating_record_n(value, orders);
        }
    }

    fn add(&mut self, other: &Self) {
        add(&mut self.delay, &other.delay);
        add(&mut self.service, &other.service);
        add(&mut self.response, &other.response);
        self.clipped += other.clipped;
    }
}

/// Adds a histogram to one with the same bounds, or to one that grows: neither can fail.
pub(crate) fn add<T: Counter>(to: &mut Histogram<T>, from: &Histogram<T>) {
    let added = to.add(from);
    debug_assert!(added.is_ok());
}

/// What came of the orders that were due in one second of the schedule, at their first sending.
#[derive(Clone, Debug)]
pub struct Second {
    /// Orders due.
    pub due: u64,
    /// Of these, orders sent, whenever that was.
    pub sent: u64,
    /// Of these, orders accepted.
    pub accepted: u64,
    /// Of these, orders rejected, failed or unknown.
    pub not_accepted: u64,
    /// Due -> reply fully read, in microseconds, with two significant digits.
    pub response_us: Histogram<u32>,
    /// The longest of these, exactly, in microseconds.
    pub response_max_us: u64,
    /// All three latencies with all their digits, where the plan asks for them.
    pub fine: Option<Box<Fine>>,
}

impl Second {
    fn new(fine: bool) -> Self {
        Self {
            fine: fine.then(|| Box::new(Fine::new())),
            due: 0,
            sent: 0,
            accepted: 0,
            not_accepted: 0,
            response_us: small_histogram(),
            response_max_us: 0,
        }
    }
}

/// All that one thread measures, and after the merge all that a run has measured.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    pub(crate) latencies: Latencies,
    /// How late the timer woke its thread, in nanoseconds, over its wake-ups.
    pub(crate) timer_error: Histogram<u64>,
    pub(crate) seconds: Vec<Second>,
    pub(crate) last_sent_ns: u64,
    fine: bool,
}

impl Measures {
    /// `fine` keeps all latencies of each second apart.
    pub(crate) fn new(fine: bool) -> Self {
        let (latencies, timer_error) = (Latencies::new(), latencies());
        Self { latencies, timer_error, seconds: Vec::new(), last_sent_ns: 0, fine }
    }

    /// Records the latencies of a request that was sent.
    pub(crate) fn record_latencies(&mut self, at: Instants, orders: usize) {
        self.latencies.record(at, orders as u64);
        self.last_sent_ns = self.last_sent_ns.max(at.sent_ns);
        let second = self.second(at.due_ns);
        record_small(&mut second.response_us, at.response_us(), orders);
        second.response_max_us = second.response_max_us.max(at.response_us());
        if let Some(fine) = &mut second.fine {
            fine.record(at, orders);
        }
    }

    /// Records the service of a request of a closed loop, which has no other latency.
    pub(crate) fn record_service(&mut self, at: Instants, orders: usize) {
        let service = at.reply_ns.saturating_sub(at.sent_ns);
        if service > LONGEST_NS {
            self.latencies.clipped += 1;
        }
        self.latencies.service.saturating_record_n(service, orders as u64);
        self.last_sent_ns = self.last_sent_ns.max(at.sent_ns);
    }

    /// Records what came of the orders of a request.
    pub(crate) fn record_outcomes(&mut self, due_ns: u64, accepted: u64, orders: u64) {
        let second = self.second(due_ns);
        second.sent += orders;
        second.accepted += accepted;
        second.not_accepted += orders.saturating_sub(accepted);
    }

    /// Records how late the timer woke its thread.
    pub(crate) fn record_timer_error(&mut self, late_ns: u64) {
        self.timer_error.saturating_record(late_ns);
    }

    #[expect(clippy::indexing_slicing, reason = "the row was added just before")]
    fn second(&mut self, due_ns: u64) -> &mut Second {
        let number = usize::try_from(due_ns / NANOS_PER_SECOND).unwrap_or(usize::MAX);
        if self.seconds.len() <= number {
            let fine = self.fine;
            self.seconds.resize_with(number + 1, || Second::new(fine));
        }
        &mut self.seconds[number]
    }

    /// Adds what another thread has measured.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        add(&mut self.timer_error, &other.timer_error);
        self.last_sent_ns = self.last_sent_ns.max(other.last_sent_ns);
        for (number, theirs) in other.seconds.iter().enumerate() {
            let ours = self.second(number as u64 * NANOS_PER_SECOND);
            ours.sent += theirs.sent;
            ours.accepted += theirs.accepted;
            ours.not_accepted += theirs.not_accepted;
            add(&mut ours.response_us, &theirs.response_us);
            ours.response_max_us = ours.response_max_us.max(theirs.response_max_us);
            if let (Some(ours), Some(theirs)) = (&mut ours.fine, &theirs.fine) {
                ours.add(theirs);
            }
        }
    }

    /// Of a closed loop: an order is due when it is sent.
    pub(crate) fn fill_due_as_sent(&mut self) {
        self.seconds.iter_mut().for_each(|second| second.due = second.sent);
    }

    /// Fills in how many orders were due in each second up to `end_ns`, whether they were sent or not.
    pub(crate) fn fill_due(&mut self, schedule: &Schedule, end_ns: u64) {
        let mut before = 0;
        for number in 0..end_ns.div_ceil(NANOS_PER_SECOND) {
            let until = schedule.orders_before(end_ns.min((number + 1) * NANOS_PER_SECOND)) as u64;
            self.second(number * NANOS_PER_SECOND).due = until - before;
            before = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_once_for_each_of_its_orders() {
        let mut measures = Measures::new(false);
        measures.record_latencies(Instants { due_ns: 10, sent_ns: 15, reply_ns: 40 }, 7);
        let latencies = &measures.latencies;
        assert_eq!((latencies.delay.len(), latencies.delay.max()), (7, 5));
        assert_eq!((latencies.service.len(), latencies.service.max()), (7, 25));
        assert_eq!((latencies.response.len(), latencies.response.max()), (7, 30));
    }

    #[test]
    fn what_is_longer_than_ten_minutes_is_counted_as_clipped() {
        let mut measures = Measures::new(false);
        let at = Instants { due_ns: 0, sent_ns: 1, reply_ns: LONGEST_NS + 1 };
        measures.record_latencies(at, 1);
        assert_eq!(measures.latencies.clipped, 1);
        assert_eq!(measures.latencies.response.len(), 1);
    }

    #[test]
    fn a_slow_reply_belongs_to_the_second_it_was_due_in() {
        let mut measures = Measures::new(false);
        measures.record_latencies(
            Instants { due_ns: 900_000_000, sent_ns: 900_000_000, reply_ns: 2_900_000_000 },
            1,
        );
        assert_eq!(measures.seconds.len(), 1);
        assert_eq!(measures.seconds[0].response_max_us, 2_000_000);
    }

    #[test]
    fn each_order_of_the_schedule_is_due_in_one_second() {
        let schedule = Schedule::new(7.0, Duration::from_millis(2_500), 2, usize::MAX).unwrap();
        let mut measures = Measures::new(false);
        measures.fill_due(&schedule, 2_500_000_000);
        let due: Vec<u64> = measures.seconds.iter().map(|second| second.due).collect();
        assert_eq!(due, [8, 6, 4]);
        assert_eq!(schedule.orders(), 18);
    }

    #[test]
    fn the_measures_of_threads_add_up() {
        let mut all = Measures::new(false);
        for thread in 0..3_u64 {
            let mut one = Measures::new(false);
            let due_ns = thread * NANOS_PER_SECOND;
            one.record_latencies(Instants { due_ns, sent_ns: due_ns, reply_ns: due_ns + 5_000 }, 2);
            one.record_outcomes(due_ns, 1, 2);
            all.add(&one);
        }
        assert_eq!(all.latencies.response.len(), 6);
        let rows: Vec<_> = all.seconds.iter().map(|row| (row.sent, row.accepted, row.not_accepted)).collect();
        assert_eq!(rows, [(2, 1, 1); 3]);
    }
}
