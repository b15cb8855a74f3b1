//! Why a partition stops, and whether it need.

use crate::log::LogError;
use crate::position;
use crate::store::StoreError;

/// Why a partition stops before it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Lost(#[from] position::Lost),
    #[error(transparent)]
    Log(LogError),
    #[error(transparent)]
    Store(StoreError),
    /// Sent again, it would be refused again: that is for people to see to.
    #[error("offsets {first} to {last} are not stored, because the stores refuse them: {reason}")]
    Refused { first: i64, last: i64, reason: String },
}

impl Stop {
    /// Whether trying again may help.
    pub(super) const fn passes(&self) -> bool {
        let log = matches!(self, Self::Log(LogError::Unavailable(_) | LogError::OutOfRange { .. }));
        log || matches!(self, Self::Store(StoreError::Unavailable(_)))
    }
}
