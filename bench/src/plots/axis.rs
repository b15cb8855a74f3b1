//! Axes: where a value lies between the ends, and which values are marked. Pure.

use crate::figures::{grouped, latency};

/// One axis. Values beyond an end are drawn at the end.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    scale: Scale,
    /// Marked values and their labels, rising.
    pub(super) ticks: Vec<(f64, String)>,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    Linear,
    /// By powers of ten.
    Log,
    /// By how little is left above a quantile: each step of ten is another nine.
    Nines,
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Nines => -(1.0 - value).log10(),
        }
    }
}

impl Axis {
    /// Counts from 0 to `max`, about `ticks` of them marked.
    pub(super) fn counts(max: f64, ticks: u32) -> Self {
        let max = if max.is_finite() { max.max(1.0) } else { 1.0 };
        let step = round_step(max / f64::from(ticks.max(1))).max(1.0);
        Self::linear(max, step, |value| grouped(whole(value)))
    }

    /// Amounts from 0 to `max`, marked by round steps, labelled in thousands, millions and so on.
    pub(super) fn amounts(max: f64, ticks: u32) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_step(max / f64::from(ticks.max(1)));
        Self::linear(max, step, short_amount)
    }

    /// Spans of time from 0 to `max`, in milliseconds, about `ticks` of them marked.
    pub(super) fn spans(max: f64, ticks: u32) -> Self {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_step(max / f64::from(ticks.max(1)));
        Self::linear(max, step, |ms| if ms > 0.0 { latency_label(ms) } else { "due".to_owned() })
    }

    /// Seconds of a run, labelled in seconds, or minutes if the steps are.
    pub(super) fn seconds(last: u64, ticks: u32) -> Self {
        const STEPS: [u32; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
        let last = f64::from(u32::try_from(last.max(1)).unwrap_or(u32::MAX));
        let least = last / f64::from(ticks.max(1));
        let step =
            STEPS.into_iter().map(f64::from).find(|step| *step >= least).unwrap_or_else(|| round_step(least));
        let label = |second: f64| {
            if step >= 60.0 {
                format!("{} min", whole(second / 60.0))
            } else {
                format!("{} s", whole(second))
            }
        };
        Self::linear(last, step, label)
    }

    /// Latencies on a log scale from a mark at or below `min` to one at or above `max`, both in milliseconds.
    pub(super) fn latencies(min: f64, max: f64) -> Self {
        // A microsecond is less than any clock here resolves; zeros and nonsense are drawn there.
        const LEAST: f64 = 0.001;
        Self::log(min, max, LEAST, latency_label)
    }

    /// Rates on a log scale, from a mark at or below `min` to one at or above `max`, in orders a second.
    pub(super) fn rates(min: f64, max: f64) -> Self {
        Self::log(min, max, 1.0, short_amount)
    }

    fn log(min: f64, max: f64, least: f64, label: impl Fn(f64) -> String) -> Self {
        let min = if min.is_finite() { min.max(least) } else { least };
        let max = if max.is_finite() { max.max(min) } else { min };
        let below = mark_at_most(min);
        let mut above = mark_at_most(max);
        if above < max {
            above = next_mark(above);
        }
        if above <= below {
            above = next_mark(below);
        }
        // All of 1, 2, 5 while they are few, else the powers of ten.
        let decades = (above / below).log10();
        let mut ticks = Vec::new();
        let mut mark = below;
        while mark <= above * 1.000_001 && ticks.len() < 40 {
            if decades < 2.2 || is_power_of_ten(mark) {
                ticks.push((mark, label(mark)));
            }
            mark = next_mark(mark);
        }
        Self { from: below, to: above, scale: Scale::Log, ticks }
    }

    /// Quantiles from 0 to the highest that so many values can show: 99.9 % for a thousand.
    pub(super) fn quantiles(count: f64) -> Self {
        const MARKS: [(f64, &str); 7] = [
            (0.0, "0%"),
            (0.9, "90%"),
            (0.99, "99%"),
            (0.999, "99.9%"),
            (0.9999, "99.99%"),
            (0.99999, "99.999%"),
            (0.999_999, "99.9999%"),
        ];
        let nines = count.max(10.0).log10().clamp(1.0, 6.0);
        let to = 1.0 - 10_f64.powf(-nines);
        let ticks = MARKS.into_iter().filter(|(mark, _)| *mark <= to + 1e-9);
        let ticks = ticks.map(|(mark, label)| (mark, label.to_owned())).collect();
        Self { from: 0.0, to, scale: Scale::Nines, ticks }
    }

    fn linear(to: f64, step: f64, label: impl Fn(f64) -> String) -> Self {
        let mut ticks = Vec::new();
        let mut count = 0_u32;
        while f64::from(count) * step <= to * 1.000_001 && count < 40 {
            let value = f64::from(count) * step;
            ticks.push((value, label(value)));
            count += 1;
        }
        Self { from: 0.0, to, scale: Scale::Linear, ticks }
    }

    /// Where a value lies, from 0 at the axis's start to 1 at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let [from, to, value] = [self.from, self.to, value].map(|value| self.scale.apply(value));
        let place = (value - from) / (to - from);
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }
}

