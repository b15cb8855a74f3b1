//! The one file that knows `plotters`: lines, areas, bars and text at pixels with fractions, and the frame of a plot.

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, Color, DrawingArea, IntoDrawingArea, IntoTextStyle, PathElement, Polygon, RGBColor, Rectangle,
    SVGBackend, ShapeStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

use super::axis::Axis;
use super::{Ink, Shape};

/// `plotters` draws at whole pixels. Drawings are made this many times larger than they are shown, so that a curve
/// has no steps.
const SUBPIXELS: f64 = 4.0;

/// Height of the text.
const TEXT: f64 = 13.0;

/// Left free at the edges, for half a line.
const MARGIN: f64 = 1.0;

/// Why a plot could not be drawn.
#[derive(Debug, Error)]
#[error("plot could not be drawn: {0}")]
pub(crate) struct PlotError(String);

pub(super) type Result<T = ()> = std::result::Result<T, PlotError>;

/// A point in pixels from the upper left corner.
pub(super) type Point = (f64, f64);

/// Where a text stands from its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// The text ends there.
    Left,
    /// The text is centred there.
    Middle,
    /// The text begins there.
    Right,
}

/// A drawing that is being made.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// The rectangle in which data are drawn, labels around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// Makes a drawing.
pub(super) fn svg(shape: Shape, draw: impl FnOnce(&Canvas) -> Result) -> Result<String> {
    let mut svg = String::new();
    {
        let pixels = |length: u32| pixel(f64::from(length)).unsigned_abs();
        let area = SVGBackend::with_string(&mut svg, (pixels(shape.width), pixels(shape.height)))
            .into_drawing_area();
        let canvas = Canvas { area };
        draw(&canvas)?;
        canvas.area.present().map_err(failed)?;
    }
    Ok(svg)
}

impl Canvas<'_> {
    /// A line through the points.
    pub(super) fn line(&self, points: impl IntoIterator<Item = Point>, ink: Ink, width: f64) -> Result {
        let points: Vec<_> = points.into_iter().map(pixels).collect();
        self.area.draw(&PathElement::new(points, stroke(ink, width))).map_err(failed)
    }

    /// A filled area within the points.
    pub(super) fn area(&self, points: impl IntoIterator<Item = Point>, ink: Ink, opacity: f64) -> Result {
        let points: Vec<_> = points.into_iter().map(pixels).collect();
        self.area.draw(&Polygon::new(points, color(ink).mix(opacity))).map_err(failed)
    }

    /// A filled bar between two opposite corners.
    pub(super) fn bar(&self, from: Point, to: Point, ink: Ink) -> Result {
        self.area.draw(&Rectangle::new([pixels(from), pixels(to)], color(ink).filled())).map_err(failed)
    }

    /// A filled dot, with a rim of the paper's colour that sets it off from what is under it.
    pub(super) fn dot(&self, at: Point, radius: f64, ink: Ink) -> Result {
        for (radius, ink) in [(radius + 1.5, Ink::Paper), (radius, ink)] {
            self.area.draw(&Circle::new(pixels(at), pixel(radius), color(ink).filled())).map_err(failed)?;
        }
        Ok(())
    }

    /// A text, centred on its point's height.
    pub(super) fn text(&self, text: &str, at: Point, side: Side, ink: Ink) -> Result {
        let horizontal = match side {
            Side::Left => HPos::Right,
            Side::Middle => HPos::Center,
            Side::Right => HPos::Left,
        };
        // The SVG backend divides the size by 1.24.
        let font = ("sans-serif", TEXT * SUBPIXELS * 1.24).into_text_style(&self.area);
        let color = color(ink);
        let style = font.color(&color).pos(Pos::new(horizontal, VPos::Center));
        self.area.draw_text(text, &style, pixels(at)).map_err(failed)
    }

    /// Lines across the field at the marks of `axis`, their labels left of it.
    pub(super) fn rows(&self, field: Field, axis: &Axis) -> Result {
        for (value, label) in &axis.ticks {
            let y = field.y(axis, *value);
            self.line([(field.left, y), (field.right, y)], Ink::Grid, 1.0)?;
            self.text(label, (field.left - 8.0, y), Side::Left, Ink::Muted)?;
        }
        Ok(())
    }

    /// A text on paper, so that no grid line crosses it.
    pub(super) fn text_on_paper(&self, text: &str, at: Point, side: Side, ink: Ink) -> Result {
        let width = text_width(text);
        let left = match side {
            Side::Left => at.0 - width,
            Side::Middle => at.0 - width / 2.0,
            Side::Right => at.0,
        };
        self.bar((left - 4.0, at.1 - 8.0), (left + width + 4.0, at.1 + 8.0), Ink::Paper)?;
        self.text(text, at, side, ink)
    }

    /// Lines up the field at the marks of `axis`, their labels below it. A label for which there is no room beside
    /// the one before it is left out.
    pub(super) fn columns(&self, field: Field, axis: &Axis) -> Result {
        let mut taken = f64::NEG_INFINITY;
        for (value, label) in &axis.ticks {
            let x = field.x(axis, *value);
            self.line([(x, field.top), (x, field.bottom)], Ink::Grid, 1.0)?;
            let width = text_width(label);
            // A label at an edge of the drawing stands inside it.
            let (side, left) = if x < width / 2.0 {
                (Side::Right, x)
            } else if x + width / 2.0 > field.right + MARGIN {
                (Side::Left, x - width)
            } else {
                (Side::Middle, x - width / 2.0)
            };
            if left > taken {
                self.text(label, (x, field.bottom + 17.0), side, Ink::Muted)?;
                taken = left + width;
            }
        }
        Ok(())
    }
}

impl Field {
    /// A field with labels of rows left of it and labels of columns below.
    pub(super) fn of(shape: Shape) -> Self {
        let (width, height) = (f64::from(shape.width), f64::from(shape.height));
        Self { left: 62.0, top: 10.0, right: width - MARGIN, bottom: height - 32.0 }
    }

    /// A field with labels of columns alone.
    pub(super) fn without_rows(shape: Shape) -> Self {
        Self { left: MARGIN, ..Self::of(shape) }
    }

    pub(super) fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.place(value) * (self.right - self.left)
    }

    pub(super) fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.place(value) * (self.bottom - self.top)
    }
}

/// The width that a text has in a wide font; in which it will be shown is not known here.
fn text_width(text: &str) -> f64 {
    let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    f64::from(letters) * TEXT * 0.58
}

fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    color(ink).stroke_width(pixel(width).unsigned_abs())
}

fn color(ink: Ink) -> RGBColor {
    let (_, (red, green, blue), _) = ink.css();
    RGBColor(red, green, blue)
}

fn pixels((x, y): Point) -> (i32, i32) {
    (pixel(x), pixel(y))
}

/// `as` saturates, and makes 0 of what is not a number: a wrong pixel, never a wrong drawing.
fn pixel(length: f64) -> i32 {
    (length * SUBPIXELS).round() as i32
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}
