//! What the tests of the embedded way alone start: `pipeline embedded` in a process of its own, on a folder that they
//! look into.

pub use crate::ways::http::{Reply, exchange, read_reply};
pub use crate::ways::place::id_of;
pub use crate::ways::running::Running as Pipeline;
pub use crate::ways::wait::{DEADLINE, block_on, eventually};

use crate::embedded::Embedded;
use crate::ways::place::Place;
use std::path::Path;

impl Pipeline {
    /// Starts it on a data folder, with more settings as `key=value`, and waits until it takes orders.
    pub fn start(data_dir: &Path, settings: &[&str]) -> Self {
        place(data_dir).start(settings)
    }

    /// A page of the management port.
    pub fn page(&self, path: &str) -> Reply {
        self.parts[0].page(path)
    }

    /// Resident memory in KiB, now and at its peak.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.parts[0].pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

fn place(data_dir: &Path) -> Place {
    Place::on(Embedded::at(data_dir))
}

/// `pipeline ledger --json` on a data folder.
pub fn ledger(data_dir: &Path, more: &[&str]) -> serde_json::Value {
    place(data_dir).ledger(more)
}

/// Waits until everything in the log is stored, and asserts that the books balance.
pub fn balanced(data_dir: &Path) -> serde_json::Value {
    place(data_dir).balanced()
}
