//! When each request is due: a pure function of the rate, the batch size and the number of orders.
//!
//! The schedule is open: it does not know the server, and no slow reply moves a later request. It owns no clock;
//! instants are nanoseconds since the start of the run. All arithmetic is in integers, so that request i is due at the
//! same nanosecond however many requests came before it, and errors of rounding never add up.

use std::time::Duration;

/// Orders a second are counted in thousandths, so that slow rates such as 0.5 orders/s can be asked for.
const MILLI: u128 = 1_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

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
}

/// Which requests there are, when each is due, and which orders it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    milli_rate: u128,
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
        // A Duration is the standard library's checked way from a float to an integer: it refuses what is not finite
        // or is negative, and it rounds to nine digits, of which three are kept.
        let milli_rate = Duration::try_from_secs_f64(rate).map_err(|_| ScheduleError::Rate)?.as_millis();
        if milli_rate == 0 || milli_rate > MILLI * NANOS_PER_SECOND {
            return Err(ScheduleError::Rate);
        }
        if batch == 0 {
            return Err(ScheduleError::Batch);
        }
        let fitting = duration
            .as_nanos()
            .checked_mul(milli_rate)
            .map_or(u128::MAX, |product| product.div_ceil(MILLI * NANOS_PER_SECOND));
        let orders = usize::try_from(fitting).unwrap_or(usize::MAX).min(most_orders);
        if orders == 0 { Err(ScheduleError::Empty) } else { Ok(Self { milli_rate, batch, orders }) }
    }

    /// The number of orders.
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
        self.order_due_ns(request as u128 * self.batch as u128)
    }

    fn order_due_ns(&self, order: u128) -> u64 {
        u64::try_from(order * MILLI * NANOS_PER_SECOND / self.milli_rate).unwrap_or(u64::MAX)
    }

    /// The first order of request `request`, and how many it carries.
    pub fn orders_of(&self, request: usize) -> (usize, usize) {
        let first = request.saturating_mul(self.batch).min(self.orders);
        (first, self.batch.min(self.orders - first))
    }

    /// The number of requests that are due before `ns` nanoseconds after the start.
    pub fn requests_before(&self, ns: u64) -> usize {
        // floor(i * batch * c / rate) < ns exactly if i * batch * c < ns * rate, as ns is a whole number.
        let each = self.batch as u128 * MILLI * NANOS_PER_SECOND;
        let before = (u128::from(ns) * self.milli_rate).div_ceil(each);
        usize::try_from(before).unwrap_or(usize::MAX).min(self.requests())
    }

    /// The number of orders in the requests that are due before `ns` nanoseconds after the start.
    pub fn orders_before(&self, ns: u64) -> usize {
        self.requests_before(ns).saturating_mul(self.batch).min(self.orders)
    }

    /// How long the schedule is: the time in which its orders come at its rate.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.order_due_ns(self.orders as u128))
    }

    /// The orders a second that are asked for.
    pub fn rate(&self) -> f64 {
        self.milli_rate as f64 / MILLI as f64
    }

    /// The shard of one of `threads` threads.
    pub const fn shard(self, thread: usize, threads: usize) -> Shard {
        Shard { schedule: self, thread, threads }
    }
}

