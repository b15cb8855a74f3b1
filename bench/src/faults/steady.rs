//! What soak and outage have in common: a long, steady load over a stack whose data are on the disk, with the pipeline's
//! own time-outs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::check::{Foreign, Found, check};
use super::clients::{Counts, Load, Offer};
use super::place::Place;
use super::stack::Stack;
use super::suite::{clean, mark_of};
use super::watch::Watch;

/// How long what is behind may take to be stored at the end.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(600);

/// How such a run is done.
#[derive(Clone, Debug)]
pub struct Steady {
    /// The folder for what it writes.
    pub folder: PathBuf,
    /// The home of its stack.
    pub stack_home: PathBuf,
    /// What is added to each of the stack's ports.
    pub port_base: u16,
    /// Orders a second.
    pub rate: u32,
    /// What the orders are drawn from.
    pub seed: u64,
}

impl Steady {
    /// Cleans up after an earlier run and returns what processes are marked with.
    pub(super) fn prepare(&self) -> Result<String> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("failed to create {}", self.folder.display()))?;
        let mark = mark_of(&self.folder)?;
        clean(&self.folder, &mark)?;
        Ok(mark)
    }

    pub(super) fn place(&self, name: &str, mark: &str, stack: &Stack) -> Result<Place> {
        let folder = self.folder.join(name);
        // What an earlier run has left; if it cannot be deleted, it is written over.
        let _ = std::fs::remove_dir_all(&folder);
        let run = format!("{name}_{}", pipeline::time::now() / 1_000_000);
        Place::new(&folder, &run, mark, Some(&stack.addresses()?), &["observe.log=info"])
    }

    pub(super) const fn offer(&self) -> Offer {
        Offer {
            per_second: self.rate,
            senders: 16,
            batch: 20,
            patience: Duration::from_secs(25),
            again_soon: true,
        }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path: &Path = &self.folder.join(name);
        std::fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
    }
}

/// Ends the load, sends again what is open, waits until all is stored, and compares.
pub(super) fn end(place: &mut Place, load: Load) -> Result<(Found, Counts)> {
    let watch = Watch::of(place)?;
    let mut senders = load.end()?;
    senders.settle(CAUGHT_UP_WITHIN)?;
    let ends = watch.ends_within(place, CAUGHT_UP_WITHIN)?;
    watch.wait_until(place, &ends, CAUGHT_UP_WITHIN)?;
    place.stop()?;
    let found = check(place, &senders, &Foreign::default(), true)?;
    Ok((found, senders.counts()))
}

/// What is wrong with what was found.
pub(super) fn wrong(found: &Found) -> Vec<String> {
    let mut reasons = found.differences.clone();
    for (what, count) in [("lost", found.lost), ("doubled", found.doubled), ("ghosts", found.ghosts)] {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    }
    reasons
}
