//! Admission: how much is taken in at once, and when a client that is turned away should come back.

use crate::config::Receive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The longest time that a client is ever told to wait, in seconds.
const LONGEST_WAIT: u64 = 60;
/// What a request takes beside its body: its task, head and answer.
const REQUEST_BYTES: usize = 1 << 10;

/// Bytes and requests in flight, their limits, and the rate at which bytes drain. Clones are the same admission.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    max_bytes: usize,
    max_requests: usize,
    /// In seconds.
    longest_wait: u64,
    bytes: AtomicUsize,
    requests: AtomicUsize,
    drained: AtomicU64,
    /// Bytes per second, smoothed, as the bits of a double; infinite until something has drained or failed to.
    rate: AtomicU64,
    /// Something was in flight all the while of the last measure, and nothing drained.
    stalled: AtomicBool,
}

impl Admission {
    /// Room for so many bytes and requests. No request stays for longer than `reply_timeout`, so nobody is told to wait
    /// longer for room than that.
    pub fn new(max_bytes: usize, max_requests: usize, reply_timeout: Duration) -> Self {
        Self(Arc::new(Counts {
            max_bytes,
            max_requests,
            longest_wait: reply_timeout.as_secs().clamp(1, LONGEST_WAIT),
            bytes: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            drained: AtomicU64::new(0),
            rate: AtomicU64::new(f64::INFINITY.to_bits()),
            stalled: AtomicBool::new(false),
        }))
    }

    /// The room that a configuration gives.
    pub fn of(limits: &Receive) -> Self {
        Self::new(limits.max_in_flight_bytes, limits.max_in_flight_requests, limits.reply_timeout)
    }

    /// Takes a request in, or turns it away.
    pub fn enter(&self) -> Option<Admitted> {
        if self.0.requests.fetch_add(1, Ordering::Relaxed) >= self.0.max_requests {
            self.0.requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut admitted = Admitted { counts: Arc::clone(&self.0), bytes: 0, drains: true };
        admitted.grow(REQUEST_BYTES).then_some(admitted)
    }

    /// Bytes and requests in flight now.
    pub fn in_flight(&self) -> (usize, usize) {
        (self.0.bytes.load(Ordering::Relaxed), self.0.requests.load(Ordering::Relaxed))
    }

    /// Measures the drain rate since the last call, and smooths it. To be called at about the same interval again and
    /// again. While nothing is in flight there is nothing to measure, and the rate stays as it was.
    pub fn measure(&self, since: Duration) {
        let counts = &self.0;
        let drained = counts.drained.swap(0, Ordering::Relaxed) as f64 / since.as_secs_f64().max(0.001);
        let idle = counts.requests.load(Ordering::Relaxed) == 0;
        if drained == 0.0 && idle {
            return;
        }
        counts.stalled.store(drained == 0.0, Ordering::Relaxed);
        let before = f64::from_bits(counts.rate.load(Ordering::Relaxed));
        counts.rate.store(smooth(before, drained).to_bits(), Ordering::Relaxed);
    }

    /// After how many whole seconds what is in flight now will have drained, at the rate measured. While nothing drains it
    /// is the longest time that anything can stay.
    pub fn retry_after(&self) -> u64 {
        let counts = &self.0;
        let rate = f64::from_bits(counts.rate.load(Ordering::Relaxed));
        let rate = if counts.stalled.load(Ordering::Relaxed) { 0.0 } else { rate };
        seconds_to_drain(counts.bytes.load(Ordering::Relaxed), rate).min(counts.longest_wait)
    }
}

/// The mean of the last few measures, the newest weighing a quarter.
fn smooth(before: f64, now: f64) -> f64 {
    if before.is_infinite() { now } else { before + (now - before) / 4.0 }
}

#[expect(clippy::cast_sign_loss, reason = "neither bytes nor their rate is negative")]
fn seconds_to_drain(bytes: usize, rate: f64) -> u64 {
    // A rate of 0 gives infinity, which the cast makes the greatest number, or NaN where nothing waits, which it makes 0.
    ((bytes as f64 / rate).ceil() as u64).max(1)
}

/// A request that was taken in; it makes room again when it is dropped.
#[derive(Debug)]
pub struct Admitted {
    counts: Arc<Counts>,
    bytes: usize,
    drains: bool,
}

impl Admitted {
    /// Nothing of it came into the log, so that the room which it gives back tells nothing of how fast the log drains: a
    /// log that is gone refuses faster than any log writes.
    pub fn failed(&mut self) {
        self.drains = false;
    }

