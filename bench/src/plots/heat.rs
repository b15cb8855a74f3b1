//! A heat map of a latency over time: a column for some seconds, a row for each fifth of a decade, as dark as the share of
//! the column's orders that took so long.

use hdrhistogram::Histogram;

use super::axis::Axis;
use super::canvas::{Field, Result, svg};
use super::{Ink, Shape};

/// Rows a decade.
const ROWS: f64 = 6.0;
/// A share below this would not be seen.
const FAINTEST: f64 = 0.06;

/// What is drawn: orders by row of each column, and the 99th percentile there.
pub(crate) struct Heat {
    columns: Vec<Column>,
    /// Seconds a column.
    step: u64,
}

struct Column {
    second: u64,
    /// Orders by row, the row's number being a sixth of the logarithm of milliseconds.
    rows: Vec<(i32, u64)>,
    orders: u64,
    p99_ms: f64,
}

impl Heat {
    /// Sorts the seconds of a latency, in nanoseconds, into at most `columns_max` columns.
    pub(crate) fn of<'h>(
        seconds: impl Iterator<Item = (u64, &'h Histogram<u64>)>,
        columns_max: u64,
    ) -> Option<Self> {
        let seconds: Vec<_> = seconds.filter(|(_, histogram)| !histogram.is_empty()).collect();
        let (first, last) = (seconds.first()?.0, seconds.last()?.0);
        let step = (last - first + 1).div_ceil(columns_max).max(1);
        let mut columns: Vec<Column> = Vec::new();
        for chunk in seconds.chunk_by(|a, b| (a.0 - first) / step == (b.0 - first) / step) {
            let mut whole = crate::logs::empty();
            for (_, histogram) in chunk {
                // It grows as needed.
                let added = whole.add(*histogram);
                debug_assert!(added.is_ok());
            }
            let mut rows = std::collections::BTreeMap::<i32, u64>::new();
            for value in whole.iter_recorded() {
                *rows.entry(row(value.value_iterated_to())).or_default() += value.count_at_value();
            }
            columns.push(Column {
                second: first + (chunk.first()?.0 - first) / step * step,
                rows: rows.into_iter().collect(),
                orders: whole.len(),
                p99_ms: whole.value_at_quantile(0.99) as f64 / 1e6,
            });
        }
        Some(Self { columns, step })
    }
}

/// The row of a latency in nanoseconds.
fn row(nanos: u64) -> i32 {
    ((nanos.max(1) as f64 / 1e6).log10() * ROWS).floor() as i32
}

fn edge_ms(row: i32) -> f64 {
    10_f64.powf(f64::from(row) / ROWS)
}

/// Draws it, with the 99th percentile as a line.
pub(super) fn heat(shape: Shape, heat: &Heat) -> Result<String> {
    let rows = || heat.columns.iter().flat_map(|column| column.rows.iter().map(|(row, _)| *row));
    let (low, high) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    let y = Axis::latencies(edge_ms(low), edge_ms(high + 1));
    let last = heat.columns.last().map_or(0, |column| column.second) + heat.step;
    let x = Axis::seconds(last, shape.width / 80);
    svg(shape, |canvas| {
        let field = Field::of(shape);
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        for column in &heat.columns {
            let [left, right] =
                [column.second, column.second + heat.step].map(|second| field.x(&x, second as f64));
            for (row, orders) in &column.rows {
                let share = *orders as f64 / column.orders.max(1) as f64;
                let [bottom, top] = [edge_ms(*row), edge_ms(row + 1)].map(|ms| field.y(&y, ms));
                let cell = [(left, bottom), (right, bottom), (right, top), (left, top)];
                canvas.area(cell, Ink::Blue, share.sqrt().max(FAINTEST))?;
            }
        }
        let middle = heat.step as f64 / 2.0;
        let line =
            heat.columns.iter().map(|at| (field.x(&x, at.second as f64 + middle), field.y(&y, at.p99_ms)));
        canvas.line(line, Ink::Orange, 1.6)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_merged_into_columns_and_latencies_sorted_into_rows() {
        let mut histogram = crate::logs::empty();
        histogram.record_n(1_500_000, 99).unwrap();
        histogram.record_n(200_000_000, 1).unwrap();
        let seconds: Vec<_> = (5..105_u64).map(|second| (second, &histogram)).collect();
        let map = Heat::of(seconds.into_iter(), 50).unwrap();
        assert_eq!((map.columns.len(), map.step, map.columns[49].second), (50, 2, 103));
        assert_eq!((map.columns[0].orders, map.columns[0].rows.as_slice()), (200, &[(1, 198), (13, 2)][..]));
        let drawn = heat(Shape { width: 490, height: 290 }, &map).unwrap();
        assert_eq!(drawn.matches("<polygon").count(), 100);
        assert!(Heat::of(std::iter::empty(), 50).is_none());
    }
}
