//! Good orders at a fixed rate, each timed from the instant at which it was due, so that a stall cannot hide.

use crate::attacking::bytes::{good, post};
use crate::attacking::send::Connection;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What came of a window's good orders.
#[derive(Default)]
pub struct Good {
    /// The ids that were accepted.
    pub accepted: Vec<String>,
    /// What was answered otherwise, or not at all.
    pub failures: Vec<String>,
    /// From due to answer.
    pub latencies: Vec<Duration>,
}

impl Good {
    /// The 99th percentile, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

/// Sends orders on one kept connection until told to stop.
pub fn send(at: SocketAddr, name: &str, rate: u32, stop: &AtomicBool) -> Good {
    let mut sent = Good::default();
    let mut connection = Connection::open(at);
    let (began, step) = (Instant::now(), Duration::from_secs(1) / rate);
    for number in 0_u32.. {
        let due = began + step * number;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{name}-{number}");
        connection.write(&post("", good(&id).as_bytes()));
        match connection.read() {
            Some(reply) if reply.status == 202 => sent.accepted.push(id),
            Some(reply) => sent.failures.push(format!("{id}: {}", reply.status)),
            None => {
                sent.failures.push(format!("{id}: no answer"));
                connection = Connection::open(at);
            }
        }
        sent.latencies.push(due.elapsed());
    }
    sent
}
