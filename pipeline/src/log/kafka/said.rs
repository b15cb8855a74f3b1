//! Errors that carry librdkafka's own reason.

use super::native::last_error;
use crate::log::LogError;
use rdkafka::ClientContext;
use rdkafka::client::Client;

/// An error with what the client logged last behind it, if that was an error.
pub(super) fn explain<C: ClientContext>(client: &Client<C>, error: LogError) -> LogError {
    match error {
        LogError::Unavailable(error) => LogError::Unavailable(match last_error(client) {
            Some(said) => format!("{error}: {said}"),
            None => error,
        }),
        error => error,
    }
}
