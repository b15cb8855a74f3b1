//! The page of a measurement: what several runs came to, how far it can be trusted, and each run beside the others.

use super::table::{Row, Table};
use super::{escape, facts, figure, latency_table, ledger, milliseconds, over_time_of, page};
use crate::figures::{NONE, bytes, grouped, latency, rate, three_digits};
use crate::measurement::{Capacity, Measurement};
use crate::plots::{self, Heat};
use crate::report::{Report, Resources};
use crate::run::Ran;
use crate::summary;

/// Columns of a heat map.
const COLUMNS: u64 = 48;

pub(super) fn render(measurement: &Measurement, runs: &[&Ran]) -> String {
    let verdict = summary::verdict_of(measurement);
    let shown = runs.first();
    let mut sections = vec![head(measurement, &verdict), tiles(measurement)];
    sections.extend(measurement.capacity.as_ref().map(|capacity| ladder(measurement, capacity)));
    sections.push(objective(measurement));
    sections.push(latencies(measurement));
    sections.push(probes(measurement));
    if let Some(ran) = shown {
        sections.push(spread(ran));
        sections.push(over_time_of(&ran.report));
    }
    sections.push(resources(measurement));
    sections.push(each_run(measurement));
    if let Some(ran) = shown {
        sections.push(ledger::render(&ran.report));
        sections.push(facts::render(&as_run(measurement, &ran.report)));
    }
    page(&format!("Tillflow: {verdict}, {}", measurement.started_at), &sections.concat())
}

/// The first run's report as the facts are written from it: they are the same for all runs but for the doctor's.
fn as_run(measurement: &Measurement, report: &Report) -> Report {
    let mut services = report.services.clone();
    services.extend(measurement.flake_lock.clone().map(|hash| ("flake.lock".to_owned(), hash)));
    Report { doctor: measurement.doctor.clone(), services, ..report.clone() }
}

fn head(measurement: &Measurement, verdict: &str) -> String {
    let (class, mark) = if measurement.good() { ("good", "✓") } else { ("bad", "✗") };
    let lines = summary::of_measurement(measurement);
    let reasons: String =
        measurement.reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    let reasons = match reasons.as_str() {
        "" => String::new(),
        list => format!("<ul class=\"reasons\">{list}</ul>\n"),
    };
    format!(
        "<header>\n<p class=\"kicker\">{} · {} · <span class=\"nowrap\">{}</span></p>\n\
         <h1><span class=\"mark {class}\" aria-hidden=\"true\">{mark}</span>{}</h1>\n{reasons}\
         <div class=\"lead\"><p>{}</p>\n<p>{}</p></div>\n</header>\n",
        escape(&measurement.title),
        escape(measurement.case.target.way.name()),
        escape(&measurement.started_at),
        escape(verdict),
        escape(&lines[0]),
        escape(&lines[1]),
    )
}

fn tiles(measurement: &Measurement) -> String {
    let latencies = measurement.latency_ms;
    let measured = |count: u64, ms: f64| if count == 0 { NONE.to_owned() } else { latency(ms) };
    let (response, rollup) = (latencies.response, latencies.rollup);
    let used = |write: fn(&Resources) -> String| {
        measurement.resources.as_ref().map_or_else(|| NONE.to_owned(), write)
    };
    let offered = match &measurement.capacity {
        Some(capacity) => capacity.found.rate.map_or_else(|| NONE.to_owned(), rate),
        None => rate(measurement.case.workload.rate),
    };
    let name = if measurement.capacity.is_some() { "Capacity" } else { "Offered" };
    let tiles = [
        (name, offered, "orders/s"),
        ("Response p50", measured(response.count, response.p50), ""),
        ("Response p99", measured(response.count, response.p99), ""),
        ("Response p99.9", measured(response.count, response.p999), ""),
        ("Rollup p50", measured(rollup.count, rollup.p50), ""),
        ("Rollup p99", measured(rollup.count, rollup.p99), ""),
        ("Orders measured", grouped(response.count), ""),
        ("CPU per million", used(|used| three_digits(used.cpu_us_per_order)), "s"),
        ("Memory at most", used(|used| bytes(used.memory_peak_bytes)), ""),
        ("Runs", measurement.every_run.len().to_string(), ""),
    ];
    let tile = |(name, figure, unit): (&str, String, &str)| {
        let figure = escape(&figure);
        format!("<div class=\"tile\"><dt>{name}</dt><dd>{figure} <small>{unit}</small></dd></div>\n")
    };
    format!("<dl class=\"tiles\">\n{}</dl>\n", tiles.map(tile).concat())
}

