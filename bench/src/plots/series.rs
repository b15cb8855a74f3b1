//! Several values over the seconds of a run, as a drawing that stands alone.

use super::axis::Axis;
use super::canvas::{Field, Result, Side, svg};
use super::{Ink, Shape, WIDE};

/// One line: its name, and seconds with values.
pub(crate) type Line = (String, Vec<(f64, f64)>);

const INKS: [Ink; 6] = [Ink::Blue, Ink::Orange, Ink::Green, Ink::Purple, Ink::Sky, Ink::Yellow];

/// Draws lines over time from 0 up, the title and their names above them.
pub(crate) fn over_time(title: &str, lines: &[Line]) -> Result<String> {
    let points = || lines.iter().flat_map(|(_, points)| points.iter());
    let last = points().map(|(second, _)| *second).fold(1.0, f64::max);
    let most = points().map(|(_, value)| *value).fold(1.0, f64::max);
    let shape = Shape { height: WIDE.height + 30, ..WIDE };
    // A run lasts hours at most.
    let seconds = (1..=86_400_u64).find(|second| *second as f64 >= last).unwrap_or(86_400);
    let (x, y) = (Axis::seconds(seconds, shape.width / 80), Axis::amounts(1.05 * most, 5));
    svg(shape, |canvas| {
        canvas.bar((0.0, 0.0), (f64::from(shape.width), f64::from(shape.height)), Ink::Paper)?;
        let mut field = Field::of(shape);
        field.top += 30.0;
        canvas.rows(field, &y)?;
        canvas.columns(field, &x)?;
        canvas.text(title, (field.left, 14.0), Side::Right, Ink::Text)?;
        for (at, ((name, points), ink)) in (0_u32..).zip(lines.iter().zip(INKS.into_iter().cycle())) {
            let points = points.iter().map(|(second, value)| (field.x(&x, *second), field.y(&y, *value)));
            canvas.line(points, ink, 1.8)?;
            let right = field.right - 150.0 * f64::from(at);
            canvas.text(name, (right, 14.0), Side::Left, ink)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_drawn_and_named() {
        let lines = [("ingest", 20.0), ("process", 60.0)]
            .map(|(name, value)| (name.to_owned(), vec![(0.0, value), (60.0, value + 1.0)]));
        let drawn = over_time("memory, MiB", &lines).unwrap();
        for text in ["memory, MiB", "ingest", "process"] {
            assert!(drawn.contains(text), "{text}");
        }
        assert!(drawn.matches("<polyline").count() >= 2);
    }
}
