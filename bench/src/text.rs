//! The report as text for a terminal: no colours, no wider than 100 columns but for what a report itself says.

use crate::doctor::Level;
use crate::figures::{NONE, bytes, grouped, latency, money, rate, share, three_digits};
use crate::measurement::Measurement;
use crate::report::{LatencyMs, Percentiles, Report, Resources};
use crate::sales::markets;
use crate::summary;

/// Writes the report as text.
pub fn render(report: &Report) -> String {
    let mut text = head(report);
    for section in
        [latency_rows(&report.latency_ms), ledger(report), sales(report), resources(report), facts(report)]
    {
        text.push('\n');
        text.push_str(&section);
    }
    // Names come from data, and a terminal obeys control characters.
    text.chars().filter(|&char| char == '\n' || !char.is_control()).collect()
}

fn head(report: &Report) -> String {
    let mut text = format!("Tillflow load report: {}\n", summary::verdict(report));
    for reason in &report.reasons {
        text += &format!("  not valid: {reason}\n");
    }
    for line in summary::lines(report) {
        text += &format!("{line}\n");
    }
    text
}

fn latency_rows(latencies: &LatencyMs) -> String {
    let mut rows = vec![cells(["latency, ms", "count", "p50", "p90", "p99", "p99.9", "max", "mean"])];
    rows.extend(latencies.named().into_iter().map(|(name, percentiles)| latency_row(name, percentiles)));
    table(&rows)
}

fn latency_row(name: &str, percentiles: Percentiles) -> Vec<String> {
    let Percentiles { p50, p90, p99, p999, max, mean, count } = percentiles;
    let mut row = vec![name.to_owned(), grouped(count)];
    row.extend(
        [p50, p90, p99, p999, max, mean]
            .map(|ms| if count == 0 { NONE.to_owned() } else { format!("{ms:.3}") }),
    );
    row
}

fn ledger(report: &Report) -> String {
    let ledger = &report.ledger;
    let mut text = format!(
        "ledger{}\n  sent {} = accepted {} + rejected {} + failed {} + unknown {} (sent again: {})\n  \
         log {} = orders {} + duplicates {} + dead {}\n",
        if ledger.balanced { ", balanced" } else { ", NOT BALANCED" },
        grouped(ledger.sent),
        grouped(ledger.accepted),
        grouped(ledger.rejected),
        grouped(ledger.failed),
        grouped(ledger.unknown),
        grouped(ledger.retried),
        grouped(ledger.log),
        grouped(ledger.orders),
        grouped(ledger.duplicates),
        grouped(ledger.dead),
    );
    let unit = summary::unit(report);
    let counts = [ledger.accepted, ledger.orders, ledger.rollup_orders].map(grouped);
    let quantity = ledger.quantity.map(|sums| [sums.accepted, sums.orders, sums.rollup].map(grouped));
    let total = ledger
        .total_minor
        .map(|sums| [sums.accepted, sums.orders, sums.rollup].map(|minor| unit.figure(minor)));
    let mut rows = vec![cells(["", "accepted", "orders", "rollups"]), named("  orders", counts)];
    rows.extend(quantity.map(|quantity| named("  quantity", quantity)));
    rows.extend(total.map(|total| named(&format!("  total, {}", unit.name), total)));
    text += &table(&rows);
    for difference in &ledger.differences {
        text += &format!("  difference: {difference}\n");
    }
    for (tag, count) in &report.rejections {
        text += &format!("  rejected, {tag}: {}\n", grouped(*count));
    }
    if let Some(check) = report.check {
        let word = if check.expected == check.found { "as known" } else { "NOT as known" };
        text += &format!("  the data set's sums are {word}\n");
    }
    text
}

fn sales(report: &Report) -> String {
    let mut text = String::new();
    for market in markets(report) {
        let mut rows = vec![cells(["sales", "orders", "quantity", market.currency, "share"])];
        for group in market.sources.iter().chain([&market.whole]) {
            let mut row = named(group.name, [grouped(group.orders), grouped(group.quantity)]);
            row.push(money(group.total_minor, market.digits));
            row.push(share(group.total_minor, market.whole.total_minor));
            rows.push(row);
        }
        text += &table(&rows);
    }
    text
}

