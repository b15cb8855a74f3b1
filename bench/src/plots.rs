//! The plots of the page as inline SVG: what is drawn, in which colours, and how large.
//!
//! `plotters` writes the SVG. Colours are those of the light palette; [`style`] gives the CSS rules that replace each
//! of them in the dark, so that one drawing serves both. Every plot is drawn in two shapes, one of which the page
//! shows, because text that shrinks with a wide drawing cannot be read on a phone.

mod axis;
mod bars;
mod canvas;
mod curves;
mod heat;
mod ladder;
mod series;
mod waterfall;

use std::collections::BTreeMap;

use canvas::PlotError;
pub(crate) use curves::seconds_per_point;
pub(crate) use heat::Heat;
pub(crate) use series::{Line, over_time};

use crate::measurement::Capacity;
use crate::report::{LatencyMs, Report, Spectrum};
use crate::sales::Market;

/// Red, green and blue.
type Rgb = (u8, u8, u8);

/// Every colour of a plot. The hues are Okabe and Ito's, told apart by the colour-blind, lightened for the dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    Grid,
    Paper,
    Blue,
    Orange,
    Green,
    Purple,
    Sky,
    Yellow,
    Grey,
}

impl Ink {
    const ALL: [Self; 11] = [
        Self::Text,
        Self::Muted,
        Self::Grid,
        Self::Paper,
        Self::Blue,
        Self::Orange,
        Self::Green,
        Self::Purple,
        Self::Sky,
        Self::Yellow,
        Self::Grey,
    ];

    /// Inks of stacked parts, the greatest part first; what has no ink of its own is grey.
    const PARTS: [Self; 6] = [Self::Blue, Self::Yellow, Self::Green, Self::Purple, Self::Sky, Self::Orange];

    /// Name of the CSS variable, and the colour in the light and in the dark.
    pub(crate) const fn css(self) -> (&'static str, Rgb, Rgb) {
        match self {
            Self::Text => ("--text", (0x1B, 0x1E, 0x23), (0xE8, 0xEA, 0xED)),
            Self::Muted => ("--muted", (0x5B, 0x63, 0x6E), (0x9C, 0xA5, 0xB1)),
            Self::Grid => ("--grid", (0xE4, 0xE6, 0xEA), (0x2C, 0x31, 0x39)),
            Self::Paper => ("--paper", (0xFF, 0xFF, 0xFF), (0x17, 0x1A, 0x1F)),
            Self::Blue => ("--blue", (0x00, 0x72, 0xB2), (0x4D, 0xAB, 0xE8)),
            Self::Orange => ("--orange", (0xD5, 0x5E, 0x00), (0xFF, 0x8B, 0x47)),
            Self::Green => ("--green", (0x00, 0x9E, 0x73), (0x2F, 0xC7, 0x9C)),
            Self::Purple => ("--purple", (0xCC, 0x79, 0xA7), (0xE4, 0x9C, 0xC6)),
            Self::Sky => ("--sky", (0x56, 0xB4, 0xE9), (0x8F, 0xD0, 0xF5)),
            Self::Yellow => ("--yellow", (0xE6, 0x9F, 0x00), (0xF4, 0xBE, 0x4A)),
            Self::Grey => ("--grey", (0xA9, 0xAF, 0xB8), (0x6A, 0x72, 0x7E)),
        }
    }
}

/// The CSS variables of all inks, and the rules by which plots follow them.
pub(crate) fn style() -> String {
    let hex = |(red, green, blue): Rgb| format!("#{red:02X}{green:02X}{blue:02X}");
    let (mut light, mut dark, mut rules) = (String::new(), String::new(), String::new());
    for (name, by_day, by_night) in Ink::ALL.map(Ink::css) {
        light += &format!("{name}:{};", hex(by_day));
        dark += &format!("{name}:{};", hex(by_night));
        for property in ["fill", "stroke"] {
            rules += &format!("svg [{property}=\"{}\"]{{{property}:var({name})}}\n", hex(by_day));
        }
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}")
}

/// The size of a drawing, in the pixels in which its text is 13 high.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Across the page.
const WIDE: Shape = Shape { width: 1000, height: 340 };
/// Half the page, two beside each other.
const HALF: Shape = Shape { width: 490, height: 290 };
/// A phone.
const NARROW: Shape = Shape { width: 380, height: 270 };

/// A plot in both shapes, and what its colours mean.
pub(crate) struct Plot {
    /// SVG for a screen.
    pub(crate) wide: String,
    /// SVG for a phone.
    pub(crate) narrow: String,
    /// Ink and name of each thing drawn.
    pub(crate) legend: Vec<(Ink, String)>,
}

