//! The clock of a run, and a timer that keeps it to microseconds without spinning.
//!
//! tokio's own timer rounds to whole milliseconds, as long as the period of 1,000 requests a second. A timerfd on
//! CLOCK_MONOTONIC wakes the runtime through the same epoll that its sockets use, and costs one system call a wake-up.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The CPU time that the calling thread has used.
pub(crate) fn thread_cpu() -> Duration {
    Duration::from_nanos(nanoseconds(clock_gettime(ClockId::ThreadCPUTime)))
}

/// Nanoseconds since the start of a run, and the wall clock that goes with them.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start_monotonic_ns: u64,
    start_unix_ns: u64,
}

impl Clock {
    /// A clock that starts `lead` from now. Both clocks are read once, here: a step of the wall clock during the run
    /// moves no due instant.
    pub fn starting_in(lead: Duration) -> Self {
        let lead_ns = u64::try_from(lead.as_nanos()).unwrap_or(0);
        Self {
            start_monotonic_ns: nanoseconds(clock_gettime(ClockId::Monotonic)) + lead_ns,
            start_unix_ns: nanoseconds(clock_gettime(ClockId::Realtime)) + lead_ns,
        }
    }

    /// The first clock that starts on a whole second of Unix time and no sooner than `lead` from now, so that seconds
    /// of the run are seconds of the wall clock, by which others count.
    pub fn starting_on_a_second(lead: Duration) -> Self {
        let Self { start_monotonic_ns, start_unix_ns } = Self::starting_in(lead);
        let rest = (NANOS_PER_SECOND - start_unix_ns % NANOS_PER_SECOND) % NANOS_PER_SECOND;
        Self { start_monotonic_ns: start_monotonic_ns + rest, start_unix_ns: start_unix_ns + rest }
    }

    /// Nanoseconds since the start; 0 before it.
    pub fn now_ns(&self) -> u64 {
        nanoseconds(clock_gettime(ClockId::Monotonic)).saturating_sub(self.start_monotonic_ns)
    }

    /// The Unix time in nanoseconds of an instant of this clock.
    pub const fn unix_ns(&self, ns: u64) -> u64 {
        self.start_unix_ns.saturating_add(ns)
    }
}

/// A timer on a [`Clock`], for one waiter.
#[derive(Debug)]
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
    clock: Clock,
}

impl Timer {
    /// A timer that is not set.
    ///
    /// # Errors
    /// Those of opening a file descriptor and of registering it with the runtime.
    pub fn new(clock: Clock) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is an unsafe function, for the sake of types that may close their descriptor \
                      under tokio; an OwnedFd keeps it open and the same until it is dropped"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd, clock })
    }

    /// Waits until `ns` nanoseconds after the start of the clock.
    ///
    /// # Errors
    /// Those of setting a timer.
    pub async fn wait_until(&self, ns: u64) -> io::Result<()> {
        let at = self.clock.start_monotonic_ns.saturating_add(ns);
        let value = Timespec {
            tv_sec: i64::try_from(at / NANOS_PER_SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at % NANOS_PER_SECOND).unwrap_or(0),
        };
        let setting = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        // The descriptor is never read. Setting it anew clears its expiry, and tokio registers it edge-triggered, so
        // each expiry wakes this once. The clock is asked again, because an expiry of the setting before this one may
        // have been noticed late.
        while self.clock.now_ns() < ns {
            self.fd.readable().await?.clear_ready();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_starts_on_a_second_does_so_within_the_next() {
        let before = Clock::starting_in(Duration::from_millis(20));
        let clock = Clock::starting_on_a_second(Duration::from_millis(20));
        assert_eq!(clock.unix_ns(0) % NANOS_PER_SECOND, 0);
        assert!(clock.unix_ns(0) >= before.unix_ns(0));
        assert!(clock.unix_ns(0) - before.unix_ns(0) <= NANOS_PER_SECOND + NANOS_PER_SECOND / 2);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_timer_never_wakes_early_and_can_be_set_again() {
        let clock = Clock::starting_in(Duration::ZERO);
        let timer = Timer::new(clock).unwrap();
        for step in 1..=20 {
            let due = step * 700_000;
            timer.wait_until(due).await.unwrap();
            assert!(clock.now_ns() >= due);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_instant_that_has_passed_does_not_wait() {
        let clock = Clock::starting_in(Duration::ZERO);
        let timer = Timer::new(clock).unwrap();
        timer.wait_until(1_000_000).await.unwrap();
        timer.wait_until(1).await.unwrap();
    }
}
