//! The capacity curve: for each run of a search, the 99th percentiles of response and rollup over the rate.

use super::axis::Axis;
use super::canvas::{Field, Result, svg};
use super::curves::span;
use super::{Ink, Shape};
use crate::measurement::Rung;

/// Draws a dot for each run that met the objective, and a ring for each that did not; the line is at the rate that was
/// found.
pub(super) fn ladder(shape: Shape, rungs: &[Rung], found: Option<f64>) -> Result<String> {
    let (slow, fast) = span(rungs.iter().map(|rung| rung.rate));
    let x = Axis::rates(slow * 0.9, fast * 1.1);
    let runs = || rungs.iter().flat_map(|rung| rung.runs.iter().map(move |run| (rung.rate, run)));
    let of = [Ink::Blue, Ink::Purple];
    let p99 = |run: &crate::measurement::RunAtRate| [run.latency_ms.response.p99, run.latency_ms.rollup.p99];
    let (min, max) = span(runs().flat_map(|(_, run)| p99(run)));
    let y = Axis::latencies(min, max);
    svg(shape, |canvas| {
        let field = Field::of(shape);
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        if let Some(found) = found {
            let at = field.x(&x, found);
            canvas.line([(at, field.top), (at, field.bottom)], Ink::Green, 2.0)?;
        }
        for (rate, run) in runs() {
            for (ink, ms) in of.into_iter().zip(p99(run)).filter(|(_, ms)| *ms > 0.0) {
                let at = (field.x(&x, rate), field.y(&y, ms));
                canvas.dot(at, 4.5, ink)?;
                if !run.met {
                    canvas.dot(at, 1.5, Ink::Paper)?;
                }
            }
        }
        Ok(())
    })
}
