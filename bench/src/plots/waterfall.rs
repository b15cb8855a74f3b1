//! The way of an order as a waterfall: each step begins where the one before it ends, at the median.

use super::axis::Axis;
use super::canvas::{Field, Result, Side, svg};
use super::{Ink, Shape};
use crate::figures::latency;
use crate::report::LatencyMs;

/// Draws, for each step, a bar from the median of the hop before it to its own, and a thin line on to its 99th
/// percentile. The scale is linear, so that lengths are times.
pub(super) fn waterfall(shape: Shape, latencies: &LatencyMs) -> Result<String> {
    let LatencyMs { delay, response, log, orders, rollup, .. } = *latencies;
    // The reply follows the log; the stores read the log, whatever became of the reply.
    let steps = [
        ("sent", 0.0, delay),
        ("in the log", delay.p50, log),
        ("answered", log.p50, response),
        ("in the orders store", log.p50, orders),
        ("in the rollups", orders.p50, rollup),
    ];
    let measured = || steps.iter().filter(|(_, _, hop)| hop.count > 0);
    let most = measured().map(|(_, _, hop)| hop.p99).fold(0.0, f64::max);
    let x = Axis::spans(1.02 * most, shape.width / 90);
    svg(shape, |canvas| {
        let field = Field::without_rows(shape);
        canvas.columns(field, &x)?;
        let rows = u32::try_from(steps.len()).map_or(1.0, f64::from);
        let room = (field.bottom - field.top) / rows;
        for (at, (name, from, hop)) in (0_u32..).zip(&steps) {
            let text = field.top + room * f64::from(at) + room * 0.3;
            let bar = text + room * 0.36;
            canvas.text_on_paper(name, (field.left, text), Side::Right, Ink::Text)?;
            let figures = match hop.count {
                0 => "not measured".to_owned(),
                _ => format!("p50 {} · p99 {}", latency(hop.p50), latency(hop.p99)),
            };
            canvas.text_on_paper(&figures, (field.right, text), Side::Left, Ink::Muted)?;
            if hop.count > 0 {
                let [from, p50, p99] = [*from, hop.p50, hop.p99].map(|ms| field.x(&x, ms));
                let begin = from.min(p50);
                canvas.bar((p50, bar - 1.0), (p99, bar + 1.0), Ink::Sky)?;
                // A step shorter than a pixel is still there.
                canvas.bar((begin, bar - 5.0), (p50.max(begin + 1.5), bar + 5.0), Ink::Blue)?;
                canvas.bar((p99 - 0.75, bar - 4.0), (p99 + 0.75, bar + 4.0), Ink::Sky)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Percentiles;

    #[test]
    fn every_step_that_was_measured_has_a_bar_and_its_figures() {
        let hop = |p50: f64| Percentiles { p50, p99: p50 * 3.0, count: 9, ..Percentiles::default() };
        let latencies = LatencyMs {
            delay: hop(0.1),
            log: hop(2.0),
            response: hop(2.2),
            orders: hop(60.0),
            ..LatencyMs::default()
        };
        let drawn = waterfall(Shape { width: 490, height: 290 }, &latencies).unwrap();
        for text in ["in the log", "p50 60.0 ms · p99 180 ms", "not measured"] {
            assert!(drawn.contains(text), "{text}");
        }
    }
}
