//! Something that does not balance, as JSON and for people. Pure.

use serde::Serialize;
use std::fmt::{self, Display};

/// Something that does not balance.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Difference {
    /// The partition, where it is one's.
    pub partition: Option<u32>,
    /// The offsets, first and last.
    pub range: Option<(i64, i64)>,
    /// What differs.
    pub what: String,
    /// What the log says.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Difference {
    pub(super) fn of(
        partition: u32,
        range: (i64, i64),
        what: &str,
        expected: impl Display,
        found: impl Display,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { partition: Some(partition), range: Some(range), what: what.to_owned(), expected, found }
    }

    pub(super) fn of_partition(
        partition: u32,
        what: String,
        expected: impl Display,
        found: impl Display,
    ) -> Self {
        Self { partition: Some(partition), ..Self::whole(what, expected, found) }
    }

    pub(super) fn whole(what: String, expected: impl Display, found: impl Display) -> Self {
        Self { partition: None, range: None, what, expected: expected.to_string(), found: found.to_string() }
    }
}

impl Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(partition) = self.partition {
            write!(out, "partition {partition}")?;
        }
        if let Some((first, last)) = self.range {
            write!(out, ", offsets {first} to {last}")?;
        }
        if self.partition.is_some() {
            out.write_str(": ")?;
        }
        write!(out, "{}: {} expected, {} found", self.what, self.expected, self.found)
    }
}
