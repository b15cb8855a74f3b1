//! The journal: one line for each injection that was done, so that a suite that was interrupted goes on behind the last.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::check::Found;
use super::clients::Counts;
use super::plan::Planned;

/// One injection and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the plan, from 1.
    pub injection: u64,
    /// The fault's name.
    pub fault: String,
    /// The step at which it strikes.
    pub step: String,
    /// What its moments were drawn from.
    pub seed: u64,
    /// Why it failed; nothing if it passed.
    pub reason: Option<String>,
    /// What was found when all had settled.
    #[serde(flatten)]
    pub found: Found,
    /// Orders that were unknown or failed before they were sent again.
    pub open: u64,
    /// Orders that were sent again at the end.
    pub retried: u64,
    /// What the senders were told.
    pub answers: Counts,
    /// From the moment at which it was healed to the first new block.
    pub first_block_seconds: Option<f64>,
    /// From there to when all was stored that the log had then.
    pub recovery_seconds: Option<f64>,
    /// How often processes of ours ended by themselves.
    pub exits: u32,
    /// How long the whole injection took.
    pub seconds: f64,
    /// What else is worth telling.
    pub notes: Vec<String>,
    /// Where its logs are, if they were kept.
    pub evidence: Option<PathBuf>,
}

impl Row {
    /// The row of an injection that is to be done.
    pub fn of(planned: &Planned) -> Self {
        Self {
            injection: planned.number,
            fault: planned.fault.name.to_owned(),
            step: planned.fault.step.name().to_owned(),
            seed: planned.seed,
            reason: None,
            found: Found::default(),
            open: 0,
            retried: 0,
            answers: Counts::default(),
            first_block_seconds: None,
            recovery_seconds: None,
            exits: 0,
            seconds: 0.0,
            notes: Vec::new(),
            evidence: None,
        }
    }

    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        let found = &self.found;
        self.reason.is_none()
            && found.lost + found.doubled + found.ghosts == 0
            && found.differences.is_empty()
    }
}

/// The journal's file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// A new journal in the place of an older one.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Goes on with a journal, and returns the rows that are in it already.
    ///
    /// # Errors
    /// Where it cannot be read, or is of another plan.
    pub fn resume(path: &Path, plan: &[Planned]) -> Result<(Self, Vec<Row>)> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line is incomplete where the suite was killed while it wrote.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut rows = Vec::new();
        for line in text.get(..whole).unwrap_or_default().lines() {
            let row: Row = serde_json::from_str(line).context("the journal cannot be read")?;
            let planned = plan.iter().find(|planned| planned.number == row.injection);
            if planned.is_none_or(|planned| planned.seed != row.seed || planned.fault.name != row.fault) {
                bail!("{} is of another seed or number of injections", path.display());
            }
            rows.push(row);
        }
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("failed to open {}", path.display()))?;
        file.set_len(whole as u64)?;
        Ok((Self { path: path.to_owned(), file }, rows))
    }

    /// Adds a row and puts it on disk.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn add(&mut self, row: &Row) -> Result<()> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("failed to write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::plan::plan;

    #[test]
    fn a_journal_goes_on_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let planned = plan(7, 3, None, |_| true);
        let mut journal = Journal::create(&path).unwrap();
        journal.add(&Row::of(&planned[0])).unwrap();
        journal.file.write_all(br#"{"injection":2,"#).unwrap();
        let (mut journal, rows) = Journal::resume(&path, &planned).unwrap();
        assert_eq!(rows.iter().map(|row| row.injection).collect::<Vec<_>>(), [1]);
        journal.add(&Row::of(&planned[1])).unwrap();
        assert_eq!(Journal::resume(&path, &planned).unwrap().1.len(), 2);
        assert!(Journal::resume(&path, &plan(8, 3, None, |_| true)).is_err());
    }
}
