//! By what the change of a file is seen that is read again without a restart.

use std::path::Path;
use std::time::SystemTime;

/// When a file was changed, and how long it is, since the clock of a file system may be coarser than two changes in a row;
/// nothing where there is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    /// As the file is now. To be taken before it is read: what changes in between is then seen at the next look.
    pub(crate) fn of(path: &Path) -> Self {
        Self(path.metadata().ok().and_then(|found| Some((found.modified().ok()?, found.len()))))
    }
}
