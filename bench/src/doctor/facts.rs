//! What is read of a machine, as it is read.

use std::path::Path;

/// Texts and figures of a machine. What could not be read is empty or absent.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `/proc/sys/kernel/osrelease`.
    pub kernel: String,
}

impl Facts {
    /// Reads this machine's.
    pub fn gather(_data: &Path) -> Self {
        Self { kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default() }
    }
}
