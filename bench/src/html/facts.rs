//! What the figures were taken on and how: machine, versions, config, method.

use super::{doctor, escape};
use crate::figures::{NONE, bytes, latency, three_digits};
use crate::report::Report;
use crate::summary;

const METHOD: &str = "The load is an open loop: order i is due at start + i / rate, whatever became of the orders \
    before it, and none is skipped. Latency counts from the due instant, so that an order that had to wait behind a \
    stall is charged the whole wait; the delay between due and sent is shown beside it and makes the run invalid when \
    it is large. All instants are read from one clock of one host. Percentiles come from HDR histograms, never from \
    averages of percentiles. Rates and latencies of one machine say little about another; compare CPU per order, in \
    pairs of runs.";

pub(super) fn render(report: &Report) -> String {
    let config: Vec<_> = report.config.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    format!(
        "<section>\n<h2>Method</h2>\n<p class=\"note\">{METHOD}</p>\n</section>\n<section class=\"pair\">\n\
         <div>\n<h2>Machine</h2>\n{}</div>\n<div>\n<h2>Run</h2>\n{}</div>\n</section>\n{}\
         <section>\n<details><summary>Config ({} keys)</summary>{}</details>\n</section>\n",
        list(&machine(report)),
        list(&run(report)),
        doctor::render(&report.doctor),
        config.len(),
        list(&config),
    )
}

fn machine(report: &Report) -> Vec<(&str, String)> {
    let machine = &report.machine;
    let absent = |fact: &Option<String>| fact.clone().unwrap_or_else(|| NONE.to_owned());
    vec![
        ("Processor", machine.cpu.clone()),
        ("Logical cores", machine.cores.to_string()),
        ("Memory", bytes(machine.memory_bytes)),
        ("System", machine.os.clone()),
        ("Kernel", machine.kernel.clone()),
        ("WSL", absent(&machine.wsl)),
        ("Clock source", machine.clock_source.clone()),
        ("Governor", absent(&machine.governor)),
        ("Virtualisation", absent(&machine.virtualisation)),
    ]
}

fn run(report: &Report) -> Vec<(&str, String)> {
    let mut run = vec![
        ("Way", report.way.clone()),
        ("Started", report.started_at.clone()),
        ("Duration", format!("{} s", three_digits(report.duration_seconds))),
        ("Data", summary::data(report)),
        ("Commit", report.commit.clone()),
    ];
    if let Some(used) = report.resources {
        run.push(("CPU of the pipeline", latency(used.cpu_seconds * 1000.0)));
        run.push(("Memory at the end", bytes(used.memory_last_bytes)));
    }
    run.extend(report.services.iter().map(|(name, version)| (name.as_str(), version.clone())));
    run
}

pub(super) fn list(facts: &[(&str, String)]) -> String {
    let fact =
        |(name, value): &(&str, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
    format!("<dl class=\"facts\">\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
}
