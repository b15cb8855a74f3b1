//! The result directory: where a measurement is written, run by run as they end and as a whole at last.
//!
//! ```text
//! summary.txt               two lines
//! report.html               the page, self-contained
//! case.toml                 the case as it was run
//! result.json               tillflow.result.v1
//! runs/1/report.json        tillflow.report.v1
//! runs/1/response.hlog      an HdrHistogram interval log for each of delay, service, response, log, orders, rollup
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::case::Case;
use crate::logs::{Logs, NAMES};
use crate::measurement::Measurement;
use crate::run::Ran;
use crate::{html, summary};

/// A result directory that is being written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it, in place of an earlier result. A folder that holds anything else is left as it is.
    ///
    /// # Errors
    /// Where it cannot be made, or holds something else.
    pub fn begin(path: &Path, case: &Case) -> Result<Self> {
        if path.exists() {
            let foreign = fs::read_dir(path)
                .with_context(|| format!("failed to look into {}", path.display()))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .find(|name| !Self::OWN.contains(&name.as_str()));
            if let Some(name) = foreign {
                bail!("{} holds {name}, which is no part of a result; name another folder", path.display());
            }
            fs::remove_dir_all(path).with_context(|| format!("failed to replace {}", path.display()))?;
        }
        fs::create_dir_all(path.join("runs"))
            .with_context(|| format!("failed to make {}", path.display()))?;
        let folder = Self { path: path.to_owned() };
        folder.write("case.toml", toml::to_string(case)?)?;
        Ok(folder)
    }

    const OWN: [&str; 6] = ["summary.txt", "report.html", "case.toml", "result.json", "runs", "scratch"];

    /// Where runs keep their data. It is deleted at the end.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// Writes a run into a folder of its own.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn run(&self, name: &str, ran: &Ran) -> Result<()> {
        let run = format!("runs/{name}");
        fs::create_dir_all(self.path.join(&run)).with_context(|| format!("failed to make {run}"))?;
        self.write(&format!("{run}/report.json"), ran.report.to_json()?)?;
        for name in NAMES {
            let log = ran.logs.interval_log(name, ran.started_at);
            self.write(&format!("{run}/{name}.hlog"), log.map_err(anyhow::Error::msg)?)?;
        }
        Ok(())
    }

    /// Reads a run's latencies back.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn logs(&self, run: &str) -> Result<Logs> {
        let mut logs = Logs::default();
        for name in NAMES {
            let path = self.path.join(format!("runs/{run}/{name}.hlog"));
            let log = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            logs.read(name, &log).map_err(anyhow::Error::msg)?;
        }
        Ok(logs)
    }

    /// Writes the whole, with the page that shows it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn end(&self, measurement: &Measurement, runs: &[&Ran]) -> Result<()> {
        self.write("result.json", measurement.to_json()?)?;
        let lines = summary::of_measurement(measurement);
        self.write("summary.txt", format!("{}\n{}\n", lines[0], lines[1]))?;
        self.write("report.html", html::measurement(measurement, runs))?;
        let scratch = self.scratch();
        if scratch.exists() {
            fs::remove_dir_all(&scratch)
                .with_context(|| format!("failed to delete {}", scratch.display()))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = "title = \"t\"\nwarm_up = \"1s\"\n[workload]\nrate = 10\nduration = \"3s\"\n[target]\n\
                        way = \"embedded\"\n";

    #[test]
    fn a_result_replaces_a_result_and_nothing_else() {
        let case = Case::parse(CASE).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result");
        Folder::begin(&path, &case).unwrap();
        fs::write(path.join("runs/left"), "over").unwrap();
        Folder::begin(&path, &case).unwrap();
        assert!(!path.join("runs/left").exists());
        assert_eq!(Case::read(&path.join("case.toml")).unwrap(), case);

        fs::write(path.join("thesis.txt"), "precious").unwrap();
        let error = Folder::begin(&path, &case).unwrap_err().to_string();
        assert!(error.contains("thesis.txt") && path.join("thesis.txt").exists(), "{error}");
    }
}
