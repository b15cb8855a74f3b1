//! The page and the text: what they say, and that nothing that a report holds can get out of its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bench::report::{Report, SCHEMA};
use bench::{html, text};
use serde_json::Value;

use crate::sample;

/// Writes a page where it can be looked at.
fn keep(name: &str, page: &str) {
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), page).unwrap();
}

#[test]
fn the_page_of_a_valid_run_says_so_and_has_its_figures_to_the_cent() {
    let report = sample::valid();
    let page = html::render(&report);
    keep("report-valid.html", &page);
    keep("report-valid.json", &report.to_json().unwrap());
    let total: i128 = report.sales.iter().map(|sale| sale.total_minor).sum();
    let total = format!("USD {}", bench::figures::money(total, 2));
    for part in [
        "Valid run, ledger balanced",
        &total,
        "44.3 µs",
        "99.99%",
        "source_unknown",
        "AMD Ryzen 7",
        "tsc",
        "powersave",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    assert_eq!(page.matches("<svg").count(), 10);
    assert!(!page.contains("could not be drawn"));
}

#[test]
fn the_page_of_an_invalid_run_gives_every_reason_and_difference() {
    let report = sample::invalid();
    let page = html::render(&report);
    keep("report-invalid.html", &page);
    assert!(page.contains("Invalid run, ledger not balanced"));
    for part in report.reasons.iter().chain(&report.ledger.differences) {
        assert!(
            page.contains(&part.replace('<', "&lt;").replace('\'', "&#39;")),
            "{part} is not on the page"
        );
    }
}

#[test]
fn the_page_needs_no_network_and_no_script() {
    let page = html::render(&sample::valid());
    for part in ["<script", "<link", "@import", "url(", "src=", "href="] {
        assert!(!page.contains(part), "{part} is on the page");
    }
    let addresses: BTreeSet<&str> = page.split('"').filter(|text| text.contains("://")).collect();
    assert_eq!(addresses, BTreeSet::from(["http://www.w3.org/2000/svg"]), "only the SVG's own namespace");
}

#[test]
fn every_colour_of_a_plot_has_its_counterpart_in_the_dark() {
    let page = html::render(&sample::invalid());
    for property in ["fill", "stroke"] {
        for attribute in page.split(&format!(" {property}=\"")).skip(1) {
            let color = attribute.split('"').next().unwrap();
            let rule = format!("svg [{property}=\"{color}\"]{{{property}:var(--");
            assert!(color == "none" || page.contains(&rule), "{property} {color} has no rule");
        }
    }
}

#[test]
fn markup_in_a_report_stays_text() {
    // Every string of the report, keys of its maps included, becomes markup.
    fn poison(value: Value, path: &str) -> Value {
        const POISON: &str = "<script>alert(\"1\")</script>&'\u{1b}[31m";
        match value {
            // These are not free: a reader takes no others.
            Value::String(text) if text == SCHEMA || path == "level" => Value::String(text),
            Value::String(_) => Value::String(POISON.to_owned()),
            Value::Array(items) => items.into_iter().map(|item| poison(item, path)).collect(),
            Value::Object(entries) => {
                let free = ["config", "services", "rejections", "currencies"].contains(&path);
                let key = |key: String| if free { format!("{POISON}{key}") } else { key };
                entries.into_iter().map(|(name, item)| (key(name.clone()), poison(item, &name))).collect()
            }
            other => other,
        }
    }
    for report in [sample::valid(), sample::invalid()] {
        let json = poison(serde_json::to_value(report).unwrap(), "");
        let report: Report = serde_json::from_value(json).unwrap();
        let page = html::render(&report);
        assert!(!page.contains("<script") && !page.contains("alert(\""));
        assert!(page.contains("&lt;script&gt;"));
        assert!(!text::render(&report).contains('\u{1b}'), "a terminal would obey it");
    }
}

#[test]
fn a_report_of_nothing_still_has_a_page_and_a_text() {
    let mut report = sample::invalid();
    report.latency_ms = Default::default();
    report.ledger = Default::default();
    (report.offered_per_second, report.achieved_per_second) = (f64::NAN, f64::NAN);
    report.spectra.clear();
    report.series.clear();
    report.sales.clear();
    report.rejections.clear();
    report.config.clear();
    let page = html::render(&report);
    keep("report-empty.html", &page);
    assert!(page.contains("The rollups hold no sales.") && !page.contains("could not be drawn"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
    assert!(!text::render(&report).contains("NaN"));
}

#[test]
fn the_text_has_the_verdict_the_latencies_and_the_ledger_in_aligned_columns() {
    let text = text::render(&sample::valid());
    keep("report-valid.txt", &text);
    keep("report-invalid.txt", &text::render(&sample::invalid()));
    assert!(text.starts_with("Tillflow load report: Valid run, ledger balanced\n"));
    let table: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("latency, ms")).take(7).collect();
    let widths: BTreeSet<usize> = table.iter().map(|line| line.chars().count()).collect();
    assert_eq!(widths.len(), 1, "columns are not aligned:\n{}", table.join("\n"));
    assert!(text.contains("log 119,") && text.contains("In Store"));
}