fn ladder(measurement: &Measurement, capacity: &Capacity) -> String {
    let rows = capacity.rungs.iter().map(|rung| {
        let met = rung.runs.iter().filter(|run| run.met).count();
        let missed = rung.runs.iter().flat_map(|run| &run.missed).next().map_or(NONE, String::as_str);
        let sign = if rung.met { "✓" } else { "✗" };
        let name = format!("{sign} {}{}", rate(rung.rate), if rung.confirms { ", again" } else { "" });
        Row::new(&name, [format!("{met} of {}", rung.runs.len()), missed.to_owned()])
    });
    let table = Table::new("", ["Orders/s", "Held", "What did not, at first"]).rows(rows).render();
    let found = &capacity.found;
    let verdict = match (found.rate, found.fails_at) {
        (Some(held), _) if !found.confirmed() => format!(
            "{} orders per second held and were not confirmed: the search came to the most runs that it was allowed.",
            rate(held)
        ),
        (Some(held), Some(failed)) => format!(
            "{} orders per second hold and were confirmed, {} do not: {:.0}% above.",
            rate(held),
            rate(failed),
            (failed / held - 1.0) * 100.0
        ),
        (Some(held), None) => {
            format!("{} orders per second hold, the most that was to be tried.", rate(held))
        }
        (None, _) => "No rate that was tried holds.".to_owned(),
    };
    let saturated: String =
        capacity.saturated.iter().map(|said| format!("<li>{}</li>", escape(said))).collect();
    let saturated = match saturated.as_str() {
        "" => String::new(),
        list => format!("<h3>What was at its limit first</h3>\n<ol class=\"said\">{list}</ol>\n"),
    };
    format!(
        "<section>\n<h2>Capacity</h2>\n<p class=\"note\">{} Each rate is run up to {} times and held by the majority; a \
         dot with a hole is a run that did not meet the objective.</p>\n{}<div class=\"said\">{saturated}</div>\n\
         <div class=\"solo ladder\">{table}</div>\n</section>\n",
        escape(&verdict),
        measurement.case.repetitions,
        figure("99th percentiles over the rate", plots::ladder(capacity)),
    )
}

fn objective(measurement: &Measurement) -> String {
    let Some(text) = &measurement.case.objective else { return String::new() };
    if measurement.capacity.is_some() {
        return format!(
            "<section>\n<h2>Objective</h2>\n<p class=\"note\">{}</p>\n</section>\n",
            escape(text)
        );
    }
    let rows = measurement.every_run.iter().flat_map(|run| {
        run.held.iter().map(|held| {
            let sign = if held.met { "✓" } else { "✗" };
            Row::new(&format!("{sign} {}", held.term), [held.found.clone(), run.folder.clone()])
        })
    });
    let table = Table::new("", ["Term", "Found", "Run"]).rows(rows).render();
    format!("<section>\n<h2>Objective</h2>\n<div class=\"solo\">{table}</div>\n</section>\n")
}

fn latencies(measurement: &Measurement) -> String {
    let spectrum = figure(
        "Percentile spectrum of response, rollup, service and delay",
        plots::spectrum(&measurement.spectra),
    );
    let waterfall = figure("The way of an order, step by step", plots::waterfall(&measurement.latency_ms));
    format!(
        "<section>\n<h2>Latency by percentile</h2>\n<p class=\"note\">Response counts from the instant an order was due, \
         rollup until it is counted in the sums, service from the instant it was sent; the delay between due and sent is \
         the generator's own. Each step to the right leaves a tenth as many orders above the line. Warm-up is left out: {}; \
         {}.</p>\n{spectrum}</section>\n<section class=\"pair\">\n<div>\n<h2>The way of an order</h2>\n\
         <p class=\"note\">Each step begins where the one before it ends, at the median.</p>\n{waterfall}</div>\n<div>\n\
         <h2>In figures</h2>\n{}</div>\n</section>\n",
        escape(&measurement.warm_up.rule),
        escape(&seconds(&measurement.warm_up.seconds)),
        latency_table(&measurement.latency_ms),
    )
}

