//! What processes of ours hold, second by second: memory, open files, threads, and what they tell of themselves.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::place::Place;
use super::slot::Slot;

/// One process at one second.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Since the start of the run.
    pub second: f64,
    /// The process's place among those of the run.
    pub place: usize,
    /// Its command.
    pub part: String,
    /// Its process id, which changes when it is killed.
    pub pid: u32,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Of it the window of order ids, as the process counts it.
    pub window_bytes: u64,
    /// Open files, sockets among them.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

/// What the whole pipeline tells at one second.
#[derive(Clone, Debug, Serialize)]
pub struct Gauges {
    /// Since the start of the run.
    pub second: f64,
    /// Records in the log that are not stored.
    pub lag: f64,
    /// How old the newest order is that is stored.
    pub freshness_seconds: Option<f64>,
    /// Orders stored since the processes' start.
    pub stored: f64,
    /// Orders that ingest accepted since its start.
    pub accepted: f64,
}

/// Looks at each process.
pub fn processes(place: &Place, second: f64) -> Vec<Sample> {
    place.slots.iter().enumerate().filter_map(|(at, slot)| process(slot, at, second)).collect()
}

fn process(slot: &Slot, place: usize, second: f64) -> Option<Sample> {
    let process = slot.process()?;
    let pid = process.pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |key: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
    };
    let window = process.metric("tillflow_parse_window_bytes").unwrap_or(0.0);
    Some(Sample {
        second,
        place,
        part: format!("{:?}", slot.part).to_lowercase(),
        pid,
        memory_bytes: number("VmRSS:")? * 1024,
        window_bytes: Duration::try_from_secs_f64(window).map_or(0, |bytes| bytes.as_secs()),
        files: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
        threads: number("Threads:")?,
    })
}

/// Looks at the pipeline's own metrics.
pub fn gauges(place: &Place, second: f64) -> Gauges {
    let newest = place.metric("tillflow_store_newest_received_at_seconds");
    let now = pipeline::time::now() as f64 / 1e9;
    let accepted = "tillflow_receive_orders_total{outcome=\"accepted\"}";
    let accepted = place.slots.iter().filter_map(|slot| {
        let page = slot.process()?.page("/metrics").ok()?;
        page.lines().find_map(|line| line.strip_prefix(accepted)?.trim().parse::<f64>().ok())
    });
    Gauges {
        second,
        lag: place.metric("tillflow_consume_lag_records"),
        freshness_seconds: (newest > 0.0).then_some(now - newest),
        stored: place.metric("tillflow_store_orders_total"),
        accepted: accepted.sum(),
    }
}
