//! Faults in which one processor takes over what another has not finished.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::faults::catalogue::{Link, Part};
use crate::faults::processes;
use crate::faults::proxy::{Mode, Trick};
use crate::faults::scene::{SESSION, Scene};

/// From an insert's end to its answer, and from there to the next request.
const ANSWERED: Duration = Duration::from_millis(300);
/// A group is empty when the session of its last member is over.
const GROUP_EMPTY_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn kill_before_look(scene: &mut Scene<'_>) -> Result<Instant> {
    let at = scene.first(Part::Process)?;
    scene.play(Trick::HoldAfter)?;
    thread::sleep(ANSWERED);
    scene.place.slot(at)?.kill()?;
    scene.rollups()?.release();
    let healed = Instant::now();
    scene.place.start(at)?;
    Ok(healed)
}

/// The insert is done, its reply comes when another processor has joined.
pub(super) fn hand_over(scene: &mut Scene<'_>) -> Result<Instant> {
    scene.play(Trick::HoldReply)?;
    scene.start_another(Part::Process)?;
    scene.hold(1_000, 4_000);
    scene.rollups()?.release();
    Ok(Instant::now())
}

/// The insert arrives when another processor has stored the same offsets.
pub(super) fn late_insert(scene: &mut Scene<'_>) -> Result<Instant> {
    let old = scene.first(Part::Process)?;
    scene.play(Trick::HoldRequest)?;
    scene.place.slot(old)?.link(Link::ProcessKafka)?.set(Mode::Hold);
    scene.start_another(Part::Process)?;
    thread::sleep(SESSION);
    scene.wait_for_a_block()?;
    scene.rollups()?.release();
    scene.hold(200, 800);
    scene.place.slot(old)?.link(Link::ProcessKafka)?.set(Mode::Pass);
    Ok(Instant::now())
}

pub(super) fn zombie(scene: &mut Scene<'_>) -> Result<Instant> {
    let old = scene.first(Part::Process)?;
    scene.start_another(Part::Process)?;
    scene.hold(500, 2_000);
    let pid = scene.pid(old)?;
    processes::pause(pid)?;
    thread::sleep(SESSION);
    scene.hold(1_000, 3_000);
    let healed = Instant::now();
    processes::resume(pid)?;
    Ok(healed)
}

/// What a processor sends to Kafka, its commits among it, arrives when another one has its partitions.
pub(super) fn stalled_commit(scene: &mut Scene<'_>) -> Result<Instant> {
    let old = scene.first(Part::Process)?;
    scene.start_another(Part::Process)?;
    scene.hold(500, 2_000);
    scene.place.slot(old)?.link(Link::ProcessKafka)?.set(Mode::Hold);
    thread::sleep(SESSION);
    scene.hold(1_000, 3_000);
    scene.place.slot(old)?.link(Link::ProcessKafka)?.set(Mode::Pass);
    Ok(Instant::now())
}

/// The position that an old owner committed comes after newer ones, when nobody is there to say otherwise.
pub(super) fn late_commit(scene: &mut Scene<'_>) -> Result<Instant> {
    let at = scene.first(Part::Process)?;
    let old = scene.watch.stored(&scene.place)?;
    scene.hold(1_000, 2_000);
    scene.wait_for_a_block()?;
    scene.place.slot(at)?.kill()?;
    let kafka = &scene.place.config.kafka;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &kafka.brokers).set("group.id", &kafka.group);
    let consumer: BaseConsumer = client.set("enable.auto.commit", "false").create()?;
    let mut positions = TopicPartitionList::new();
    for (partition, next) in (0..).zip(&old) {
        positions.add_partition_offset(&kafka.topic, partition, Offset::Offset(*next))?;
    }
    let started = Instant::now();
    while let Err(error) = consumer.commit(&positions, CommitMode::Sync) {
        if started.elapsed() > GROUP_EMPTY_WITHIN {
            return Err(error).context("the old position was not taken");
        }
        thread::sleep(Duration::from_millis(200));
    }
    let committed = consumer.committed_offsets(positions, GROUP_EMPTY_WITHIN)?;
    if committed.elements().iter().zip(&old).any(|(found, old)| found.offset() != Offset::Offset(*old)) {
        bail!("the old position was not committed");
    }
    let healed = Instant::now();
    scene.place.start(at)?;
    Ok(healed)
}

pub(super) fn join(scene: &mut Scene<'_>) -> Result<Instant> {
    let second = scene.start_another(Part::Process)?;
    scene.hold(500, 2_000);
    let third = scene.start_another(Part::Process)?;
    scene.hold(500, 2_000);
    scene.place.slot(second)?.stop()?;
    scene.hold(0, 1_000);
    scene.place.slot(third)?.kill()?;
    Ok(Instant::now())
}
