//! `report.html`: one file that needs no network and no script, for a phone as for a screen, by day and by night.
//!
//! Pure. Every text that comes from the report goes through `escape`, whatever it is thought to hold.

mod doctor;
mod facts;
mod ledger;
mod measurement;
mod sales;
mod table;

use crate::figures::{NONE, bytes, grouped, latency, money, rate};
use crate::measurement::Measurement;
use crate::plots::{self, Ink, Plot};
use crate::report::{LatencyMs, Report, Resources};
use crate::run::Ran;
use crate::sales::markets;
use crate::summary;

/// Writes the page.
pub fn render(report: &Report) -> String {
    let verdict = summary::verdict(report);
    let sections = [
        head(report, verdict),
        tiles(report),
        latencies(report),
        over_time_of(report),
        sales::render(report),
        ledger::render(report),
        facts::render(report),
    ];
    page(&format!("Tillflow: {verdict}, {}", report.started_at), &sections.concat())
}

/// Writes the page of a measurement, with the runs that its figures are of.
pub fn measurement(measurement: &Measurement, runs: &[&Ran]) -> String {
    measurement::render(measurement, runs)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escape(title),
        plots::style(),
        include_str!("html/page.css"),
        body,
    )
}

fn head(report: &Report, verdict: &str) -> String {
    let good = report.valid && report.ledger.balanced;
    let (class, mark) = if good { ("good", "✓") } else { ("bad", "✗") };
    let [speed, sums] = summary::lines(report).map(|line| escape(&line));
    let mut html = format!(
        "<header>\n<p class=\"kicker\">Tillflow load report · {} · <span class=\"nowrap\">{}</span></p>\n\
         <h1><span class=\"mark {class}\" aria-hidden=\"true\">{mark}</span>{}</h1>\n",
        escape(&report.way),
        escape(&report.started_at),
        escape(verdict),
    );
    if !report.reasons.is_empty() {
        let reasons: String =
            report.reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
        html += &format!("<ul class=\"reasons\">{reasons}</ul>\n");
    }
    html + &format!("<div class=\"lead\"><p>{speed}</p>\n<p>{sums}</p></div>\n</header>\n")
}

fn tiles(report: &Report) -> String {
    let response = report.latency_ms.response;
    let measured = |ms| if response.count == 0 { NONE.to_owned() } else { latency(ms) };
    let used =
        |write: fn(&Resources) -> String| report.resources.as_ref().map_or_else(|| NONE.to_owned(), write);
    let (sold, others) = sold(report);
    let tiles = [
        ("Offered", rate(report.offered_per_second), "orders/s"),
        ("Achieved", rate(report.achieved_per_second), "orders/s"),
        ("Response p50", measured(response.p50), ""),
        ("Response p99", measured(response.p99), ""),
        ("Response p99.9", measured(response.p999), ""),
        ("Orders stored", grouped(report.ledger.orders), ""),
        ("Sold", sold, others.as_str()),
        ("CPU per order", used(|used| latency(used.cpu_us_per_order / 1000.0)), ""),
        ("Memory at most", used(|used| bytes(used.memory_peak_bytes)), ""),
    ];
    let tiles: String = tiles
        .into_iter()
        .map(|(name, figure, unit)| {
            let class = if name == "Sold" { "tile broad" } else { "tile" };
            let (figure, unit) = (escape(&figure), escape(unit));
            format!("<div class=\"{class}\"><dt>{name}</dt><dd>{figure} <small>{unit}</small></dd></div>\n")
        })
        .collect();
    format!("<dl class=\"tiles\">\n{tiles}</dl>\n")
}

/// What was sold in the currency with the most orders, and a word on the others.
fn sold(report: &Report) -> (String, String) {
    let markets = markets(report);
    let Some((first, others)) = markets.split_first() else { return (NONE.to_owned(), String::new()) };
    let total = format!("{} {}", first.currency, money(first.whole.total_minor, first.digits));
    match others {
        [] => (total, String::new()),
        [other] => (total, format!("and {}", other.currency)),
        others => (total, format!("and {} other currencies", others.len())),
    }
}

