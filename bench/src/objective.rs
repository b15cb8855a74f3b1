//! An objective: what a run must reach, as people write it: `rollup.p99 <= 1s and response.p99 <= 50ms and lag flat and
//! ledger balanced`. Pure: read from a text, and held against the figures of a run.
//!
//! Terms are joined by `and`:
//! - `HOP.FIGURE <= DURATION` or `<`, where HOP is delay, service, response, log, orders or rollup and FIGURE is p50, p90,
//!   p99, p99.9, max or mean;
//! - `errors <= PERCENT`: orders that ended rejected, failed or unknown, of those sent;
//! - `cpu <= DURATION`: processor time of the pipeline's own processes for each accepted order;
//! - `lag flat`: the orders that wait for the stores do not become more, see [`crate::lag`];
//! - `ledger balanced`.
//!
//! That the run is valid is not a term: figures of a run that is not valid meet nothing.

mod read;

use std::fmt::{self, Display, Formatter};

use crate::figures::latency;
use crate::lag::Lag;
use crate::report::{Percentiles, Report};

pub use read::ObjectiveError;

/// What a run must reach: every term.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective(Vec<Term>);

/// One condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Term {
    /// A percentile, the longest or the mean of a hop is at most, or less than, so many milliseconds.
    Latency {
        /// The histogram's name in the report.
        hop: &'static str,
        /// Which figure of it.
        figure: Figure,
        /// Whether the limit itself is still good.
        inclusive: bool,
        /// The limit in milliseconds.
        limit_ms: f64,
    },
    /// At most this share of the orders sent was not accepted.
    Errors {
        /// From 0 to 1.
        limit: f64,
    },
    /// At most so much processor time for each accepted order, in microseconds.
    Cpu {
        /// The limit in microseconds.
        limit_us: f64,
    },
    /// What waits for the stores does not become more.
    LagFlat,
    /// Everything agrees.
    LedgerBalanced,
}

/// A figure of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// The longest.
    Max,
    /// The arithmetic mean.
    Mean,
}

/// A term held against a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// The term as it is written.
    pub term: String,
    /// What the run had instead, in words.
    pub found: String,
    /// Whether it is met.
    pub met: bool,
}

impl Figure {
    const ALL: [Self; 6] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::Max, Self::Mean];

    const fn tag(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }

    const fn of(self, percentiles: &Percentiles) -> f64 {
        match self {
            Self::P50 => percentiles.p50,
            Self::P90 => percentiles.p90,
            Self::P99 => percentiles.p99,
            Self::P999 => percentiles.p999,
            Self::Max => percentiles.max,
            Self::Mean => percentiles.mean,
        }
    }
}

impl Objective {
    /// Reads an objective.
    ///
    /// # Errors
    /// What is wrong with it, and what could stand there.
    pub fn parse(text: &str) -> Result<Self, ObjectiveError> {
        read::read(text).map(Self)
    }

    /// Holds each term against a run.
    pub fn hold(&self, report: &Report, lag: &Lag) -> Vec<Held> {
        self.0.iter().map(|term| term.hold(report, lag)).collect()
    }
}

impl Term {
    fn hold(&self, report: &Report, lag: &Lag) -> Held {
        let (found, met) = match *self {
            Self::Latency { hop, figure, inclusive, limit_ms } => {
                let named = report.latency_ms.named().into_iter().find(|(name, _)| *name == hop);
                match named.map(|(_, percentiles)| percentiles).filter(|hop| hop.count > 0) {
                    None => ("not measured".to_owned(), false),
                    Some(percentiles) => {
                        let ms = figure.of(&percentiles);
                        (latency(ms), ms < limit_ms || inclusive && ms <= limit_ms)
                    }
                }
            }
            Self::Errors { limit } => {
                let ledger = &report.ledger;
                let share =
                    (ledger.sent - ledger.accepted.min(ledger.sent)) as f64 / ledger.sent.max(1) as f64;
                (percent(share), ledger.sent > 0 && share <= limit)
            }
            Self::Cpu { limit_us } => match report.resources {
                None => ("not measured".to_owned(), false),
                Some(used) => (latency(used.cpu_us_per_order / 1e3), used.cpu_us_per_order <= limit_us),
            },
            Self::LagFlat => (lag.to_string(), lag.is_flat()),
            Self::LedgerBalanced => {
                let balanced = report.ledger.balanced;
                (if balanced { "balanced" } else { "not balanced" }.to_owned(), balanced)
            }
        };
        Held { term: self.to_string(), found, met }
    }
}

impl Display for Objective {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, term) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" and ")?;
            }
            term.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Latency { hop, figure, inclusive, limit_ms } => {
                let sign = if inclusive { "<=" } else { "<" };
                write!(f, "{hop}.{} {sign} {}", figure.tag(), duration(limit_ms))
            }
            Self::Errors { limit } => write!(f, "errors <= {}", percent(limit)),
            Self::Cpu { limit_us } => write!(f, "cpu <= {}", duration(limit_us / 1e3)),
            Self::LagFlat => f.write_str("lag flat"),
            Self::LedgerBalanced => f.write_str("ledger balanced"),
        }
    }
}

/// A duration as it can be read back.
fn duration(ms: f64) -> String {
    let (value, unit) = if ms >= 1e3 {
        (ms / 1e3, "s")
    } else if ms >= 1.0 {
        (ms, "ms")
    } else {
        (ms * 1e3, "us")
    };
    format!("{}{unit}", (value * 1e6).round() / 1e6)
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 1e8).round() / 1e6)
}

#[cfg(test)]
mod tests;
