//! What the threads of a run let others see while they work, and the stop sign that others can put up.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pipeline::outcomes::Outcome;

use crate::measure::Recent;

/// Orders by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders sent, or for which a connection was sought in vain, and whose request is over: the sum of the four below.
    pub sent: u64,
    /// Durable in the log.
    pub accepted: u64,
    /// Invalid.
    pub rejected: u64,
    /// Certainly not in the log.
    pub failed: u64,
    /// Perhaps in the log.
    pub unknown: u64,
}

impl Counts {
    /// Counts an order.
    pub(crate) const fn count(&mut self, outcome: Outcome) {
        self.sent += 1;
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// Adds the orders of another count.
    pub(crate) const fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.unknown += other.unknown;
    }
}

/// What one thread has to show.
pub(crate) struct Shown<'s> {
    /// When, in nanoseconds since the start.
    pub(crate) at_ns: u64,
    pub(crate) counts: Counts,
    pub(crate) statuses: &'s BTreeMap<u16, u64>,
    pub(crate) requests_under_way: u64,
    /// Moved out.
    pub(crate) recent: &'s mut Recent,
}

/// What one thread shows: it writes some ten times a second, and the thread that reports reads.
#[derive(Debug)]
pub(crate) struct Gauges {
    at_ns: AtomicU64,
    sent: AtomicU64,
    accepted: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    requests_under_way: AtomicU64,
    statuses: Mutex<BTreeMap<u16, u64>>,
    /// The latencies since the reader last took them.
    recent: Mutex<Recent>,
    stop: AtomicBool,
}

impl Gauges {
    pub(crate) fn new() -> Self {
        Self {
            at_ns: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            requests_under_way: AtomicU64::new(0),
            statuses: Mutex::default(),
            recent: Mutex::new(Recent::new()),
            stop: AtomicBool::new(false),
        }
    }

    /// Shows the counts, and moves the thread's recent latencies over.
    pub(crate) fn show(&self, shown: Shown<'_>) {
        let counts = shown.counts;
        self.at_ns.store(shown.at_ns, Ordering::Relaxed);
        self.sent.store(counts.sent, Ordering::Relaxed);
        self.accepted.store(counts.accepted, Ordering::Relaxed);
        self.rejected.store(counts.rejected, Ordering::Relaxed);
        self.failed.store(counts.failed, Ordering::Relaxed);
        self.unknown.store(counts.unknown, Ordering::Relaxed);
        self.requests_under_way.store(shown.requests_under_way, Ordering::Relaxed);
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone_from(shown.statuses);
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).take(shown.recent);
    }

    /// Adds the replies by status.
    pub(crate) fn add_statuses(&self, to: &mut BTreeMap<u16, u64>) {
        for (status, replies) in self.statuses.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *to.entry(*status).or_default() += replies;
        }
    }

    /// When the thread showed last, in nanoseconds since the start.
    pub(crate) fn at_ns(&self) -> u64 {
        self.at_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            sent: self.sent.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn requests_under_way(&self) -> u64 {
        self.requests_under_way.load(Ordering::Relaxed)
    }

    /// Moves the recent latencies over.
    pub(crate) fn take_recent(&self, to: &mut Recent) {
        to.take(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What a run does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It sends what is due.
    Schedule,
    /// The schedule has ended; requests still wait for a connection or for their reply.
    Drain,
    /// Orders without a definite outcome are sent again.
    Retry,
}

/// How a run is getting on, as its observer is told about ten times a second.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What it does.
    pub phase: Phase,
    /// When the schedule started, in nanoseconds of Unix time.
    pub started_at: u64,
    /// Time since the start of the schedule.
    pub elapsed: Duration,
    /// The length of the schedule.
    pub length: Duration,
    /// Orders due when the threads last showed what they had done, so that what is due and not over is no more than that.
    pub due: u64,
    /// Orders a second that are asked for now.
    pub rate: f64,
    /// Replies so far by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Orders so far by what is known of them.
    pub counts: Counts,
    /// Requests sent whose reply is not there.
    pub requests_under_way: u64,
    /// The latencies recorded since the last call, by the time at which they were; empty in a retry.
    pub recent: Recent,
}

/// Told how a run is getting on; to break off ends the phase it is in: the schedule, or the retries.
pub trait Observer: FnMut(&Progress) -> ControlFlow<()> {}
impl<F: FnMut(&Progress) -> ControlFlow<()>> Observer for F {}
