//! The rate over time as people ask for it, and as the lines that it is made of.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::ScheduleError;
use super::lines::{Line, Lines};

/// Orders a second are counted in thousandths, so that slow rates such as 0.5 orders/s can be asked for.
const MILLI_MAX: u128 = 1_000 * 1_000_000_000;
/// Where the rate changes, the area below it is a product of three factors, which must fit into 127 bits.
const SLOPED_MILLI_MAX: u64 = 1_000 * 10_000_000;
const SLOPED_NS_MAX: u64 = 24 * 3_600 * 1_000_000_000;
/// A period of a sine in straight lines: the rate is then off by at most an eighth of a percent of the amplitude.
const LINES_A_PERIOD: u32 = 64;
/// Some 50 MB of lines, or a day of a sine of 5 seconds.
const LINES_MAX: usize = 1_100_000;

/// The rate of a schedule over time. Rates are orders a second.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Profile {
    /// The same rate throughout.
    Steady {
        /// Orders a second.
        rate: f64,
        /// How long.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        duration: Duration,
    },
    /// From one rate to another in a straight line.
    Ramp {
        /// The first rate.
        from: f64,
        /// The last rate.
        to: f64,
        /// How long it takes.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        duration: Duration,
    },
    /// A rate, and at the end of each interval another.
    Burst {
        /// The rate between bursts.
        rate: f64,
        /// The rate in a burst.
        burst_rate: f64,
        /// From the end of one burst to the end of the next.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        every: Duration,
        /// How long a burst is.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        burst_for: Duration,
        /// How long all of it takes.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        duration: Duration,
    },
    /// A rate that swings about its mean, from the mean upwards.
    Sine {
        /// The mean.
        mean: f64,
        /// How far it swings to each side; at most the mean.
        amplitude: f64,
        /// How long a swing up and down takes.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        period: Duration,
        /// How long all of it takes.
        #[serde(deserialize_with = "duration", serialize_with = "text")]
        duration: Duration,
    },
    /// One rate after the other.
    Steps {
        /// The steps; a rate of 0 is a pause.
        steps: Vec<Step>,
    },
    /// The gaps between the `created_at` of the orders of a file, or of a list of instants, divided by the speed.
    Replay {
        /// 2 is twice as fast as it was.
        #[serde(default = "as_it_was")]
        speed: f64,
    },
}

/// A rate for some time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Orders a second.
    pub rate: f64,
    /// How long.
    #[serde(deserialize_with = "duration", serialize_with = "text")]
    pub duration: Duration,
}

const fn as_it_was() -> f64 {
    1.0
}

/// A duration as people write it: `500ms`, `10s`, `5m`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text).map_err(serde::de::Error::custom)
}

fn text<S: serde::Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(*duration))
}

impl Profile {
    /// The lines of this profile; a replay has none, its instants come from the data.
    pub(super) fn lines(&self) -> Result<Lines, ScheduleError> {
        let lines = match self {
            Self::Steady { rate, duration } => vec![line(*rate, *rate, *duration)?],
            Self::Ramp { from, to, duration } => vec![line(*from, *to, *duration)?],
            Self::Burst { rate, burst_rate, every, burst_for, duration } => {
                let between = every.checked_sub(*burst_for).ok_or(ScheduleError::Burst)?;
                let steps = [
                    Step { rate: *rate, duration: between },
                    Step { rate: *burst_rate, duration: *burst_for },
                ];
                repeated(&steps.map(|step| (step.rate, step.rate, step.duration)), *duration)?
            }
            Self::Sine { mean, amplitude, period, duration } => {
                // Also refused where one of them is not a number.
                if !(0.0..=*mean).contains(amplitude) {
                    return Err(ScheduleError::Amplitude);
                }
                let at = |node: u32| {
                    let turn = f64::from(node) / f64::from(LINES_A_PERIOD);
                    // Not a hair below zero, where it only touches it.
                    (mean + amplitude * (std::f64::consts::TAU * turn).sin()).max(0.0)
                };
                let piece = *period / LINES_A_PERIOD;
                let pieces: Vec<_> = (0..LINES_A_PERIOD).map(|n| (at(n), at(n + 1), piece)).collect();
                repeated(&pieces, *duration)?
            }
            Self::Steps { steps } => steps
                .iter()
                .map(|step| line(step.rate, step.rate, step.duration))
                .collect::<Result<_, _>>()?,
            Self::Replay { .. } => return Err(ScheduleError::Replay),
        };
        if lines.iter().all(|line| line.from_milli == 0 && line.to_milli == 0) && !lines.is_empty() {
            return Err(ScheduleError::Rate);
        }
        Ok(Lines::new(lines))
    }
}

/// These pieces over and over, cut off at the end.
fn repeated(pieces: &[(f64, f64, Duration)], duration: Duration) -> Result<Vec<Line>, ScheduleError> {
    let mut lines = Vec::new();
    if pieces.iter().all(|(.., length)| length.is_zero()) {
        return Err(ScheduleError::Period);
    }
    let mut left = nanoseconds(duration);
    for (from, to, length) in pieces.iter().cycle() {
        if left == 0 {
            break;
        }
        let mut piece = line(*from, *to, *length)?;
        if piece.length_ns > left {
            // Where the line is cut it has the rate of that instant.
            piece.to_milli = Lines::new([piece]).milli_at(left);
            piece.length_ns = left;
        }
        left -= piece.length_ns;
        lines.push(piece);
        if lines.len() > LINES_MAX {
            return Err(ScheduleError::Period);
        }
    }
    Ok(lines)
}

fn line(from: f64, to: f64, length: Duration) -> Result<Line, ScheduleError> {
    let line = Line { from_milli: milli(from)?, to_milli: milli(to)?, length_ns: nanoseconds(length) };
    let steepest = line.from_milli.max(line.to_milli);
    if line.from_milli != line.to_milli && (steepest > SLOPED_MILLI_MAX || line.length_ns > SLOPED_NS_MAX) {
        return Err(ScheduleError::Slope);
    }
    Ok(line)
}

/// A rate in whole thousandths; 0 is a pause.
fn milli(rate: f64) -> Result<u64, ScheduleError> {
    // A Duration is the standard library's checked way from a float to an integer: it refuses what is not finite or is
    // negative, and it rounds to nine digits, of which three are kept.
    let milli = Duration::try_from_secs_f64(rate).map_err(|_| ScheduleError::Rate)?.as_millis();
    // What was meant as a rate must not become a pause by rounding.
    if milli > MILLI_MAX || (milli == 0 && rate > 0.0) {
        return Err(ScheduleError::Rate);
    }
    u64::try_from(milli).map_err(|_| ScheduleError::Rate)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