/// The least of 1, 2, 5, 10, … (and their tenths and so on) that is not below `least`.
fn round_step(least: f64) -> f64 {
    let mark = mark_at_most(least);
    if mark < least * 0.999_999 { next_mark(mark) } else { mark }
}

/// Marks are 1, 2 and 5 times a power of ten.
fn mark_at_most(value: f64) -> f64 {
    let power = 10_f64.powf((value * 1.000_001).log10().floor());
    [5.0, 2.0].into_iter().map(|times| times * power).find(|mark| *mark <= value * 1.000_001).unwrap_or(power)
}

fn next_mark(mark: f64) -> f64 {
    let power = 10_f64.powf((mark * 1.000_001).log10().floor());
    let times = mark / power;
    let next = if times < 1.5 {
        2.0
    } else if times < 3.0 {
        5.0
    } else {
        10.0
    };
    next * power
}

fn is_power_of_ten(mark: f64) -> bool {
    let power = mark.log10();
    (power - power.round()).abs() < 1e-6
}

/// Marks have one digit, so that their label needs no fraction.
fn latency_label(ms: f64) -> String {
    latency(ms).replace(".00 ", " ").replace(".0 ", " ")
}

fn short_amount(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "bn"), (1e6, "m"), (1e3, "k")];
    let (size, unit) = UNITS.into_iter().find(|(size, _)| value >= *size).unwrap_or((1.0, ""));
    let text = format!("{:.2}", value / size);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Labels are of ticks, which are whole up to rounding and far below 2^63.
fn whole(value: f64) -> i64 {
    value.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn counts_are_marked_by_round_steps() {
        assert_eq!(labels(&Axis::counts(2010.0, 5)), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(labels(&Axis::counts(0.0, 5)), ["0", "1"]);
        assert_eq!(labels(&Axis::counts(f64::NAN, 5)), ["0", "1"]);
    }

    #[test]
    fn seconds_become_minutes_when_the_steps_are_minutes() {
        assert_eq!(labels(&Axis::seconds(30, 6)), ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]);
        assert_eq!(labels(&Axis::seconds(300, 6)), ["0 min", "1 min", "2 min", "3 min", "4 min", "5 min"]);
        assert_eq!(labels(&Axis::seconds(0, 6)), ["0 s", "1 s"]);
    }

    #[test]
    fn latencies_are_marked_by_1_2_5_over_few_decades_and_by_powers_of_ten_over_many() {
        assert_eq!(labels(&Axis::latencies(0.7, 18.0)), ["500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms"]);
        assert_eq!(
            labels(&Axis::latencies(0.01, 900.0)),
            ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"]
        );
        assert_eq!(labels(&Axis::latencies(1.0, 1.0)), ["1 ms", "2 ms"]);
        assert_eq!(labels(&Axis::latencies(0.0, f64::INFINITY)), ["1 µs", "2 µs"]);
    }

    #[test]
    fn rates_are_marked_like_latencies_and_written_short() {
        assert_eq!(labels(&Axis::rates(900.0, 12_000.0)), ["500", "1k", "2k", "5k", "10k", "20k"]);
    }

    #[test]
    fn each_nine_of_a_quantile_takes_the_same_room() {
        let axis = Axis::quantiles(10_000.0);
        assert_eq!(labels(&axis), ["0%", "90%", "99%", "99.9%", "99.99%"]);
        for (mark, place) in [(0.0, 0.0), (0.9, 0.25), (0.99, 0.5), (0.999, 0.75), (0.9999, 1.0), (1.0, 1.0)]
        {
            assert!((axis.place(mark) - place).abs() < 1e-6, "{mark} is not at {place}");
        }
    }

    #[test]
    fn amounts_are_short_and_values_beyond_the_ends_stay_on_the_axis() {
        let axis = Axis::amounts(4_200_000.0, 4);
        assert_eq!(labels(&axis), ["0", "2m", "4m"]);
        assert_eq!((axis.place(-1.0), axis.place(1e9), axis.place(f64::NAN)), (0.0, 1.0, 0.0));
        assert_eq!(short_amount(2500.0), "2.5k");
    }
}