impl Plot {
    fn draw(
        legend: Vec<(Ink, String)>,
        wide: Shape,
        narrow: Shape,
        draw: impl Fn(Shape) -> Result<String, PlotError>,
    ) -> Result<Self, PlotError> {
        Ok(Self { wide: draw(wide)?, narrow: draw(narrow)?, legend })
    }
}

type Drawn = Result<Plot, PlotError>;

fn legend<const N: usize>(entries: [(Ink, &str); N]) -> Vec<(Ink, String)> {
    entries.map(|(ink, name)| (ink, name.to_owned())).to_vec()
}

/// The percentile spectra of response, rollup, service and delay.
pub(crate) fn spectrum(spectra: &BTreeMap<String, Spectrum>) -> Drawn {
    // Where nothing was sent late, service and response are one curve: the thinner is drawn over the thicker.
    let lines = [
        (Ink::Purple, 2.0, "rollup"),
        (Ink::Grey, 2.0, "delay"),
        (Ink::Blue, 3.6, "response"),
        (Ink::Yellow, 1.4, "service"),
    ];
    let mut legend = legend([
        (Ink::Blue, "response"),
        (Ink::Yellow, "service"),
        (Ink::Grey, "delay"),
        (Ink::Purple, "rollup"),
    ]);
    legend.retain(|(_, name)| spectra.contains_key(name));
    Plot::draw(legend, WIDE, NARROW, |shape| {
        let lines =
            lines.map(|(ink, width, name)| (ink, width, spectra.get(name).map_or(&[][..], Vec::as_slice)));
        curves::spectrum(shape, &lines)
    })
}

/// When an order is where, counted from the instant at which it was due.
pub(crate) fn hops(report: &Report) -> Drawn {
    let latency = &report.latency_ms;
    let hops = [
        ("reply", latency.response),
        ("log", latency.log),
        ("orders", latency.orders),
        ("rollup", latency.rollup),
    ];
    let legend = legend([(Ink::Blue, "p50 to p99"), (Ink::Grey, "to the longest")]);
    Plot::draw(legend, HALF, NARROW, |shape| bars::hops(shape, &hops))
}

/// The way of an order, step by step.
pub(crate) fn waterfall(latencies: &LatencyMs) -> Drawn {
    let legend = legend([(Ink::Blue, "half of the orders"), (Ink::Sky, "on to 99 of 100")]);
    Plot::draw(legend, HALF, NARROW, |shape| waterfall::waterfall(shape, latencies))
}

/// How a latency was spread, over time.
pub(crate) fn heat(heat: &Heat) -> Drawn {
    let legend = legend([(Ink::Blue, "share of the orders"), (Ink::Orange, "p99")]);
    Plot::draw(legend, HALF, NARROW, |shape| heat::heat(shape, heat))
}

/// The 99th percentiles of all runs of a search, over the rate.
pub(crate) fn ladder(capacity: &Capacity) -> Drawn {
    let mut legend =
        legend([(Ink::Blue, "response p99"), (Ink::Purple, "rollup p99"), (Ink::Green, "capacity")]);
    legend.retain(|(ink, _)| *ink != Ink::Green || capacity.found.rate.is_some());
    Plot::draw(legend, WIDE, NARROW, |shape| ladder::ladder(shape, &capacity.rungs, capacity.found.rate))
}

/// Median, 99th percentile and longest response of each second.
pub(crate) fn latency_over_time(report: &Report) -> Drawn {
    let legend = legend([(Ink::Blue, "p50"), (Ink::Sky, "p99"), (Ink::Grey, "longest")]);
    Plot::draw(legend, HALF, NARROW, |shape| {
        curves::latency_over_time(shape, &report.series, report.warm_up_seconds)
    })
}

/// Orders due, accepted and not accepted, each second.
pub(crate) fn throughput(report: &Report) -> Drawn {
    let legend = legend([(Ink::Text, "due"), (Ink::Green, "accepted"), (Ink::Orange, "not accepted")]);
    Plot::draw(legend, HALF, NARROW, |shape| {
        curves::throughput(shape, &report.series, report.warm_up_seconds)
    })
}

/// Sales by channel, each bar parted by state.
pub(crate) fn sales(market: &Market<'_>) -> Drawn {
    let parts = bars::parts(market);
    let height = bars::sales_height(market);
    let legend = parts.iter().map(|part| (part.ink, part.name.clone())).collect();
    let (wide, narrow) = (Shape { height, ..HALF }, Shape { height, ..NARROW });
    Plot::draw(legend, wide, narrow, |shape| bars::sales(shape, market, &parts))
}
