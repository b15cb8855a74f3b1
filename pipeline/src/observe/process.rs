//! The metrics of the process itself: since when it runs, how much of it does not work, its memory, and the disk that its
//! own log is on. A log in Kafka is on the brokers' disks, of which a client knows nothing: node exporter tells of those.

use super::counters::{Label, SecondsGauge, add};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::{SystemTime, UNIX_EPOCH};

/// The metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct ProcessMetrics {
    pub observe_start_seconds: SecondsGauge,
    pub observe_complaints: Gauge,
    pub observe_memory_bytes: Gauge,
    pub log_disk_bytes: Family<Label, Gauge>,
    pub log_disk_free_bytes: Family<Label, Gauge>,
}

impl ProcessMetrics {
    /// Registers them.
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            observe_start_seconds: add(
                it,
                "observe_start_seconds",
                "Unix time at which the process started to observe itself; 0 before",
                SecondsGauge::default(),
            ),
            observe_complaints: add(
                it,
                "observe_complaints",
                "Parts that do not work, each of which /readyz names",
                Gauge::default(),
            ),
            observe_memory_bytes: add(
                it,
                "observe_memory_bytes",
                "Resident memory of the process, where /proc tells it",
                Gauge::default(),
            ),
            log_disk_bytes: add(
                it,
                "log_disk_bytes",
                "Size of the file system that the embedded log is on, by folder",
                Family::default(),
            ),
            log_disk_free_bytes: add(
                it,
                "log_disk_free_bytes",
                "Bytes of it that are free for this user, by folder",
                Family::default(),
            ),
        }
    }
}

/// The time now, in seconds of Unix time.
pub fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The resident memory of this process; `None` where there is no /proc.
pub fn memory_bytes() -> Option<i64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The resident memory that a /proc/PID/status tells.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_as_linux_writes_it() {
        let status = "Name:\tpipeline\nVmHWM:\t  90000 kB\nVmRSS:\t   12345 kB\nThreads:\t9\n";
        assert_eq!(resident(status), Some(12_345 * 1024));
        assert_eq!(resident("Name:\tpipeline\n"), None);
    }
}
