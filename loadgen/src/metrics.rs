//! The running generator as Prometheus metrics, so that a dashboard shows the load beside what it does.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::gauges::{Phase, Progress};
use crate::measure::Recent;

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const NANOS_PER_SECOND: f64 = 1e9;
/// A scraper that does not send all of its request in this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// No more of a request is read, in bytes; what a scraper sends is far shorter.
const LONGEST_REQUEST: u64 = 8 << 10;

/// What is shown, and the thread that shows it until the process ends.
pub struct Metrics {
    /// Where it listens.
    pub address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    progress: Option<Progress>,
    delay: Buckets,
    service: Buckets,
    response: Buckets,
}

/// A histogram as Prometheus has it.
#[derive(Default)]
struct Buckets {
    /// Of each bound, what is at or below it.
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Buckets {
    fn add(&mut self, histogram: &Histogram<u32>) {
        for recorded in histogram.iter_recorded() {
            let seconds = recorded.value_iterated_to() as f64 / NANOS_PER_SECOND;
            let orders = recorded.count_at_value().into();
            self.count += orders;
            self.sum_seconds += seconds * orders as f64;
            for (bound, count) in BOUNDS.iter().zip(&mut self.counts) {
                *count += if seconds <= *bound { orders } else { 0 };
            }
        }
    }
}

impl Metrics {
    /// Listens and begins to answer, at any path.
    ///
    /// # Errors
    /// Those of listening, and of starting a thread.
    pub fn serve(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shown = Arc::new(Mutex::new(Shown::default()));
        let answered = Arc::clone(&shown);
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let text = text(&answered.lock().unwrap_or_else(PoisonError::into_inner));
                // A scraper that hangs up is its own affair.
                answer(stream, &text).unwrap_or(());
            }
        })?;
        Ok(Self { address, shown })
    }

    /// Shows what an observer is told.
    pub fn observe(&self, progress: &Progress) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let Recent { delay, service, response } = &progress.recent;
        shown.delay.add(delay);
        shown.service.add(service);
        shown.response.add(response);
        shown.progress = Some(progress.clone());
    }
}

/// Reads until a deadline, however many reads it takes. There is one thread for all scrapers, and one of them that sends a
/// byte now and then must not keep it.
struct Until<'s> {
    stream: &'s TcpStream,
    deadline: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// One request a connection, whatever it asks for.
fn answer(stream: TcpStream, text: &str) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = Until { stream: &stream, deadline: Instant::now() + PATIENCE };
    let mut lines = BufReader::new(request.take(LONGEST_REQUEST)).lines();
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            break;
        }
    }
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}

/// The metrics in the text format.
fn text(shown: &Shown) -> String {
    let mut out = String::new();
    let Some(progress) = &shown.progress else { return out };
    let counts = &progress.counts;
    let phase = |phase| if progress.phase == phase { 1.0 } else { 0.0 };
    let outcomes = [
        ("accepted", counts.accepted),
        ("rejected", counts.rejected),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
    ];
    let none = String::new;
    family(
        &mut out,
        "loadgen_elapsed_seconds",
        "gauge",
        "Time since the start of the schedule.",
        [(none(), progress.elapsed.as_secs_f64())],
    );
    family(
        &mut out,
        "loadgen_phase",
        "gauge",
        "1 for what the run does at the moment.",
        [
            ("{phase=\"schedule\"}".to_owned(), phase(Phase::Schedule)),
            ("{phase=\"drain\"}".to_owned(), phase(Phase::Drain)),
            ("{phase=\"retry\"}".to_owned(), phase(Phase::Retry)),
        ],
    );
    family(
        &mut out,
        "loadgen_asked_orders_per_second",
        "gauge",
        "The rate that is asked for now.",
        [(none(), progress.rate)],
    );
    family(
        &mut out,
        "loadgen_due_orders_total",
        "counter",
        "Orders that have come due.",
        [(none(), progress.due as f64)],
    );
    family(
        &mut out,
        "loadgen_orders_total",
        "counter",
        "Orders whose request is over, by outcome.",
        outcomes.map(|(outcome, orders)| (format!("{{outcome=\"{outcome}\"}}"), orders as f64)),
    );
    family(
        &mut out,
        "loadgen_replies_total",
        "counter",
        "Replies by status.",
        progress
            .statuses
            .iter()
            .map(|(status, replies)| (format!("{{status=\"{status}\"}}"), *replies as f64)),
    );
    family(
        &mut out,
        "loadgen_requests_under_way",
        "gauge",
        "Requests sent whose reply is not there.",
        [(none(), progress.requests_under_way as f64)],
    );
    family(
        &mut out,
        "loadgen_backlog_orders",
        "gauge",
        "Orders due whose request is not over.",
        [(none(), progress.due.saturating_sub(counts.sent) as f64)],
    );
    histogram(&mut out, "loadgen_delay_seconds", "From due to sent.", &shown.delay);
    histogram(&mut out, "loadgen_service_seconds", "From sent to the end of the reply.", &shown.service);
    histogram(&mut out, "loadgen_response_seconds", "From due to the end of the reply.", &shown.response);
    out
}

fn family(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, f64)>,
) {
    // Writing to a string cannot fail.
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").unwrap_or(());
    for (labels, value) in values {
        writeln!(out, "{name}{labels} {value}").unwrap_or(());
    }
}

fn histogram(out: &mut String, name: &str, help: &str, buckets: &Buckets) {
    let Buckets { counts, count, sum_seconds } = buckets;
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram").unwrap_or(());
    for (bound, below) in BOUNDS.iter().zip(counts) {
        writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}").unwrap_or(());
    }
    writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum_seconds}\n{name}_count {count}")
        .unwrap_or(());
}

#[cfg(test)]
mod tests;
