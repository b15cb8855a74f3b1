//! The suite: a plan carried out injection by injection, journaled, on a stack that is brought up for it and taken down.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::catalogue::Needs;
use super::clients::Offer;
use super::injection::{self, Setting};
use super::journal::{Journal, Row};
use super::plan::{Planned, plan};
use super::report::Report;
use super::stack::Stack;
use super::{mounts, processes, slot};

/// Somebody wants the suite to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What to do.
#[derive(Clone, Debug)]
pub struct Suite {
    /// What decides all choices and moments.
    pub seed: u64,
    /// How many injections.
    pub injections: u64,
    /// Only faults whose name has this in it.
    pub only: Option<String>,
    /// Whether to go on where an earlier suite was interrupted.
    pub resume: bool,
    /// The folder for journal, report and evidence.
    pub folder: PathBuf,
    /// Where the stack is, or is to be.
    pub stack_home: PathBuf,
    /// What is added to each of its ports.
    pub port_base: u16,
    /// Whether the stack is up already and may be broken. It is then left as it is, and no disk is filled.
    pub found: bool,
    /// Whether logs of what passed are kept.
    pub keep: bool,
    /// Orders a second.
    pub rate: u32,
}

/// Carries the plan out, telling each row as it comes, and returns the report.
///
/// # Errors
/// Where there is no stack, or the suite was interrupted; what goes wrong in an injection is in its row.
pub fn run(suite: &Suite, mut told: impl FnMut(&Row)) -> Result<Report> {
    std::fs::create_dir_all(&suite.folder)
        .with_context(|| format!("failed to create {}", suite.folder.display()))?;
    let mark = mark_of(&suite.folder)?;
    clean(&suite.folder, &mark)?;
    let can_fill = mounts::possible() && !suite.found;
    let planned = plan(suite.seed, suite.injections, suite.only.as_deref(), |needs| match needs {
        Needs::Mounts => can_fill,
        Needs::FakeTime => slot::fake_time().is_some(),
        Needs::Brokers => !suite.found,
        Needs::Stack => true,
    });
    if planned.is_empty() {
        bail!("there is no such fault that can be tried here");
    }
    let path = suite.folder.join("journal.jsonl");
    let (mut journal, mut rows) =
        if suite.resume { Journal::resume(&path, &planned)? } else { (Journal::create(&path)?, Vec::new()) };
    let left: Vec<&Planned> =
        planned.iter().filter(|planned| rows.iter().all(|row| row.injection != planned.number)).collect();
    if !left.is_empty() {
        let mut stack = if suite.found {
            Stack::found(&suite.stack_home, suite.port_base)?
        } else {
            Stack::up(&suite.stack_home, suite.port_base, can_fill)?
        };
        // Declared after the stack, so that they are taken down before it.
        let mut brokers: Option<Stack> = None;
        let offer = Offer {
            per_second: suite.rate,
            senders: 6,
            batch: 6,
            patience: Duration::from_secs(12),
            again_soon: false,
        };
        let setting = Setting { folder: &suite.folder, mark: &mark, offer, keep: suite.keep };
        let stopped = |rows: &[Row]| anyhow!("interrupted after {} injections; --resume goes on", rows.len());
        for planned in left {
            if interrupted() {
                return Err(stopped(&rows));
            }
            let needs_three = planned.fault.needs() == Needs::Brokers;
            if needs_three && brokers.is_none() {
                brokers = Some(Stack::three_brokers(&stack)?);
            }
            let three = brokers.as_mut().filter(|_| needs_three);
            let row = injection::run(&setting, planned, &mut stack, three);
            // What was interrupted is not written down, so that it is done again, also where it is the last.
            if interrupted() && !row.passed() {
                return Err(stopped(&rows));
            }
            journal.add(&row)?;
            told(&row);
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.injection);
    let report = Report::of(rows);
    let path = suite.folder.join("report.json");
    std::fs::write(&path, serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("failed to write {}", path.display()))?;
    Ok(report)
}

/// What the processes of a folder's suite are marked with.
///
/// # Errors
/// Where there is no such folder.
pub fn mark_of(folder: &Path) -> Result<String> {
    Ok(folder.canonicalize().context("failed to find the suite's folder")?.display().to_string())
}

/// Ends and unmounts what an earlier suite left.
///
/// # Errors
/// Where something is left.
pub fn clean(folder: &Path, mark: &str) -> Result<()> {
    processes::end_leftovers(mark)?;
    mounts::unmount_below(folder)
}

/// Ends the suite after the injection that is under way.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether somebody wants it to end.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}
