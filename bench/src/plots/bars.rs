//! Bars: how far each hop is from the due instant, and sales by channel and state.

use super::axis::Axis;
use super::canvas::{Field, Result, Side, svg};
use super::{Ink, Shape};
use crate::figures::{latency, money};
use crate::report::Percentiles;
use crate::sales::Market;

/// Draws, for each hop, a bar from the median to the 99th percentile and a thin one on to the longest.
///
/// The scale is logarithmic, so that a hop of a millisecond and one of a second both have a bar; its length is
/// therefore a ratio, and the figures stand above it.
pub(super) fn hops(shape: Shape, hops: &[(&str, Percentiles)]) -> Result<String> {
    let measured = || hops.iter().filter(|(_, hop)| hop.count > 0);
    let min = measured().map(|(_, hop)| hop.p50).fold(f64::INFINITY, f64::min);
    let max = measured().map(|(_, hop)| hop.max).fold(0.0, f64::max);
    let x = if min.is_finite() { Axis::latencies(min, max) } else { Axis::latencies(1.0, 10.0) };
    svg(shape, |canvas| {
        let field = Field::without_rows(shape);
        canvas.columns(field, &x)?;
        let room = (field.bottom - field.top) / counted(hops.len().max(1));
        for (at, (name, hop)) in hops.iter().enumerate() {
            let text = field.top + room * counted(at) + room * 0.3;
            let bar = text + room * 0.38;
            canvas.text_on_paper(name, (field.left, text), Side::Right, Ink::Text)?;
            let figures = if hop.count == 0 {
                "not measured".to_owned()
            } else {
                format!("p50 {} · p99 {}", latency(hop.p50), latency(hop.p99))
            };
            canvas.text_on_paper(&figures, (field.right, text), Side::Left, Ink::Muted)?;
            if hop.count > 0 {
                let [p50, p99, longest] = [hop.p50, hop.p99, hop.max].map(|ms| field.x(&x, ms));
                canvas.bar((p99, bar - 1.0), (longest, bar + 1.0), Ink::Grey)?;
                canvas.bar((p50, bar - 3.5), (p99, bar + 3.5), Ink::Blue)?;
                canvas.dot((p99, bar), 5.0, Ink::Blue)?;
                canvas.dot((p50, bar), 5.0, Ink::Blue)?;
            }
        }
        Ok(())
    })
}

/// One part of the stacked bars.
pub(super) struct Part<'a> {
    pub(super) ink: Ink,
    pub(super) name: String,
    states: Vec<&'a str>,
}

/// The states with the most sales, one part each, and one part for all the others.
pub(super) fn parts<'a>(market: &Market<'a>) -> Vec<Part<'a>> {
    let names: Vec<&str> = market.states.iter().map(|state| state.name).collect();
    let (own, others) = names.split_at_checked(Ink::PARTS.len()).unwrap_or((&names, &[]));
    let own = own.iter().zip(Ink::PARTS).map(|(name, ink)| Part {
        ink,
        name: (*name).to_owned(),
        states: vec![*name],
    });
    let name = match others {
        [single] => (*single).to_owned(),
        _ => format!("{} others", others.len()),
    };
    let others = (!others.is_empty()).then(|| Part { ink: Ink::Grey, name, states: others.to_vec() });
    own.chain(others).collect()
}

/// Height of a channel: its name, its bar, and air.
const SALES_ROW: u32 = 52;

/// Height of the drawing: a row for each channel, and the axis.
pub(super) fn sales_height(market: &Market<'_>) -> u32 {
    let rows = u32::try_from(market.sources.len()).unwrap_or(u32::MAX).clamp(1, 40);
    42 + rows * SALES_ROW
}

/// Draws a bar of money for each channel, parted by state.
pub(super) fn sales(shape: Shape, market: &Market<'_>, parts: &[Part]) -> Result<String> {
    let max = market.sources.iter().map(|source| source.total_minor).max().unwrap_or(0);
    let unit = 10_f64.powi(i32::try_from(market.digits).unwrap_or(0));
    let x = Axis::amounts(amount(max) / unit, shape.width / 90);
    svg(shape, |canvas| {
        let field = Field::without_rows(shape);
        canvas.columns(field, &x)?;
        for (at, source) in market.sources.iter().enumerate() {
            let top = field.top + f64::from(SALES_ROW) * counted(at);
            let text = top + 10.0;
            canvas.text_on_paper(&short(source.name), (field.left, text), Side::Right, Ink::Text)?;
            let total = format!("{} {}", market.currency, money(source.total_minor, market.digits));
            canvas.text_on_paper(&total, (field.right, text), Side::Left, Ink::Muted)?;
            let mut sum = 0;
            for part in parts {
                let before = field.x(&x, amount(sum) / unit);
                sum += market.total(source.name, &part.states);
                let after = field.x(&x, amount(sum) / unit);
                // A pixel of paper parts neighbours, where there is room for it.
                let gap = if after - before > 3.0 { 1.0 } else { 0.0 };
                if after > before {
                    canvas.bar((before, text + 13.0), (after - gap, text + 30.0), part.ink)?;
                }
            }
        }
        Ok(())
    })
}

/// A name as long as there is room for beside its total.
fn short(name: &str) -> String {
    const LENGTH_MAX: usize = 18;
    if name.chars().count() <= LENGTH_MAX {
        return name.to_owned();
    }
    name.chars().take(LENGTH_MAX - 1).chain(['…']).collect()
}

/// Lengths of bars, not sums: they may be rounded.
fn amount(minor: i128) -> f64 {
    minor as f64
}

fn counted(rows: usize) -> f64 {
    rows as f64
}
