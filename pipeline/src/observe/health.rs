//! Whether the process is ready: each part that must work says so here, and says why when it does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The parts and their states.
#[derive(Debug, Default)]
pub struct Health {
    parts: Mutex<BTreeMap<String, Result<(), String>>>,
}

impl Health {
    /// Says that a part works.
    pub fn up(&self, part: impl Into<String>) {
        self.set(part.into(), Ok(()));
    }

    /// Says that a part does not work, and why.
    pub fn down(&self, part: impl Into<String>, why: impl Into<String>) {
        self.set(part.into(), Err(why.into()));
    }

    /// Forgets a part, which is not this process's any more.
    pub fn gone(&self, part: &str) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// The parts that do not work, a line each; none if all do.
    pub fn complaints(&self) -> Vec<String> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().filter_map(|(part, state)| Some(format!("{part}: {}", state.as_ref().err()?))).collect()
    }

    fn set(&self, part: String, state: Result<(), String>) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(part, state);
    }
}