fn latencies(report: &Report) -> String {
    let spectrum = figure(
        "Percentile spectrum of the response, the service and the delay",
        plots::spectrum(&report.spectra),
    );
    let hops = figure("Time from the due instant to each hop", plots::hops(report));
    format!(
        "<section>\n<h2>Latency by percentile</h2>\n\
         <p class=\"note\">Response counts from the instant an order was due, service from the instant it was sent; \
         the delay between the two is the generator's own. Each step to the right leaves a tenth as many orders \
         above the line.</p>\n{spectrum}</section>\n\
         <section class=\"pair\">\n<div>\n<h2>How far each hop is</h2>\n\
         <p class=\"note\">From the instant an order was due until it was answered, in the log, in the orders store \
         and counted in the rollups. Log scale.</p>\n{hops}</div>\n<div>\n<h2>In figures</h2>\n{}</div>\n</section>\n",
        latency_table(&report.latency_ms),
    )
}

fn latency_table(latencies: &LatencyMs) -> String {
    let rows = latencies.named().map(|(name, hop)| {
        let figures = [hop.p50, hop.p90, hop.p99, hop.p999, hop.max, hop.mean];
        let figures = figures.map(|ms| if hop.count == 0 { NONE.to_owned() } else { milliseconds(ms) });
        table::Row::new(name, figures)
    });
    table::Table::new("Milliseconds", ["", "p50", "p90", "p99", "p99.9", "max", "mean"]).rows(rows).render()
}

/// Milliseconds in a column, where a unit of their own for each would hide which is greater.
fn milliseconds(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.3}")
    } else if ms < 100.0 {
        format!("{ms:.2}")
    } else if ms < 1000.0 {
        format!("{ms:.1}")
    } else {
        grouped(ms.round() as i64)
    }
}

fn over_time_of(report: &Report) -> String {
    let seconds = plots::seconds_per_point(report.series.len());
    let merged = match seconds {
        1 => String::new(),
        _ => format!(" Each point is the worst of {seconds} seconds."),
    };
    let warm_up = match report.warm_up_seconds {
        0 => "",
        _ => " What is shaded is the warm-up, which the percentiles leave out.",
    };
    format!(
        "<section class=\"pair\">\n<div>\n<h2>Response over time</h2>\n\
         <p class=\"note\">By the second in which orders were due. Log scale.{merged}{warm_up}</p>\n{}</div>\n\
         <div>\n<h2>Throughput over time</h2>\n\
         <p class=\"note\">Orders per second that were due, and what became of them.</p>\n{}</div>\n</section>\n",
        figure("Response over time", plots::latency_over_time(report)),
        figure("Throughput over time", plots::throughput(report)),
    )
}

/// A plot in both shapes under its legend. A plot that fails must not take the page with it.
fn figure(label: &str, plot: Result<Plot, impl std::fmt::Display>) -> String {
    let plot = match plot {
        Ok(plot) if plot.legend.is_empty() => {
            return "<p class=\"note\">Nothing was recorded.</p>\n".to_owned();
        }
        Ok(plot) => plot,
        Err(error) => return format!("<p class=\"note\">{}</p>\n", escape(&error.to_string())),
    };
    let key = |(ink, name): &(Ink, String)| {
        let (variable, _, _) = ink.css();
        format!("<span class=\"key\" style=\"--ink:var({variable})\">{}</span>", escape(name))
    };
    format!(
        "<figure>\n<figcaption>{}</figcaption>\n<div class=\"wide\" role=\"img\" aria-label=\"{label}\">\n{}</div>\n\
         <div class=\"narrow\" role=\"img\" aria-label=\"{label}\">\n{}</div>\n</figure>\n",
        plot.legend.iter().map(key).collect::<String>(),
        plot.wide,
        plot.narrow,
        label = escape(label),
    )
}

/// Makes a text safe in HTML, between tags as in attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
