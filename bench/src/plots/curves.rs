//! Curves: the percentile spectrum, and latency and throughput over time.

use super::axis::Axis;
use super::canvas::{Canvas, Field, Point, Result, svg};
use super::{Ink, Shape};
use crate::report::Second;

/// Points of a curve over time. More than this are not told apart on a screen; see [`merge`].
const POINTS_MAX: usize = 240;

/// Draws spectra of quantile and milliseconds in lines of the given widths, the last on top.
pub(super) fn spectrum(shape: Shape, spectra: &[(Ink, f64, &[[f64; 2]])]) -> Result<String> {
    let all = || spectra.iter().flat_map(|(_, _, spectrum)| spectrum.iter().copied());
    // A histogram of n values ends in steps of 1/n; the axis ends where the last nine that n can show does.
    let last = all().map(|[quantile, _]| quantile).filter(|quantile| *quantile < 1.0).fold(0.0, f64::max);
    let x = Axis::quantiles(1.0 / (1.0 - last));
    let (min, max) = span(all().map(|[_, ms]| ms));
    let y = Axis::latencies(min, max);
    svg(shape, |canvas| {
        let field = Field::of(shape);
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        for (ink, width, spectrum) in spectra {
            let points = spectrum.iter().map(|[quantile, ms]| (field.x(&x, *quantile), field.y(&y, *ms)));
            canvas.line(points, *ink, *width)?;
        }
        Ok(())
    })
}

/// Draws the median as a line, with bands above it to the 99th percentile and to the longest.
pub(super) fn latency_over_time(shape: Shape, series: &[Second], warm_up: u64) -> Result<String> {
    let merged = merge(series);
    let x = time(series, shape);
    let latencies = merged.iter().flat_map(|point| [point.p50, point.max]).flatten();
    let (min, max) = span(latencies);
    let y = Axis::latencies(min, max);
    svg(shape, |canvas| {
        let field = Field::of(shape);
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        left_out(canvas, field, &x, warm_up)?;
        // A second without an answer is a gap, never a line across it.
        for run in merged.split(|point| point.p50.is_none()).filter(|run| !run.is_empty()) {
            let curve = |of: fn(&Merged) -> Option<f64>| -> Vec<Point> {
                let point = |merged: &Merged| Some((field.x(&x, merged.second), field.y(&y, of(merged)?)));
                run.iter().filter_map(point).collect()
            };
            let (p50, p99, longest) = (curve(|at| at.p50), curve(|at| at.p99), curve(|at| at.max));
            band(canvas, &p99, &longest, Ink::Grey, 0.35)?;
            band(canvas, &p50, &p99, Ink::Sky, 0.45)?;
            canvas.line(p99, Ink::Sky, 1.4)?;
            canvas.line(p50, Ink::Blue, 2.2)?;
        }
        Ok(())
    })
}

/// Draws what was accepted as an area, what was due as a line over it, and what was not accepted.
pub(super) fn throughput(shape: Shape, series: &[Second], warm_up: u64) -> Result<String> {
    let merged = merge(series);
    let x = time(series, shape);
    // Some air above the greatest, so that a steady line does not run along the edge.
    let y =
        Axis::counts(1.05 * merged.iter().map(|point| point.due.max(point.accepted)).fold(0.0, f64::max), 4);
    svg(shape, |canvas| {
        let field = Field::of(shape);
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        left_out(canvas, field, &x, warm_up)?;
        let curve = |of: fn(&Merged) -> f64| -> Vec<Point> {
            merged.iter().map(|at| (field.x(&x, at.second), field.y(&y, of(at)))).collect()
        };
        let accepted = curve(|at| at.accepted);
        let floor: Vec<Point> = accepted.iter().map(|(x, _)| (*x, field.bottom)).collect();
        band(canvas, &floor, &accepted, Ink::Green, 0.25)?;
        canvas.line(accepted, Ink::Green, 2.0)?;
        if merged.iter().any(|at| at.not_accepted > 0.0) {
            canvas.line(curve(|at| at.not_accepted), Ink::Orange, 2.0)?;
        }
        canvas.line(curve(|at| at.due), Ink::Text, 1.2)
    })
}

