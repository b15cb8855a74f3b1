//! The line on standard error that says each second how the run is getting on, and Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::gauges::{Phase, Progress};
use hdrhistogram::Histogram;

const EACH: Duration = Duration::from_secs(1);

/// Shows progress and counts interrupts.
pub struct Live {
    show: bool,
    /// The first ends the schedule, the second the retries.
    interrupts: Arc<AtomicUsize>,
}

impl Live {
    /// Begins to listen for Ctrl-C. The line is shown on a terminal, or wherever it is asked for.
    ///
    /// # Errors
    /// Where the signal cannot be listened for.
    pub fn start(progress: bool) -> io::Result<Self> {
        let interrupts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&interrupts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // It ends with the process. The signal is taken from now on, before the thread gets to run.
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
        Ok(Self { show: progress || io::stderr().is_terminal(), interrupts })
    }

    /// What [`crate::run::run`] calls some ten times a second.
    pub fn observer(self) -> impl FnMut(&Progress) -> ControlFlow<()> {
        let mut recent: Option<Histogram<u32>> = None;
        let mut shown_at = Duration::ZERO;
        let mut sent_before = 0;
        move |progress| {
            match &mut recent {
                Some(recent) => recent.add(&progress.recent_us).unwrap_or(()),
                None => recent = Some(progress.recent_us.clone()),
            }
            let since = progress.elapsed.saturating_sub(shown_at);
            if since >= EACH {
                if self.show {
                    let sent = progress.counts.sent.saturating_sub(sent_before) as f64;
                    let line = line(progress, sent / since.as_secs_f64(), recent.as_ref());
                    writeln!(io::stderr(), "{line}").unwrap_or(());
                }
                shown_at = progress.elapsed;
                sent_before = progress.counts.sent;
                recent = None;
            }
            let needed = if progress.phase == Phase::Retry { 2 } else { 1 };
            if self.interrupts.load(Ordering::Relaxed) >= needed {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
}

fn line(progress: &Progress, sent_per_second: f64, recent: Option<&Histogram<u32>>) -> String {
    let counts = &progress.counts;
    let elapsed = progress.elapsed.as_secs_f64();
    if progress.phase == Phase::Retry {
        return format!(
            "{elapsed:6.1} s  sending again  {} failed, {} unknown",
            counts.failed, counts.unknown
        );
    }
    let ms = |quantile| recent.map_or(0.0, |recent| recent.value_at_quantile(quantile) as f64 / 1e3);
    format!(
        "{elapsed:6.1} s of {:.1}  {:>9.0} orders/s  sent {}  backlog {}  under way {}  \
         due -> reply p50 {:.1} ms p99 {:.1} ms  not accepted {}",
        progress.length.as_secs_f64(),
        sent_per_second,
        counts.sent,
        progress.due.saturating_sub(counts.sent),
        progress.requests_under_way,
        ms(0.5),
        ms(0.99),
        counts.sent - counts.accepted,
    )
}
