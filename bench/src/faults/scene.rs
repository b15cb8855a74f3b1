//! What an injection works on, and the words in which faults are told: kill, hold, wait for a hit.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::catalogue::{Link, Part};
use super::check::Foreign;
use super::clients::Load;
use super::place::Place;
use super::proxy::{Mode, Proxy, Trick};
use super::random::Random;
use super::stack::Stack;
use super::watch::Watch;

/// Blocks follow each other within a second, so an insert comes soon.
const HIT_WITHIN: Duration = Duration::from_secs(20);
/// How long a block may take while nothing is broken but a processor is new.
const BLOCK_WITHIN: Duration = Duration::from_secs(60);
/// A processor that is not heard of for so long loses its partitions, and others need a little to take them over.
pub const SESSION: Duration = Duration::from_millis(6_000);

/// What an injection works on.
pub struct Scene<'s> {
    /// The servers.
    pub stack: &'s mut Stack,
    /// Three brokers, where the fault needs them.
    pub brokers: Option<&'s mut Stack>,
    /// The data and the processes.
    pub place: Place,
    /// The load.
    pub load: Load,
    /// What looks on.
    pub watch: Watch,
    /// What decides the moments.
    pub random: Random,
    /// What was written past ingest.
    pub foreign: Foreign,
    /// What is worth telling.
    pub notes: Vec<String>,
}

impl Scene<'_> {
    /// Waits for some time between two, in milliseconds, while the load goes on.
    pub fn hold(&mut self, least_ms: u64, most_ms: u64) {
        thread::sleep(self.random.between(least_ms, most_ms));
    }

    /// The place of the first process of a part.
    pub(super) fn first(&self, part: Part) -> Result<usize> {
        self.place.first(part)
    }

    /// The process id of a place.
    pub(super) fn pid(&mut self, at: usize) -> Result<u32> {
        Ok(self.place.slot(at)?.process().context("it does not run")?.pid())
    }

    /// Adds a process and starts it.
    pub(super) fn start_another(&mut self, part: Part) -> Result<usize> {
        let at = self.place.add(part)?;
        self.place.start(at)?;
        Ok(at)
    }

    /// Sets the mode of a link of all processes that have it.
    pub(super) fn set(&self, link: Link, mode: Mode) -> Result<()> {
        let proxies = self.place.slots.iter().filter_map(|slot| slot.link(link).ok());
        let set = proxies.map(|proxy| proxy.set(mode)).count();
        if set == 0 { bail!("no process has the link {link:?}") } else { Ok(()) }
    }

    /// The way of the first processor to ClickHouse.
    pub(super) fn rollups(&self) -> Result<&Proxy> {
        let at = self.first(Part::Process)?;
        self.place.slots.get(at).context("there is no processor")?.link(Link::ProcessClickHouse)
    }

    /// Plays a trick on the next insert of the first processor, and waits until there was one.
    pub(super) fn play(&self, trick: Trick) -> Result<()> {
        let proxy = self.rollups()?;
        let (before, started) = (proxy.hits(), Instant::now());
        proxy.play(trick);
        while proxy.hits() == before {
            if started.elapsed() > HIT_WITHIN {
                bail!("no insert came within {HIT_WITHIN:?} on which to play {trick:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits until something more is stored.
    pub(super) fn wait_for_a_block(&mut self) -> Result<()> {
        let before = self.watch.stored(&self.place)?;
        self.watch.wait_more(&mut self.place, &before, BLOCK_WITHIN)
    }
}