/// Warm-ups by run, short where all are the same.
fn seconds(all: &[u64]) -> String {
    match all {
        [] => "nothing was run".to_owned(),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => format!("{first} s of each run"),
        all => {
            let all: Vec<String> = all.iter().map(|seconds| format!("{seconds} s")).collect();
            format!("{} of the runs", all.join(", "))
        }
    }
}

fn probes(measurement: &Measurement) -> String {
    if measurement.probes.is_empty() {
        return String::new();
    }
    let rows = measurement.probes.iter().map(|(hop, compared)| {
        let sign = if compared.agree { "✓" } else { "✗" };
        let [least, middle, most] = compared.difference_ms.map(milliseconds);
        Row::new(
            &format!("{sign} {hop}"),
            [
                format!("{} of {}", compared.agreed, compared.paired),
                milliseconds(compared.probe_ms.p50),
                milliseconds(compared.record_ms.p50),
                format!("{least} / {middle} / {most}"),
                milliseconds(compared.step_ms),
            ],
        )
    });
    let head = ["Hop", "Agree", "Probe p50", "Record p50", "Difference", "Step"];
    let caption = "Milliseconds, of the run in the middle; difference: least, median, greatest";
    let table = Table::new(caption, head).rows(rows).render();
    format!(
        "<section>\n<h2>Seen by a reader</h2>\n<p class=\"note\">Some orders were looked for in the stores until a reader \
         saw them, and held against what the pipeline recorded of the same orders. They agree when no look that began \
         after the record failed to see the order, and the record came no more than a step after the look that saw \
         it.</p>\n<div class=\"solo\">{table}</div>\n</section>\n"
    )
}

fn spread(ran: &Ran) -> String {
    let map = |name: &str| match Heat::of(ran.logs.seconds(name), COLUMNS) {
        Some(heat) => {
            figure(&format!("{name} over time, by how many orders took how long"), plots::heat(&heat))
        }
        None => "<p class=\"note\">Nothing was recorded.</p>\n".to_owned(),
    };
    format!(
        "<section class=\"pair\">\n<div>\n<h2>Response, spread</h2>\n<p class=\"note\">By the second in which orders were \
         due, the darker the more of them.</p>\n{}</div>\n<div>\n<h2>Rollup, spread</h2>\n<p class=\"note\">From due until \
         counted in the sums.</p>\n{}</div>\n</section>\n",
        map("response"),
        map("rollup"),
    )
}

fn resources(measurement: &Measurement) -> String {
    let optional =
        |count: Option<u64>, write: fn(u64) -> String| count.map_or_else(|| NONE.to_owned(), write);
    let row = |name: &str, used: &Resources| {
        Row::new(
            name,
            [
                three_digits(used.cpu_us_per_order),
                three_digits(used.cpu_seconds),
                bytes(used.memory_peak_bytes),
                bytes(used.memory_last_bytes),
                optional(used.written_bytes, bytes),
                optional(used.context_switches, grouped),
            ],
        )
    };
    let head = ["Process", "CPU s a million", "CPU s", "Peak", "At the end", "Written", "Switches"];
    let processes = measurement.processes.iter().map(|(name, used)| row(name, used));
    let own = measurement.resources.iter().map(|used| row("the pipeline's own", used));
    let table = Table::new("", head).rows(own.chain(processes)).render();
    format!(
        "<section>\n<h2>What it cost</h2>\n<p class=\"note\">From the end of the warm-up until all was stored. CPU a million \
         is processor seconds for a million accepted orders; bytes are those handed to storage.</p>\n{table}</section>\n"
    )
}

fn each_run(measurement: &Measurement) -> String {
    let rows = measurement.every_run.iter().map(|run| {
        let sign = if run.met() { "✓" } else { "✗" };
        let busy = run.load.cores.iter().map(|share| format!("{:.0}%", share * 100.0)).collect::<Vec<_>>();
        let thread = run.load.threads.first();
        Row::new(
            &format!("{sign} {}", run.folder),
            [
                rate(run.offered_per_second),
                rate(run.achieved_per_second),
                run.lag.to_string(),
                busy.join(" "),
                thread.map_or_else(|| NONE.to_owned(), |(name, share)| format!("{name}: {share:.2}")),
            ],
        )
    });
    let head = ["Run", "Offered", "Achieved", "Lag", "Cores busy", "Busiest thread"];
    let table = Table::new("", head).rows(rows).render();
    format!("<section>\n<h2>Run by run</h2>\n{table}</section>\n")
}