/// Shades the warm-up, which is shown and is in no percentile.
fn left_out(canvas: &Canvas, field: Field, x: &Axis, warm_up: u64) -> Result {
    if warm_up == 0 {
        return Ok(());
    }
    let right = field.x(x, warm_up as f64);
    let corners =
        [(field.left, field.bottom), (right, field.bottom), (right, field.top), (field.left, field.top)];
    canvas.area(corners, Ink::Grey, 0.22)
}

fn time(series: &[Second], shape: Shape) -> Axis {
    Axis::seconds(series.last().map_or(0, |second| second.second), shape.width / 80)
}

/// The area between two curves over the same places.
fn band(canvas: &Canvas, lower: &[Point], upper: &[Point], ink: Ink, opacity: f64) -> Result {
    canvas.area(lower.iter().chain(upper.iter().rev()).copied(), ink, opacity)
}

/// Least and greatest of what is a positive number; 1 and 1 if there is none.
pub(super) fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let positive = values.filter(|value| value.is_finite() && *value > 0.0);
    let (min, max) =
        positive.fold((f64::INFINITY, 0.0_f64), |(min, max), value| (min.min(value), max.max(value)));
    if max > 0.0 { (min, max) } else { (1.0, 1.0) }
}

/// Some seconds as one point: rates as their mean, latencies as their worst, so that no spike is smoothed away.
struct Merged {
    second: f64,
    due: f64,
    accepted: f64,
    not_accepted: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

/// How many seconds one point of a curve over time stands for.
pub(crate) fn seconds_per_point(seconds: usize) -> usize {
    seconds.div_ceil(POINTS_MAX).max(1)
}

fn merge(series: &[Second]) -> Vec<Merged> {
    let merged = series.chunks(seconds_per_point(series.len())).map(|chunk| {
        let mean = |of: fn(&Second) -> u64| chunk.iter().map(of).sum::<u64>() as f64 / chunk.len() as f64;
        let worst = |of: fn(&Second) -> Option<f64>| chunk.iter().filter_map(of).reduce(f64::max);
        Merged {
            second: chunk.first().map_or(0.0, |first| first.second as f64),
            due: mean(|at| at.due),
            accepted: mean(|at| at.accepted),
            not_accepted: mean(|at| at.not_accepted),
            p50: worst(|at| at.response_p50_ms),
            p99: worst(|at| at.response_p99_ms),
            max: worst(|at| at.response_max_ms),
        }
    });
    merged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64, p99: Option<f64>) -> Second {
        Second {
            second,
            due: 100,
            accepted: 90 + second % 2 * 10,
            not_accepted: 0,
            response_p50_ms: p99.map(|_| 1.0),
            response_p99_ms: p99,
            response_max_ms: p99.map(|p99| p99 * 2.0),
        }
    }

    #[test]
    fn a_short_run_keeps_every_second_and_a_long_one_keeps_every_spike() {
        let short: Vec<_> = (0..240).map(|at| second(at, Some(2.0))).collect();
        assert_eq!(merge(&short).len(), 240);

        let long: Vec<_> =
            (0..3600).map(|at| second(at, Some(if at == 1801 { 900.0 } else { 2.0 }))).collect();
        let merged = merge(&long);
        assert_eq!(merged.len(), 240);
        assert_eq!(merged.iter().filter(|at| at.p99 == Some(900.0)).count(), 1);
        assert!(merged.iter().all(|at| (at.accepted - 95.0).abs() < 1.0));
    }

    #[test]
    fn a_second_without_an_answer_parts_the_curve() {
        let series: Vec<_> = (0..9).map(|at| second(at, (at != 4).then_some(2.0))).collect();
        let drawn = latency_over_time(Shape { width: 400, height: 300 }, &series, 0).unwrap();
        assert_eq!(drawn.matches("<polygon").count(), 4);
        let shaded = latency_over_time(Shape { width: 400, height: 300 }, &series, 3).unwrap();
        assert_eq!(shaded.matches("<polygon").count(), 5);
    }
}
