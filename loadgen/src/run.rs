//! A run from beginning to end: threads send the schedule, what is unsettled is sent again, and the result is judged.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use pipeline::outcomes::Outcome;

use crate::bodies::Bodies;
use crate::gauges::{Counts, Gauges, Observer, Phase, Progress};
use crate::measure::{Measures, Recent};
use crate::outcome::Reasons;
use crate::plan::Plan;
pub use crate::result::RunResult;
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
    let most_threads = connections.min(plan.max_in_flight.unwrap_or(usize::MAX));
    if threads == 0 || most_threads < threads {
        return Err(RunError::Connections { connections: most_threads, threads });
    }
    let target = Target::new(plan, &bodies)?;
    let of_thread = |all: usize, thread: usize| (all - thread).div_ceil(threads);
    let shares: Vec<Share> = (0..threads)
        .map(|thread| Share {
            batched: plan.batch > 1,
            timeout: plan.timeout,
            bodies: bodies.clone(),
            schedule: schedule.shard(thread, threads),
            target: target.clone(),
            connections: of_thread(connections, thread),
            streams: plan.streams,
            max_in_flight: plan.max_in_flight.map(|all| of_thread(all, thread)),
            spin: plan.spin,
            slack: plan.slack,
            fine: plan.fine,
            gauges: Arc::new(Gauges::new()),
        })
        .collect();
    let (clock, yields) = send(shares, plan.on_a_second, &schedule, &mut observe)?;

    let mut measures = Measures::new(plan.fine);
    let mut reasons = Reasons::default();
    let mut outcomes = Vec::new();
    let mut statuses = BTreeMap::new();
    let (mut not_opened, mut limited, mut retry_at_ns) = (0, 0, 0);
    let (mut cpu, mut cpu_share) = (Duration::ZERO, 0.0_f64);
    // Threads notice a break within a tenth of a second of each other. The last one counts, so that what was sent was due.
    let broken_off_ns = yields.iter().filter_map(|shard| shard.broken_off_ns).max();
    for (thread, shard) in yields.into_iter().enumerate() {
        measures.add(&shard.measures);
        reasons.add(shard.reasons);
        not_opened += shard.not_opened;
        limited += shard.limited;
        retry_at_ns = retry_at_ns.max(shard.retry_at_ns);
        cpu += shard.cpu;
        cpu_share = cpu_share.max(shard.cpu_share);
        shard.statuses.iter().for_each(|(status, replies)| *statuses.entry(*status).or_default() += replies);
        gather(&mut outcomes, &shard.outcomes, &schedule, thread, threads);
    }
    if !schedule.is_closed_loop() {
        outcomes.resize(schedule.orders(), None);
    }
    let length_ns = u64::try_from(schedule.length().as_nanos()).unwrap_or(u64::MAX);
    let kept_ns = broken_off_ns.unwrap_or(length_ns);
    let first = retry::counts(&outcomes);
    let due = if schedule.is_closed_loop() {
        measures.fill_due_as_sent();
        first.sent
    } else {
        measures.fill_due(&schedule, kept_ns);
        schedule.orders_before(kept_ns) as u64
    };

    let mut retried = Retried::default();
    let followed = bodies.may_be_sent_again();
    if followed && first.failed + first.unknown > 0 && !plan.retry_for.is_zero() {
        let retry = Retry {
            bodies,
            schedule: schedule.clone(),
            target,
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
                due,
                rate: 0.0,
                statuses: statuses.clone(),
                counts,
                requests_under_way: 0,
                recent: Recent::new(),
            })
        })
        .map_err(RunError::Start)?;
        reasons.add(retried.reasons.clone());
    }

    let took_ns = kept_ns.max(measures.last_sent_ns).max(1);
    let mut result = RunResult {
        started_at: clock.unix_ns(0),
        due,
        counts: retry::counts(&outcomes),
        first,
        retried: retried.sendings,
        // Of a schedule that was broken off, and whose rate changes, the part that was kept was asked for.
        offered_per_second: if broken_off_ns.is_none() || schedule.is_level() {
            schedule.rate()
        } else {
            due as f64 / Duration::from_nanos(kept_ns.max(1)).as_secs_f64()
        },
        achieved_per_second: first.sent as f64 / Duration::from_nanos(took_ns).as_secs_f64(),
        latencies: measures.latencies,
        timer_error: measures.timer_error,
        series: measures.seconds,
        outcomes,
        rejections: reasons.rejected,
        failures: reasons.unsettled,
        connections_not_opened: not_opened,
        broken_off_after: broken_off_ns.map(Duration::from_nanos),
        statuses,
        followed,
        limited,
        cpu,
        cpu_share,
        schedule,
        reasons: Vec::new(),
    };
    result.reasons = validity::reasons(&result, &plan.limits);
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
    let mut recent = Recent::new();
    while let Err(mpsc::RecvTimeoutError::Timeout) = any_ended.recv_timeout(OBSERVE_EVERY) {
        let progress = progress(&gauges, schedule, clock, recent);
        if observe(&progress).is_break() {
            gauges.iter().for_each(|gauges| gauges.stop());
        }
        recent = progress.recent;
        recent.clear();
    }
    // What the threads have shown since, so that an observer that adds up has all of it. There is nothing left to break.
    let _ = observe(&progress(&gauges, schedule, clock, recent));
    let mut yields = Vec::new();
    for thread in threads {
        let ended = thread.join().map_err(|_| RunError::Thread)?.map_err(RunError::Start)?;
        yields.extend(ended);
    }
    if yields.len() == gauges.len() { Ok((clock, yields)) } else { Err(RunError::Thread) }
}

/// How the threads are getting on; `recent` is empty, and made before, because that takes longer than to empty it.
fn progress(gauges: &[Arc<Gauges>], schedule: &Schedule, clock: Clock, recent: Recent) -> Progress {
    let now_ns = clock.now_ns();
    let shown_ns = gauges.iter().map(|gauges| gauges.at_ns()).min().unwrap_or(now_ns);
    let mut progress = Progress {
        phase: if u128::from(now_ns) < schedule.length().as_nanos() { Phase::Schedule } else { Phase::Drain },
        started_at: clock.unix_ns(0),
        elapsed: Duration::from_nanos(now_ns),
        length: schedule.length(),
        due: schedule.orders_before(shown_ns) as u64,
        rate: schedule.rate_at(now_ns),
        statuses: BTreeMap::new(),
        counts: Counts::default(),
        requests_under_way: 0,
        recent,
    };
    for gauges in gauges {
        progress.counts.add(gauges.counts());
        progress.requests_under_way += gauges.requests_under_way();
        gauges.add_statuses(&mut progress.statuses);
        gauges.take_recent(&mut progress.recent);
    }
    if schedule.is_closed_loop() {
        progress.due = progress.counts.sent;
    }
    progress
}

/// Puts the outcomes of a thread's orders at their places among all orders, which may be behind the last one so far.
fn gather(
    all: &mut Vec<Option<Outcome>>,
    of_thread: &[Option<Outcome>],
    schedule: &Schedule,
    thread: usize,
    threads: usize,
) {
    let shard = schedule.shard(thread, threads);
    for (turn, outcomes) in of_thread.chunks(schedule.batch()).enumerate() {
        let (first, orders) = schedule.orders_of(shard.request(turn));
        if all.len() < first + orders {
            all.resize(first + orders, None);
        }
        for (place, outcome) in all.iter_mut().skip(first).take(orders).zip(outcomes) {
            *place = *outcome;
        }
    }
}

/// An observer that looks on and never breaks.
pub const fn unobserved(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