fn resources(report: &Report) -> String {
    let line = |name: &str, used: &Resources| {
        format!(
            "{name}: {} CPU ({} per order), memory {} at most, {} at the end\n",
            latency(used.cpu_seconds * 1000.0),
            latency(used.cpu_us_per_order / 1000.0),
            bytes(used.memory_peak_bytes),
            bytes(used.memory_last_bytes),
        )
    };
    let Some(used) = &report.resources else {
        return "pipeline: CPU and memory were not measured\n".to_owned();
    };
    let parts = report.processes.iter().filter(|_| report.processes.len() > 1);
    line("pipeline", used)
        + &parts.map(|(name, used)| line(&format!("  {name:<7}"), used)).collect::<String>()
}

fn facts(report: &Report) -> String {
    let machine = &report.machine;
    let spoilt = report.doctor.iter().filter(|finding| finding.level == Level::Spoils);
    let spoilt: String =
        spoilt.map(|finding| format!("spoilt:   {}, {}\n", finding.check, finding.found)).collect();
    format!(
        "run:      {} from {}, {} s, {} per second\ndata:     {}\nmachine:  {}, {} cores, {}, kernel {}\ncommit:   {}\n{spoilt}",
        report.way,
        report.started_at,
        three_digits(report.duration_seconds),
        rate(report.offered_per_second),
        summary::data(report),
        machine.cpu,
        machine.cores,
        bytes(machine.memory_bytes),
        machine.kernel,
        report.commit,
    )
}

fn cells<const N: usize>(row: [&str; N]) -> Vec<String> {
    row.map(str::to_owned).to_vec()
}

fn named<const N: usize>(name: &str, figures: [String; N]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend(figures);
    row
}

/// Columns as wide as their widest cell, names to the left, figures to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let aligned = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("  {cell:>width$}"),
        });
        text += aligned.collect::<String>().trim_end();
        text.push('\n');
    }
    text
}

/// Writes a measurement as text: its summary, the figures of its runs together, and what each run said.
pub fn measurement(measurement: &Measurement) -> String {
    let mut text = String::from("\n");
    for line in summary::of_measurement(measurement) {
        text += &format!("{line}\n");
    }
    for reason in &measurement.reasons {
        text += &format!("  not valid: {reason}\n");
    }
    text.push('\n');
    text += &latency_rows(&measurement.latency_ms);
    text.push('\n');
    text += &costs(measurement);
    for (hop, compared) in &measurement.probes {
        let [least, middle, most] = compared.difference_ms;
        text += &format!(
            "{hop} by probe and by record: {} of {} agree; in the middle run seen later by {middle:.1} ms in the median \
             ({least:.1} to {most:.1}), polled every {:.0} ms\n",
            compared.agreed, compared.paired, compared.step_ms,
        );
    }
    if measurement.capacity.is_none() {
        for run in &measurement.every_run {
            for held in &run.held {
                let sign = if held.met { "met" } else { "NOT MET" };
                text += &format!("run {}: {}: {} ({sign})\n", run.folder, held.term, held.found);
            }
        }
    }
    if let Some(capacity) = &measurement.capacity {
        text += &format!("{}\n", summary::verdict_of(measurement));
        for (at, said) in (1..).zip(&capacity.saturated) {
            text += &format!("  {at}. at its limit: {said}\n");
        }
    }
    for finding in measurement.doctor.iter().filter(|finding| finding.level == Level::Spoils) {
        text += &format!("doctor: {}: {}\n", finding.check, finding.found);
    }
    text.chars().filter(|&char| char == '\n' || !char.is_control()).collect()
}

fn costs(measurement: &Measurement) -> String {
    let mut rows = vec![cells(["process", "CPU s a million", "peak", "at the end", "written", "switches"])];
    rows.extend(measurement.processes.iter().map(|(name, used)| {
        let optional =
            |count: Option<u64>, write: fn(u64) -> String| count.map_or_else(|| NONE.to_owned(), write);
        named(
            name,
            [
                three_digits(used.cpu_us_per_order),
                bytes(used.memory_peak_bytes),
                bytes(used.memory_last_bytes),
                optional(used.written_bytes, bytes),
                optional(used.context_switches, grouped),
            ],
        )
    }));
    table(&rows)
}
