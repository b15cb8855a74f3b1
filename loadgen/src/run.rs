//! A run from beginning to end: threads send the schedule, what is unsettled is sent again, and the result is judged.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use pipeline::outcomes::Outcome;

use crate::gauges::{Counts, Gauges, Observer, Phase, Progress};
use crate::measure::{self, Latencies, Measures, Second};
use crate::outcome::Reasons;
use crate::plan::{Bodies, Plan};
use crate::retry::{self, Retried, Retry};
use crate::schedule::{Schedule, ScheduleError};
use crate::shard::{self, Share, Yield};
use crate::target::{Target, TargetError};
use crate::timer::Clock;
use crate::validity;

/// How often the observer is told, and so how soon a break is noticed.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);
/// Between the threads' being ready and the first due instant: they must have received the clock by then.
const LEAD: Duration = Duration::from_millis(20);

/// Why a run did not take place. A run that took place and is not valid is a result, not an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The plan's numbers cannot be kept.
    #[error("make the schedule")]
    Schedule(#[from] ScheduleError),
    /// The plan's target cannot be used.
    #[error("prepare the target")]
    Target(#[from] TargetError),
    /// Fewer connections than threads, or none.
    #[error("share {connections} connections among {threads} threads: each needs at least one")]
    Connections {
        /// As planned.
        connections: usize,
        /// As planned.
        threads: usize,
    },
    /// The system refused a thread, a timer or an event queue.
    #[error("start the generator's threads")]
    Start(#[source] io::Error),
    /// A thread of the generator ended early.
    #[error("finish: a thread of the generator ended early")]
    Thread,
}

/// What a run has found.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The schedule that was kept.
    pub schedule: Schedule,
    /// When it started, in nanoseconds of Unix time.
    pub started_at: u64,
    /// Orders due until the schedule ended or was broken off.
    pub due: u64,
    /// Orders by their last outcome, after all retries. `sent` is the sum of the other four.
    pub counts: Counts,
    /// Orders by the outcome of their first sending.
    pub first: Counts,
    /// Orders that were sent again after the schedule, each counted once.
    pub retried: u64,
    /// Orders a second that were asked for.
    pub offered_per_second: f64,
    /// Orders sent over the time from the start to the last first sending, or the schedule's length if that is longer.
    pub achieved_per_second: f64,
    /// Delay, service and response of the first sending of each order.
    pub latencies: Latencies,
    /// How late the timer woke the generator, in nanoseconds, over its wake-ups.
    pub timer_error: Histogram<u64>,
    /// One row for each second of the schedule.
    pub series: Vec<Second>,
    /// The last outcome of each order of the schedule; nothing if it was not sent.
    pub outcomes: Vec<Option<Outcome>>,
    /// Rejected orders by reason.
    pub rejections: BTreeMap<String, u64>,
    /// Sendings that ended failed or unknown, by reason and in orders; an order counts each time.
    pub failures: BTreeMap<String, u64>,
    /// Attempts to open a connection that did not succeed while the schedule was kept.
    pub connections_not_opened: u64,
    /// When the schedule was broken off, if it was.
    pub broken_off_after: Option<Duration>,
    /// CPU time of the generator's threads while the schedule was kept.
    pub cpu: Duration,
    /// Why the run is not valid; empty if it is.
    pub reasons: Vec<String>,
}

impl RunResult {
    /// True if the run offered the load that was asked for and measured all of it.
    pub fn valid(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Sends the payload as planned and blocks until all is known that will be.
///
/// `observe` is called about ten times a second on the calling thread; a break ends the schedule early, and later the
/// retries. The result is then of what was done.
///
/// # Errors
/// A plan that cannot be carried out, and faults of the system at the start. A server that cannot be reached is not an
/// error but an invalid result.
pub fn run(
    plan: &Plan,
    bodies: impl Into<Bodies>,
    mut observe: impl Observer,
) -> Result<RunResult, RunError> {
    let bodies = bodies.into();
    let schedule = plan.schedule(bodies.available())?;
    let Plan { connections, threads, .. } = *plan;
    if threads == 0 || connections < threads {
        return Err(RunError::Connections { connections, threads });
    }
    let retry_target = Target::new(plan, &bodies)?;
    let shares: Vec<Share> = (0..threads)
        .map(|thread| {
            Ok(Share {
                batched: plan.batch > 1,
                fine: plan.fine,
                timeout: plan.timeout,
                bodies: bodies.clone(),
                schedule: schedule.shard(thread, threads),
                target: Target::new(plan, &bodies)?,
                connections: (connections - thread).div_ceil(threads),
                gauges: Arc::new(Gauges::new()),
            })
        })
        .collect::<Result<_, TargetError>>()?;
    let (clock, yields) = send(shares, plan.on_a_second, &schedule, &mut observe)?;

    let mut measures = Measures::new(plan.fine);
    let mut reasons = Reasons::default();
    let mut outcomes = vec![None; schedule.orders()];
    let (mut not_opened, mut retry_at_ns, mut cpu) = (0, 0, Duration::ZERO);
    // Threads notice a break within a tenth of a second of each other. The last one counts, so that what was sent was due.
    let broken_off_ns = yields.iter().filter_map(|shard| shard.broken_off_ns).max();
    for (thread, shard) in yields.into_iter().enumerate() {
        measures.add(&shard.measures);
        reasons.add(shard.reasons);
        not_opened += shard.not_opened;
        retry_at_ns = retry_at_ns.max(shard.retry_at_ns);
        cpu += shard.cpu;
        gather(&mut outcomes, &shard.outcomes, schedule, thread, threads);
    }
    let length_ns = u64::try_from(schedule.length().as_nanos()).unwrap_or(u64::MAX);
    let kept_ns = broken_off_ns.unwrap_or(length_ns);
    measures.fill_due(&schedule, kept_ns);
    let first = retry::counts(&outcomes);

    let mut retried = Retried::default();
    if bodies.may_be_sent_again() && first.failed + first.unknown > 0 && !plan.retry_for.is_zero() {
        let retry = Retry {
            bodies,
            schedule,
            target: retry_target,
            clock,
            connections,
            timeout: plan.timeout,
            retry_for: plan.retry_for,
            not_before: Duration::from_nanos(retry_at_ns.saturating_sub(clock.now_ns())),
        };
        retried = retry::settle(retry, &mut outcomes, |counts| {
            observe(&Progress {
                phase: Phase::Retry,
                started_at: clock.unix_ns(0),
                elapsed: Duration::from_nanos(clock.now_ns()),
                length: schedule.length(),
                due: schedule.orders_before(kept_ns) as u64,
                counts,
                requests_under_way: 0,
                recent_us: measure::small_histogram(),
            })
        })
        .map_err(RunError::Start)?;
        reasons.add(retried.reasons.clone());
    }

    let took_ns = kept_ns.max(measures.last_sent_ns).max(1);
    let mut result = RunResult {
        schedule,
        started_at: clock.unix_ns(0),
        due: schedule.orders_before(kept_ns) as u64,
        counts: retry::counts(&outcomes),
        first,
        retried: retried.orders,
        offered_per_second: schedule.rate(),
        achieved_per_second: first.sent as f64 / Duration::from_nanos(took_ns).as_secs_f64(),
        latencies: measures.latencies,
        timer_error: measures.timer_error,
        series: measures.seconds,
        outcomes,
        rejections: reasons.rejected,
        failures: reasons.unsettled,
        connections_not_opened: not_opened,
        broken_off_after: broken_off_ns.map(Duration::from_nanos),
        cpu,
        reasons: Vec::new(),
    };
    result.reasons = validity::reasons(&result, plan.max_delay);
    Ok(result)
}

/// Runs the shares, one thread each, until all have ended.
fn send(
    shares: Vec<Share>,
    on_a_second: bool,
    schedule: &Schedule,
    observe: &mut impl Observer,
) -> Result<(Clock, Vec<Yield>), RunError> {
    let gauges: Vec<Arc<Gauges>> = shares.iter().map(|share| Arc::clone(&share.gauges)).collect();
    let (ready, all_ready) = mpsc::channel();
    let (ended, any_ended) = mpsc::channel::<Infallible>();
    let mut starts = Vec::new();
    let mut threads = Vec::new();
    for (number, share) in shares.into_iter().enumerate() {
        let (start, started) = mpsc::channel();
        let (ready, ended) = (ready.clone(), ended.clone());
        let thread = thread::Builder::new().name(format!("loadgen-{number}")).spawn(move || {
            let result = shard::run(share, &ready, &started);
            // Dropping these tells that this thread has ended, also where it was never ready.
            drop((ready, ended));
            result
        });
        starts.push(start);
        threads.push(thread.map_err(RunError::Start)?);
    }
    drop((ready, ended));
    // The channel ends early if a thread could not start; the others then get no clock, and its error is found below.
    let ready = all_ready.iter().take(threads.len()).count() == threads.len();
    let clock = if on_a_second { Clock::starting_on_a_second(LEAD) } else { Clock::starting_in(LEAD) };
    if ready {
        // One that has ended since is found below too.
        starts.iter().for_each(|start| start.send(clock).unwrap_or(()));
    }
    drop(starts);
    while let Err(mpsc::RecvTimeoutError::Timeout) = any_ended.recv_timeout(OBSERVE_EVERY) {
        if observe(&progress(&gauges, schedule, clock)).is_break() {
            gauges.iter().for_each(|gauges| gauges.stop());
        }
    }
    let mut yields = Vec::new();
    for thread in threads {
        let ended = thread.join().map_err(|_| RunError::Thread)?.map_err(RunError::Start)?;
        yields.extend(ended);
    }
    if yields.len() == gauges.len() { Ok((clock, yields)) } else { Err(RunError::Thread) }
}

fn progress(gauges: &[Arc<Gauges>], schedule: &Schedule, clock: Clock) -> Progress {
    let now_ns = clock.now_ns();
    let mut progress = Progress {
        phase: if u128::from(now_ns) < schedule.length().as_nanos() { Phase::Schedule } else { Phase::Drain },
        started_at: clock.unix_ns(0),
        elapsed: Duration::from_nanos(now_ns),
        length: schedule.length(),
        due: schedule.orders_before(now_ns) as u64,
        counts: Counts::default(),
        requests_under_way: 0,
        recent_us: measure::small_histogram(),
    };
    for gauges in gauges {
        progress.counts.add(gauges.counts());
        progress.requests_under_way += gauges.requests_under_way();
        gauges.take_recent(&mut progress.recent_us);
    }
    progress
}

/// Puts the outcomes of a thread's orders at their places among all orders.
fn gather(
    all: &mut [Option<Outcome>],
    of_thread: &[Option<Outcome>],
    schedule: Schedule,
    thread: usize,
    threads: usize,
) {
    let shard = schedule.shard(thread, threads);
    for (turn, outcomes) in of_thread.chunks(schedule.batch()).enumerate() {
        let (first, _) = schedule.orders_of(shard.request(turn));
        for (place, outcome) in all.iter_mut().skip(first).zip(outcomes) {
            *place = *outcome;
        }
    }
}

/// An observer that looks on and never breaks.
pub const fn unobserved(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
