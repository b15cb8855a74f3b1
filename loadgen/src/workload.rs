//! A workload as a file: the rate over time and what is sent, in TOML, with a seed. The same file is the same load.
//!
//! It does not say where to send, because a load outlives its target.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::payload::Shape;
use crate::schedule::Profile;

/// Why a workload cannot be used. The texts read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The file cannot be read.
    #[error("read the workload {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no workload.
    #[error("read the workload {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: Box<toml::de::Error>,
    },
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What it is for.
    pub description: String,
    /// What orders, or the numbers of a template, are drawn from.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// Orders a request.
    pub batch: Option<usize>,
    /// The rate over time.
    pub profile: Profile,
    /// How generated orders differ from the built-in table.
    #[serde(default)]
    pub orders: Shape,
    /// The orders of this file rather than generated ones; beside the workload if it is no absolute path.
    pub data: Option<PathBuf>,
    /// Requests to another server than one that takes orders.
    pub request: Option<Requests>,
}

/// What is sent to any server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requests {
    /// The HTTP method.
    pub method: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// The body, with placeholders.
    pub template: Option<String>,
    /// Statuses that count as accepted, such as `200`, `2xx` or `200-204`.
    pub expect: Vec<String>,
}

const fn first_seed() -> u64 {
    1
}

impl Workload {
    /// Reads a workload.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no workload.
    pub fn read(path: &Path) -> Result<Self, WorkloadError> {
        let read = |source| WorkloadError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let parse = |source| WorkloadError::Parse { path: path.to_owned(), source: Box::new(source) };
        let mut workload: Self = toml::from_str(&text).map_err(parse)?;
        if let (Some(data), Some(folder)) = (&mut workload.data, path.parent()) {
            *data = folder.join(&data);
        }
        Ok(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_workload_is_read_with_its_defaults() {
        let text = r#"
            description = "a test"
            profile = { kind = "ramp", from = 0, to = 100, duration = "1m" }
        "#;
        let workload: Workload = toml::from_str(text).unwrap();
        let profile = Profile::Ramp { from: 0.0, to: 100.0, duration: Duration::from_secs(60) };
        assert_eq!((workload.seed, workload.profile), (1, profile));
        assert_eq!(workload.orders, Shape::default());
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        for wrong in ["rate = 5", "[orders]\nzipf = 1", "[request]\nbody = 'x'"] {
            let text = format!("description = ''\nprofile = {{ kind = 'replay' }}\n{wrong}\n");
            assert!(toml::from_str::<Workload>(&text).is_err(), "{wrong}");
        }
    }
}