/// The requests of one thread: of T threads, thread t has the requests t, t + T, t + 2T and so on.
#[derive(Clone, Copy, Debug)]
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
        self.thread + turn * self.threads
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_thousand_a_second_for_ten_seconds_is_ten_thousand_requests_a_millisecond_apart() {
        let schedule = Schedule::new(1_000.0, seconds(10), 1, usize::MAX).unwrap();
        assert_eq!(schedule.requests(), 10_000);
        assert_eq!(schedule.due_ns(0), 0);
        assert_eq!(schedule.due_ns(9_999), 9_999_000_000);
        assert_eq!(schedule.length(), seconds(10));
    }

    #[test]
    fn the_rate_counts_orders_so_batches_come_less_often() {
        let schedule = Schedule::new(1_000.0, seconds(1), 100, usize::MAX).unwrap();
        assert_eq!(schedule.requests(), 10);
        assert_eq!(schedule.due_ns(1), 100_000_000);
    }

    #[test]
    fn the_last_batch_carries_what_is_left() {
        let schedule = Schedule::new(10.0, seconds(1), 4, usize::MAX).unwrap();
        assert_eq!(schedule.orders_of(1), (4, 4));
        assert_eq!(schedule.orders_of(2), (8, 2));
        assert_eq!(schedule.orders_of(3), (10, 0));
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_does_not_drift() {
        let schedule = Schedule::new(3.0, seconds(1_000), 1, usize::MAX).unwrap();
        assert_eq!(schedule.requests(), 3_000);
        assert_eq!(schedule.due_ns(1), 333_333_333);
        assert_eq!(schedule.due_ns(2_999), 999_666_666_666);
    }

    #[test]
    fn slower_than_one_a_second_is_possible() {
        let schedule = Schedule::new(0.5, seconds(4), 1, usize::MAX).unwrap();
        assert_eq!((schedule.requests(), schedule.due_ns(1)), (2, 2_000_000_000));
    }

    #[test]
    fn a_cap_on_orders_shortens_the_schedule_and_keeps_the_rate() {
        let schedule = Schedule::new(1_000.0, seconds(10), 1, 2_500).unwrap();
        assert_eq!(schedule.orders(), 2_500);
        assert_eq!(schedule.length(), Duration::from_millis(2_500));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.000_1, 2e9] {
            assert_eq!(Schedule::new(rate, seconds(1), 1, 1), Err(ScheduleError::Rate), "{rate}");
        }
        assert_eq!(Schedule::new(1.0, seconds(1), 0, 1), Err(ScheduleError::Batch));
        assert_eq!(Schedule::new(1.0, seconds(0), 1, 1), Err(ScheduleError::Empty));
        assert_eq!(Schedule::new(1.0, seconds(1), 1, 0), Err(ScheduleError::Empty));
    }

    prop_compose! {
        fn schedules()(
            rate in prop_oneof![0.5..50.0, 50.0..60_000.0],
            millis in 1_u64..5_000,
            batch in 1_usize..400,
        ) -> Schedule {
            Schedule::new(rate, Duration::from_millis(millis), batch, usize::MAX).unwrap()
        }
    }

    proptest! {
        #[test]
        fn each_request_belongs_to_exactly_one_thread(schedule in schedules(), threads in 1_usize..9) {
            let mut owners = vec![0_u8; schedule.requests()];
            for thread in 0..threads {
                let shard = schedule.shard(thread, threads);
                for turn in 0..shard.len() {
                    owners[shard.request(turn)] += 1;
                }
            }
            prop_assert!(owners.iter().all(|count| *count == 1));
        }

        #[test]
        fn due_instants_never_go_back_and_end_before_the_schedule_does(schedule in schedules()) {
            let due: Vec<u64> = (0..schedule.requests()).map(|request| schedule.due_ns(request)).collect();
            prop_assert!(due.is_sorted());
            prop_assert!(u128::from(*due.last().unwrap()) < schedule.length().as_nanos());
        }

        #[test]
        fn each_order_is_in_exactly_one_request(schedule in schedules()) {
            let mut next = 0;
            for request in 0..schedule.requests() {
                let (first, count) = schedule.orders_of(request);
                prop_assert_eq!(first, next);
                prop_assert!(count > 0);
                next += count;
            }
            prop_assert_eq!(next, schedule.orders());
        }

        #[test]
        fn the_total_is_rate_times_duration_within_one_order(rate in 0.5..60_000.0, millis in 1_u64..5_000) {
            let schedule = Schedule::new(rate, Duration::from_millis(millis), 1, usize::MAX).unwrap();
            let exact = schedule.rate() * millis as f64 / 1e3;
            prop_assert!((schedule.orders() as f64 - exact).abs() <= 1.0);
        }

        #[test]
        fn the_count_before_an_instant_agrees_with_the_due_instants(schedule in schedules(), ns in 0_u64..6_000_000_000) {
            let before = (0..schedule.requests()).take_while(|request| schedule.due_ns(*request) < ns).count();
            prop_assert_eq!(schedule.requests_before(ns), before);
        }
    }
}
