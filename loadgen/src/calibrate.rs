//! What the generator can do on this machine: its own ceiling, and how late it sends at each rate.
//!
//! It is measured against a server that answers everything at once, in the same process and on a thread of its own. So
//! the ceiling includes that server's share of the machine, and is what is left to the generator where target and
//! generator share a machine of this kind; it is a lower bound where they do not.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bodies::Bodies;
use crate::plan::Plan;
use crate::report::{Latency, TimerError, latency_ms};
use crate::run::{RunError, run, unobserved};
use crate::void;

/// The name and version of a calibration's form.
pub const SCHEMA: &str = "tillflow.loadgen.calibration.v1";

/// The rates at which timing is measured, in requests/s.
const RATES: [f64; 5] = [100.0, 1_000.0, 5_000.0, 20_000.0, 50_000.0];
/// The ceiling is sought from here on, doubling, and then between the last two.
const FIRST_RATE: f64 = 4_000.0;
const LAST_RATE: f64 = 4_000_000.0;
const HALVINGS: usize = 3;
/// How long before a due instant the clock is looked at, where that is tried.
const SPIN: Duration = Duration::from_micros(150);
/// It helps if the timer's 99th percentile falls to this share of what it was, and the rate is still kept.
const HELPS: f64 = 0.5;
/// The length of the body, that of an order.
const BODY: [u8; 220] = [b'x'; 220];

/// How well one rate was kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Requests a second that were asked for.
    pub rate: f64,
    /// The share of it that was sent.
    pub achieved: f64,
    /// True if the run was valid.
    pub valid: bool,
    /// How long before a due instant the clock was looked at over and over.
    pub spin_us: f64,
    /// How late the timer woke the generator, in microseconds.
    pub timer_error_us: TimerError,
    /// From due to sent, in milliseconds.
    pub delay_ms: Latency,
    /// CPU time of the generator for each request.
    pub cpu_us_per_request: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// [`SCHEMA`].
    pub schema: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// The kernel.
    pub kernel: String,
    /// Connections that were used.
    pub connections: usize,
    /// The highest rate that one thread kept with a valid run, in requests/s.
    pub ceiling_per_second: f64,
    /// Whether looking at the clock makes sending more punctual here, at 1,000 requests/s.
    pub spin_helps: bool,
    /// How long to look at the clock, if it helps.
    pub spin_us: f64,
    /// Each rate that was tried.
    pub rows: Vec<Row>,
}

/// Measures this machine; each rate takes `each`.
///
/// # Errors
/// Where the server cannot be started, and those of a run.
pub fn calibrate(
    connections: usize,
    each: Duration,
    mut told: impl FnMut(&Row),
) -> Result<Calibration, RunError> {
    let server = void::Server::start().map_err(RunError::Start)?;
    let url = format!("http://{}/", server.address);
    let mut rows = Vec::new();
    let mut at = |rate: f64, spin: Duration| {
        let row = measure(&url, rate, connections, each, spin)?;
        told(&row);
        rows.push(row.clone());
        Ok::<Row, RunError>(row)
    };
    // Connections are opened, buffers grown and caches warmed before it counts.
    measure(&url, FIRST_RATE, connections, each.min(Duration::from_secs(1)), Duration::ZERO)?;
    let mut timing = Vec::new();
    for rate in RATES {
        timing.push(at(rate, Duration::ZERO)?);
    }
    let spun = at(1_000.0, SPIN)?;
    let asleep = timing.iter().find(|row| row.rate == spun.rate);
    let spin_helps = spun.valid
        && asleep.is_some_and(|asleep| spun.timer_error_us.p99 <= HELPS * asleep.timer_error_us.p99);

    let (mut kept, mut lost) = (0.0, FIRST_RATE);
    while lost < LAST_RATE && at(lost, Duration::ZERO)?.valid {
        (kept, lost) = (lost, lost * 2.0);
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(kept, lost).round();
        if at(middle, Duration::ZERO)?.valid { kept = middle } else { lost = middle }
    }
    Ok(Calibration {
        schema: SCHEMA.to_owned(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        connections,
        ceiling_per_second: kept,
        spin_helps,
        spin_us: if spin_helps { SPIN.as_secs_f64() * 1e6 } else { 0.0 },
        rows,
    })
}

fn measure(
    url: &str,
    rate: f64,
    connections: usize,
    each: Duration,
    spin: Duration,
) -> Result<Row, RunError> {
    let mut plan = Plan::new(url, rate, each);
    (plan.connections, plan.spin) = (connections, spin);
    let result = run(&plan, Bodies::Same(Bytes::from_static(&BODY)), unobserved)?;
    Ok(Row {
        rate,
        achieved: result.achieved_per_second / result.offered_per_second,
        valid: result.valid(),
        spin_us: spin.as_secs_f64() * 1e6,
        timer_error_us: TimerError::new(&result.timer_error),
        delay_ms: latency_ms(&result.latencies.delay),
        cpu_us_per_request: result.cpu.as_secs_f64() * 1e6 / result.counts.sent.max(1) as f64,
    })
}

impl Calibration {
    /// Reads a calibration that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let calibration: Self = serde_json::from_slice(&std::fs::read(path)?)?;
        if calibration.schema == SCHEMA {
            Ok(calibration)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is {}, not {SCHEMA}", calibration.schema),
            ))
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}

/// The head of the table that rows make.
pub const HEAD: &str =
    "requests/s  achieved  timer late p50      p99      max us   delay p50      p99 ms   CPU us/request";

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (timer, delay) = (&self.timer_error_us, &self.delay_ms);
        write!(
            f,
            "{:>10.0}  {:>6.1} %  {:>14.0} {:>8.0} {:>8.0}      {:>9.3} {:>8.3}      {:>9.1}",
            self.rate,
            100.0 * self.achieved,
            timer.p50,
            timer.p99,
            timer.max,
            delay.p50,
            delay.p99,
            self.cpu_us_per_request
        )?;
        if self.spin_us > 0.0 {
            write!(f, "   looking at the clock for {:.0} us", self.spin_us)?;
        }
        if self.valid { Ok(()) } else { write!(f, "   not valid") }
    }
}

impl Display for Calibration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "one thread keeps {:.0} requests/s over {} connections, with the server on the same {} processors",
            self.ceiling_per_second, self.connections, self.processors
        )?;
        if self.spin_helps {
            writeln!(
                f,
                "looking at the clock before each instant makes it more punctual: --spin auto does so"
            )
        } else {
            writeln!(
                f,
                "looking at the clock before each instant does not make it more punctual: --spin auto sleeps"
            )
        }
    }
}
