//! The view on standard error that says each second how the run is getting on, and Ctrl-C.
//!
//! On a terminal it is a few lines that are drawn over; elsewhere, where it is asked for, a line each second.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::gauges::{Phase, Progress};
use crate::measure::Recent;
use hdrhistogram::Histogram;

const EACH: Duration = Duration::from_secs(1);
const NANOS_PER_MILLI: f64 = 1e6;
/// Back to the beginning of the view, and all below it gone.
const CLEAR_BELOW: &str = "\x1b[J";
const BAR_WIDTH: usize = 40;

/// Shows progress and counts interrupts.
pub struct Live {
    show: Show,
    /// The first ends the schedule, the second the retries.
    interrupts: Interrupts,
}

/// How often Ctrl-C was pressed since this was made. Whoever listens is told, so there may be several.
pub struct Interrupts(Arc<AtomicUsize>);

impl Interrupts {
    /// Begins to listen, to the end of the process, which Ctrl-C does not end any more.
    ///
    /// # Errors
    /// Where the signal cannot be listened for.
    pub fn listen() -> io::Result<Self> {
        let interrupts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&interrupts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The signal is taken from now on, before the thread gets to run.
        let mut interrupt = {
            let _in_runtime = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?
        };
        thread::Builder::new().name("ctrl-c".to_owned()).spawn(move || {
            runtime.block_on(async {
                while interrupt.recv().await.is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        })?;
        Ok(Self(interrupts))
    }

    /// How often, so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Nothing,
    Lines,
    View,
}

impl Live {
    /// Begins to listen for Ctrl-C. A view is shown on a terminal, and lines elsewhere if they are asked for.
    ///
    /// # Errors
    /// Where the signal cannot be listened for.
    pub fn start(progress: bool) -> io::Result<Self> {
        let interrupts = Interrupts::listen()?;
        let show = match (io::stderr().is_terminal(), progress) {
            (true, _) => Show::View,
            (false, true) => Show::Lines,
            (false, false) => Show::Nothing,
        };
        Ok(Self { show, interrupts })
    }

    /// What [`crate::run::run`] calls some ten times a second.
    pub fn observer(self) -> impl FnMut(&Progress) -> ControlFlow<()> {
        let mut second = Second::new();
        let mut drawn_lines = 0;
        move |progress| {
            if let Some(text) = second.add(progress, self.show) {
                let up =
                    if drawn_lines > 0 { format!("\x1b[{drawn_lines}F{CLEAR_BELOW}") } else { String::new() };
                // With standard error gone there is nobody left to look.
                io::stderr().write_all(format!("{up}{text}").as_bytes()).unwrap_or(());
                drawn_lines = if self.show == Show::View { text.lines().count() } else { 0 };
            }
            let needed = if progress.phase == Phase::Retry { 2 } else { 1 };
            if self.interrupts.count() >= needed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
}

/// What has been seen since it was last shown.
struct Second {
    recent: Recent,
    shown_at: Duration,
    sent_before: u64,
}

impl Second {
    fn new() -> Self {
        Self { recent: Recent::new(), shown_at: Duration::ZERO, sent_before: 0 }
    }

    /// The text to show, each second.
    fn add(&mut self, progress: &Progress, show: Show) -> Option<String> {
        if show == Show::Nothing {
            return None;
        }
        self.recent.add(&progress.recent);
        let since = progress.elapsed.saturating_sub(self.shown_at);
        if since < EACH {
            return None;
        }
        let sent = progress.counts.sent.saturating_sub(self.sent_before) as f64 / since.as_secs_f64();
        // A closed loop has service alone.
        let latency =
            if self.recent.response.is_empty() { &self.recent.service } else { &self.recent.response };
        let text =
            if show == Show::View { view(progress, sent, latency) } else { line(progress, sent, latency) };
        *self = Self { recent: Recent::new(), shown_at: progress.elapsed, sent_before: progress.counts.sent };
        Some(text)
    }
}

fn at(latency: &Histogram<u32>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / NANOS_PER_MILLI
}

fn line(progress: &Progress, sent_per_second: f64, latency: &Histogram<u32>) -> String {
    let counts = &progress.counts;
    let elapsed = progress.elapsed.as_secs_f64();
    if progress.phase == Phase::Retry {
        return format!(
            "{elapsed:6.1} s  sending again  {} failed, {} unknown\n",
            counts.failed, counts.unknown
        );
    }
    format!(
        "{elapsed:6.1} s of {:.1}  {sent_per_second:>9.0} orders/s  sent {}  backlog {}  under way {}  \
         due -> reply p50 {:.1} ms p99 {:.1} ms  not accepted {}\n",
        progress.length.as_secs_f64(),
        counts.sent,
        progress.due.saturating_sub(counts.sent),
        progress.requests_under_way,
        at(latency, 0.5),
        at(latency, 0.99),
        // The two are shown one after the other, and more may be accepted by then.
        counts.sent.saturating_sub(counts.accepted),
    )
}

#[expect(clippy::cast_sign_loss, reason = "a share of a time that has passed is not below zero")]
fn view(progress: &Progress, sent_per_second: f64, latency: &Histogram<u32>) -> String {
    if progress.phase == Phase::Retry {
        return line(progress, sent_per_second, latency);
    }
    let counts = &progress.counts;
    let (elapsed, length) = (progress.elapsed.as_secs_f64(), progress.length.as_secs_f64());
    let done = ((elapsed / length.max(f64::MIN_POSITIVE)).min(1.0) * BAR_WIDTH as f64) as usize;
    let mut text = format!(
        "[{}{}] {elapsed:.0} s of {length:.0}{}\n\
         rate       {:>10.0} asked   {sent_per_second:>10.0} orders/s achieved\n\
         lag        {:>10} orders due and not over, {} requests under way\n\
         latency    p50 {:.2}   p90 {:.2}   p99 {:.2}   max {:.2} ms in the last second\n\
         outcomes   {} accepted   {} rejected   {} failed   {} unknown\n",
        "#".repeat(done),
        " ".repeat(BAR_WIDTH - done),
        if progress.phase == Phase::Drain { ", waiting for replies" } else { "" },
        progress.rate,
        progress.due.saturating_sub(counts.sent),
        progress.requests_under_way,
        at(latency, 0.5),
        at(latency, 0.9),
        at(latency, 0.99),
        latency.max() as f64 / NANOS_PER_MILLI,
        counts.accepted,
        counts.rejected,
        counts.failed,
        counts.unknown,
    );
    text.push_str("replies  ");
    for (status, replies) in &progress.statuses {
        // Writing to a string cannot fail.
        write!(text, "  {status}: {replies}").unwrap_or(());
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Counts;
    use crate::measure::Instants;

    fn progress(elapsed_ms: u64, phase: Phase) -> Progress {
        let mut recent = Recent::new();
        recent.record(Instants { due_ns: 0, sent_ns: 1, reply_ns: 4_000_000 }, 1);
        Progress {
            started_at: 0,
            phase,
            elapsed: Duration::from_millis(elapsed_ms),
            length: Duration::from_secs(4),
            due: 30,
            rate: 10.0,
            statuses: [(202, 18), (503, 2)].into(),
            counts: Counts { sent: 20, accepted: 18, failed: 2, ..Counts::default() },
            requests_under_way: 5,
            recent,
        }
    }

    #[test]
    fn the_view_shows_rate_lag_latency_outcomes_and_statuses() {
        let text = Second::new().add(&progress(2_000, Phase::Schedule), Show::View).unwrap();
        for part in [
            "[####################                    ] 2 s of 4\n",
            "10 asked           10 orders/s achieved",
            "10 orders due and not over, 5 requests under way",
            "p50 4.00",
            "18 accepted   0 rejected   2 failed",
            "202: 18  503: 2\n",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn nothing_is_shown_more_than_once_a_second() {
        let mut second = Second::new();
        assert!(second.add(&progress(900, Phase::Schedule), Show::Lines).is_none());
        assert!(second.add(&progress(1_000, Phase::Schedule), Show::Lines).is_some());
        assert!(second.add(&progress(1_900, Phase::Schedule), Show::Lines).is_none());
        assert!(second.add(&progress(9_000, Phase::Schedule), Show::Nothing).is_none());
    }

    #[test]
    fn a_line_is_a_line_and_a_retry_says_what_is_left() {
        let line = Second::new().add(&progress(1_000, Phase::Schedule), Show::Lines).unwrap();
        assert!(line.contains("backlog 10  under way 5") && line.lines().count() == 1, "{line}");
        let retry = Second::new().add(&progress(1_000, Phase::Retry), Show::View).unwrap();
        assert!(retry.contains("2 failed, 0 unknown"), "{retry}");
    }

    #[test]
    fn orders_that_are_accepted_while_the_counts_are_read_do_no_harm() {
        let counts = Counts { sent: 20, accepted: 21, ..Counts::default() };
        let progress = Progress { counts, ..progress(1_000, Phase::Schedule) };
        let line = Second::new().add(&progress, Show::Lines).unwrap();
        assert!(line.ends_with("not accepted 0\n"), "{line}");
    }
}