    /// Takes room for more bytes, or says that there is none.
    pub fn grow(&mut self, bytes: usize) -> bool {
        if self.counts.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.counts.max_bytes {
            self.counts.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Whether so many more bytes would be too many also if nothing else were in flight.
    pub fn never_fits(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) > self.counts.max_bytes
    }

    /// Gives up the room that was taken for all but so many bytes; takes it, limit or not, where they are more.
    pub fn keep(&mut self, bytes: usize) {
        let freed = self.bytes.saturating_sub(bytes);
        if freed > 0 {
            self.counts.bytes.fetch_sub(freed, Ordering::Relaxed);
            if self.drains {
                self.counts.drained.fetch_add(freed as u64, Ordering::Relaxed);
            }
        } else {
            self.counts.bytes.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.keep(0);
        self.counts.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: Duration = Duration::from_secs(6);

    #[test]
    fn what_is_over_a_limit_is_turned_away_and_room_comes_back() {
        let admission = Admission::new(REQUEST_BYTES + 100, 2, SIX);
        let mut first = admission.enter().unwrap();
        assert!(first.grow(100) && !first.grow(1));
        assert!(admission.enter().is_none(), "no bytes are left");
        drop(first);
        assert_eq!(admission.in_flight(), (0, 0));
        let admission = Admission::new(1 << 20, 1, SIX);
        let first = admission.enter().unwrap();
        assert!(admission.enter().is_none(), "no request is left");
        drop(first);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn what_is_kept_of_a_request_goes_on_counting() {
        let admission = Admission::new(REQUEST_BYTES + 100, 2, SIX);
        let mut only = admission.enter().unwrap();
        assert!(only.never_fits(101) && !only.never_fits(100));
        only.keep(60);
        assert_eq!(admission.in_flight(), (60, 1));
        only.keep(10_000);
        assert!(
            admission.enter().is_none(),
            "what had to be kept may be over the limit, and nothing more is let in"
        );
        drop(only);
        assert_eq!(admission.in_flight(), (0, 0));
    }

    #[test]
    fn the_wait_is_what_is_in_flight_over_the_measured_rate() {
        let admission = Admission::new(1 << 30, 10, SIX);
        assert_eq!(admission.retry_after(), 1, "nothing is known yet");
        let mut gone = admission.enter().unwrap();
        gone.grow(10_000_000 - REQUEST_BYTES);
        drop(gone);
        admission.measure(Duration::from_secs(1));
        let mut waiting = admission.enter().unwrap();
        waiting.grow(35_000_000 - REQUEST_BYTES);
        assert_eq!(admission.retry_after(), 4, "35 MB at 10 MB/s");
        let mut other = admission.enter().unwrap();
        other.grow(2_000_000 - REQUEST_BYTES);
        drop(other);
        admission.measure(Duration::from_secs(1));
        assert_eq!(admission.retry_after(), 5, "35 MB at 8 MB/s");
        for _ in 0..40 {
            let _ = admission.enter();
            admission.measure(Duration::from_secs(1));
        }
        assert_eq!(admission.retry_after(), 6, "no longer than a reply takes");
    }

    #[test]
    fn a_log_that_takes_nothing_is_waited_for_and_an_idle_one_is_not() {
        let admission = Admission::new(1 << 30, 10, SIX);
        drop(admission.enter());
        admission.measure(Duration::from_secs(1));
        for _ in 0..40 {
            admission.measure(Duration::from_secs(1));
        }
        let mut late = admission.enter().unwrap();
        assert_eq!(admission.retry_after(), 1, "idle, the rate stays as it was");
        late.failed();
        admission.measure(Duration::from_secs(1));
        assert_eq!(admission.retry_after(), 6, "something waits, and nothing drains");
        drop(late);
        let waiting = admission.enter().unwrap();
        admission.measure(Duration::from_secs(1));
        assert_eq!(admission.retry_after(), 6, "what failed did not drain");
        drop(waiting);
        admission.measure(Duration::from_secs(1));
        assert_eq!(admission.retry_after(), 1, "it drains again");
    }
}
