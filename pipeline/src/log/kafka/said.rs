//! What librdkafka said last: its calls end in a time-out whatever the reason, and the reason is in its log alone.

use super::log_line;
use crate::log::LogError;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use std::sync::{Mutex, PoisonError};

/// Logs as all clients do, and remembers the last error.
#[derive(Default)]
pub(super) struct Said(Mutex<Option<String>>);

impl ClientContext for Said {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        // By the numbers of syslog, where an error is 3.
        let level = level as i32;
        if level <= 3 {
            // In front stands the name of librdkafka's own thread.
            let reason = text.split_once("]: ").map_or(text, |(_, reason)| reason);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        log_line(level, facility, text);
    }
}

impl Said {
    /// An error with the reason behind it, if there was one.
    pub(super) fn explain(&self, error: LogError) -> LogError {
        match (error, self.0.lock().unwrap_or_else(PoisonError::into_inner).as_deref()) {
            (LogError::Unavailable(error), Some(said)) => LogError::Unavailable(format!("{error}: {said}")),
            (error, _) => error,
        }
    }
}
