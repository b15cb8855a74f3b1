//! One injection from beginning to end: a place of its own, a load, the fault, recovery, and the verdict.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::catalogue::{Act, Part};
use super::check::{Foreign, check};
use super::clients::{Load, Offer};
use super::inject::inject;
use super::journal::Row;
use super::mounts;
use super::place::{Place, SHORT};
use super::plan::Planned;
use super::random::Random;
use super::scene::Scene;
use super::stack::Stack;
use super::watch::Watch;

/// A processor's first block, when nothing is broken.
const FIRST_BLOCK_WITHIN: Duration = Duration::from_secs(60);
/// How long all of it may take to recover, a restart of any server included.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// The room of the embedded files, in MiB.
const EMBEDDED_ROOM: u32 = 48;

/// What injections have in common.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'s> {
    /// The suite's folder.
    pub folder: &'s Path,
    /// What the processes are marked with.
    pub mark: &'s str,
    /// The load.
    pub offer: Offer,
    /// Whether logs of what passed are kept too.
    pub keep: bool,
}

/// Does an injection. What goes wrong in it is in the row.
pub fn run(setting: &Setting<'_>, planned: &Planned, stack: &mut Stack, brokers: Option<&mut Stack>) -> Row {
    let started = Instant::now();
    let mut row = Row::of(planned);
    let name: String = planned
        .fault
        .name
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '-' })
        .collect();
    let folder = setting.folder.join("injections").join(format!("{:03}-{name}", planned.number));
    // What an interrupted try has left.
    let _ = mounts::unmount_below(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    if let Err(error) = carry_out(setting, planned, stack, brokers, &folder, &mut row) {
        row.reason = Some(format!("{error:#}"));
    }
    let _ = mounts::unmount_below(&folder);
    if row.passed() && !setting.keep {
        let _ = std::fs::remove_dir_all(&folder);
    } else {
        keep_evidence(stack, &folder);
        row.evidence = Some(folder);
    }
    row.seconds = started.elapsed().as_secs_f64();
    row
}

fn carry_out(
    setting: &Setting<'_>,
    planned: &Planned,
    stack: &mut Stack,
    mut brokers: Option<&mut Stack>,
    folder: &Path,
    row: &mut Row,
) -> Result<()> {
    stack.mend()?;
    let mut addresses = stack.addresses()?;
    if let Some(brokers) = brokers.as_deref_mut() {
        brokers.mend()?;
        addresses.kafka = brokers.addresses()?.kafka;
    }
    let name = format!("f{}_{}", planned.number, pipeline::time::now() / 1_000_000);
    let addresses = (!planned.fault.is_embedded()).then_some(&addresses);
    if planned.fault.act == Act::EmbeddedDiskFull {
        mounts::mount(&folder.join("data"), EMBEDDED_ROOM)?;
    }
    let mut place = Place::new(folder, &name, setting.mark, addresses, &SHORT)?;
    place.add(Part::Ingest)?;
    if addresses.is_some() {
        place.add(Part::Process)?;
    }
    if let Act::Clock(part, _) = planned.fault.act {
        let at = place.first(part)?;
        place.slot(at)?.with_clock(folder)?;
    }
    for at in 0..place.slots.len() {
        place.start(at)?;
    }
    let watch = Watch::of(&place)?;
    let load = Load::start(setting.offer, place.fronts(), planned.seed);
    let random = Random::new(planned.seed, u64::MAX / 2);
    let (foreign, notes) = (Foreign::default(), Vec::new());
    let mut scene = Scene { stack, brokers, place, load, watch, random, foreign, notes };
    let done = perform(&mut scene, planned.fault.act, row);
    let Scene { mut place, load, foreign, notes, watch, .. } = scene;
    row.notes = notes;
    // The load ends in any case, so that no sender outlives its injection.
    let mut senders = load.end()?;
    row.answers = senders.counts();
    done?;

    let ends = watch.ends_within(&mut place, RECOVERED_WITHIN)?;
    watch.wait_until(&mut place, &ends, RECOVERED_WITHIN).context("after the load had ended")?;
    let unsettled = check(&place, &senders, &foreign, false)?;
    row.open = unsettled.unknown + unsettled.failed;
    row.retried = senders.settle(SETTLED_WITHIN)?;
    let ends = watch.ends_within(&mut place, RECOVERED_WITHIN)?;
    watch.wait_until(&mut place, &ends, RECOVERED_WITHIN).context("after the retries")?;
    row.answers = senders.counts();
    row.exits = place.slots.iter().map(|slot| slot.exits).sum();
    if let Err(error) = place.stop() {
        // librdkafka waits until times of the wall clock: set back, its threads may wait for as long as it was ahead.
        if !matches!(planned.fault.act, Act::Clock(..)) {
            return Err(error);
        }
        row.notes.push(format!("it was killed: {error:#}"));
    }
    row.found = check(&place, &senders, &foreign, true)?;
    row.found.lost = row.found.lost.max(unsettled.lost);
    row.found.ghosts = row.found.ghosts.max(unsettled.ghosts);
    row.found
        .differences
        .extend(unsettled.differences.into_iter().map(|it| format!("before the retries: {it}")));
    place.drop_data();
    Ok(())
}

/// Lets the load run, injects, and waits for recovery.
fn perform(scene: &mut Scene<'_>, act: Act, row: &mut Row) -> Result<()> {
    let none = scene.watch.stored(&scene.place)?;
    scene.watch.wait_more(&mut scene.place, &none, FIRST_BLOCK_WITHIN)?;
    scene.hold(300, 2_000);
    let healed = inject(scene, act).context("the fault could not be injected")?;
    let before = stored_soon(scene)?;
    scene.watch.wait_more(&mut scene.place, &before, RECOVERED_WITHIN)?;
    row.first_block_seconds = Some(healed.elapsed().as_secs_f64());
    let ends = scene.watch.ends_within(&mut scene.place, RECOVERED_WITHIN)?;
    scene.watch.wait_until(&mut scene.place, &ends, RECOVERED_WITHIN)?;
    row.recovery_seconds = Some(healed.elapsed().as_secs_f64());
    Ok(())
}

/// How far the rollups are, as soon as they tell.
fn stored_soon(scene: &Scene<'_>) -> Result<Vec<i64>> {
    let started = Instant::now();
    loop {
        match scene.watch.stored(&scene.place) {
            Err(error) if started.elapsed() > RECOVERED_WITHIN => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
            stored => return stored,
        }
    }
}

/// Puts the servers' logs beside those of the processes.
fn keep_evidence(stack: &Stack, folder: &Path) {
    let Ok(entries) = std::fs::read_dir(stack.logs()) else { return };
    for entry in entries.flatten() {
        let to: PathBuf = folder.join(entry.file_name());
        // A log that cannot be copied is still where it was.
        let _ = std::fs::copy(entry.path(), to);
    }
}
