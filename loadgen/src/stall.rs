//! The test that tells honest generators from others: the server stands still for a while, and each percentile is
//! compared with what follows from arithmetic alone.
//!
//! Requests come evenly at a fixed rate for T seconds, and the server stands still for S of them. A request that was
//! due x seconds before the end of the stall has its reply when the stall ends, so a share S / T of all requests waits,
//! evenly up to S; all others wait not at all. A generator that times from the sending, or that sends no more than its
//! connections hold, reports milliseconds.

use std::fmt::{self, Display, Formatter};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::bodies::Bodies;
use crate::plan::Plan;
use crate::report::{Latency, latency_ms};
use crate::run::{RunError, RunResult, run};
use crate::void;

/// How far a figure may be from the truth: in milliseconds or as a share of it, whichever is more.
///
/// Arithmetic knows no time in which what has waited is worked off. A busy machine takes long for it, and all customers
/// then really wait longer; so a figure that is too high is one of the machine, and one that is too low a lie.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// In milliseconds.
    pub ms: f64,
    /// As a share of the truth.
    pub share: f64,
}

impl Tolerance {
    /// 20 ms or 5 %: for a machine that has nothing else to do.
    pub const USUAL: Self = Self { ms: 20.0, share: 0.05 };
}

/// A server that stands still.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Requests a second.
    pub rate: f64,
    /// How long requests come.
    pub duration: Duration,
    /// When the server begins to stand still.
    pub at: Duration,
    /// For how long. With what is due meanwhile it must be over well before the end.
    pub length: Duration,
}

/// A figure beside the truth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figure {
    /// The percentile, or `mean` or `max`.
    pub name: &'static str,
    /// What follows from arithmetic.
    pub truth_ms: f64,
    /// What was measured, from due to reply.
    pub response_ms: f64,
    /// What was measured from the sending: what tools report that do not know when a request was due.
    pub service_ms: f64,
    /// Whether response is as close to the truth as it must be.
    pub holds: bool,
}

impl Stall {
    /// Two seconds of ten, at 1,000 requests a second.
    pub const USUAL: Self = Self {
        rate: 1_000.0,
        duration: Duration::from_secs(10),
        at: Duration::from_secs(4),
        length: Duration::from_secs(2),
    };

    /// The time from due to reply that a share `quantile` of all requests does not exceed, in milliseconds.
    ///
    /// A share (S - w) / T of all waits longer than w, so the quantile q waits w = S - (1 - q) T, and not less than 0.
    pub fn truth_ms(&self, quantile: f64) -> f64 {
        let wait = self.length.as_secs_f64() - (1.0 - quantile) * self.duration.as_secs_f64();
        1e3 * wait.max(0.0)
    }

    /// The mean: a share S / T of all waits S / 2 in the mean.
    pub fn mean_ms(&self) -> f64 {
        let length = self.length.as_secs_f64();
        1e3 * length * length / (2.0 * self.duration.as_secs_f64())
    }

    /// The longest: that of the request that was due when the stall began.
    pub fn max_ms(&self) -> f64 {
        1e3 * self.length.as_secs_f64()
    }

    /// The figures of a run beside the truth.
    pub fn compare(&self, response: &Latency, service: &Latency, tolerance: Tolerance) -> Vec<Figure> {
        let figure = |name, truth_ms: f64, of: fn(&Latency) -> f64| {
            let (response_ms, service_ms) = (of(response), of(service));
            let holds = (response_ms - truth_ms).abs() <= tolerance.ms.max(tolerance.share * truth_ms);
            Figure { name, truth_ms, response_ms, service_ms, holds }
        };
        vec![
            figure("mean", self.mean_ms(), |latency| latency.mean),
            figure("p50", self.truth_ms(0.5), |latency| latency.p50),
            figure("p90", self.truth_ms(0.9), |latency| latency.p90),
            figure("p95", self.truth_ms(0.95), |latency| latency.p95),
            figure("p99", self.truth_ms(0.99), |latency| latency.p99),
            figure("p99.9", self.truth_ms(0.999), |latency| latency.p999),
            figure("max", self.max_ms(), |latency| latency.max),
        ]
    }

    /// Sends empty requests to `url`, has the server stand still by `stop`, which is called when it is to begin, and
    /// returns the result.
    ///
    /// # Errors
    /// Those of a run.
    pub fn run(&self, url: &str, stop: impl FnOnce(Duration) + Send) -> Result<RunResult, RunError> {
        let plan = Plan::new(url, self.rate, self.duration);
        thread::scope(|scope| {
            let (tell, told) = mpsc::channel::<Duration>();
            // The observer is called too seldom to time the stall, but it knows when the schedule began.
            scope.spawn(move || {
                let Some(elapsed) = told.into_iter().next() else { return };
                thread::sleep(self.at.saturating_sub(elapsed));
                stop(self.length);
            });
            run(&plan, Bodies::Same(Bytes::from_static(b"{}")), move |progress| {
                tell.send(progress.elapsed).unwrap_or(());
                ControlFlow::Continue(())
            })
        })
    }
}

/// The outcome of a self-test.
#[derive(Clone, Debug, Serialize)]
pub struct SelfTest {
    /// True if every request was sent and each figure is where it should be.
    pub holds: bool,
    /// Requests that were to be sent.
    pub requests: usize,
    /// Requests that were sent.
    pub sent: u64,
    /// Each figure beside the truth.
    pub figures: Vec<Figure>,
}

/// Runs the stall against a server of this process.
///
/// # Errors
/// Where the server cannot be started, and those of a run.
pub fn self_test(stall: &Stall, tolerance: Tolerance) -> Result<SelfTest, RunError> {
    let server = void::Server::start().map_err(RunError::Start)?;
    let result = stall.run(&format!("http://{}/", server.address), |length| server.stall(length))?;
    let [response, service] = [&result.latencies.response, &result.latencies.service].map(latency_ms);
    let figures = stall.compare(&response, &service, tolerance);
    let (requests, sent) = (result.schedule.orders(), result.counts.accepted);
    let holds = sent == requests as u64 && figures.iter().all(|figure| figure.holds);
    Ok(SelfTest { holds, requests, sent, figures })
}

impl Display for SelfTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent {} of {}", self.sent, self.requests)?;
        writeln!(f, "in ms        truth   due -> reply            sent -> reply, as others count")?;
        for Figure { name, truth_ms, response_ms, service_ms, holds } in &self.figures {
            let verdict = if *holds { "holds" } else { "WRONG" };
            writeln!(
                f,
                "  {name:<6} {truth_ms:>9.1}      {response_ms:>9.1}  {verdict}         {service_ms:>9.1}"
            )?;
        }
        writeln!(
            f,
            "{}",
            if self.holds {
                "the generator tells the truth"
            } else {
                "the generator does NOT tell the truth here; figures above it may be those of a busy machine, which \
                 takes long to work off what has waited"
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_of_the_usual_stall() {
        let truth =
            [0.5, 0.8, 0.9, 0.95, 0.99, 0.999].map(|quantile| Stall::USUAL.truth_ms(quantile).round());
        assert_eq!(truth, [0.0, 0.0, 1_000.0, 1_500.0, 1_900.0, 1_990.0]);
        assert_eq!((Stall::USUAL.mean_ms(), Stall::USUAL.max_ms()), (200.0, 2_000.0));
    }

    #[test]
    fn the_truth_is_what_a_list_of_all_requests_says() {
        let stall = Stall { rate: 777.0, duration: Duration::from_secs(7), ..Stall::USUAL };
        let (at, end) = (stall.at.as_secs_f64(), (stall.at + stall.length).as_secs_f64());
        let due = (0..777 * 7).map(|request| f64::from(request) / stall.rate);
        let mut waits: Vec<f64> =
            due.map(|due| if (at..end).contains(&due) { 1e3 * (end - due) } else { 0.0 }).collect();
        waits.sort_by(f64::total_cmp);
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((mean - stall.mean_ms()).abs() < 1.0, "{mean}");
        for percent in [50, 75, 90, 99] {
            let listed = waits[percent * waits.len() / 100];
            let truth = stall.truth_ms(percent as f64 / 100.0);
            assert!((listed - truth).abs() < 3.0, "{percent}: {listed}");
        }
    }

    #[test]
    fn a_figure_holds_within_a_twentieth_or_20_ms() {
        let with = |ms: f64| Latency {
            p50: ms,
            p90: 1e3 + ms,
            p95: 0.0,
            p99: 0.0,
            p999: 0.0,
            max: 0.0,
            mean: 0.0,
            count: 1,
        };
        let holds = |ms| {
            let figures = Stall::USUAL.compare(&with(ms), &with(0.0), Tolerance::USUAL);
            figures[1..3].iter().map(|figure| figure.holds).collect::<Vec<_>>()
        };
        assert_eq!([19.0, 49.0, 51.0].map(holds), [[true, true], [false, true], [false, false]]);
    }
}
