//! What each fault does: it breaks something at once, holds it for a while that the seed decides, and heals it. All of it
//! happens under load. Returned is the moment from which the pipeline could recover.

mod handovers;
mod records;
mod servers;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::catalogue::{Act, Link, Part};
use super::processes;
use super::proxy::{Mode, Trick};
use super::scene::Scene;

/// Does what a fault does.
///
/// # Errors
/// Where it could not be done, or did not strike.
pub fn inject(scene: &mut Scene<'_>, act: Act) -> Result<Instant> {
    match act {
        Act::Kill(parts) => kill(scene, parts),
        Act::EmbeddedKill => embedded_kill(scene),
        Act::Pause(part) => pause(scene, part),
        Act::Clock(part, seconds) => clock(scene, part, seconds),
        Act::Cut(link) => link_mode(scene, link, Mode::Cut, (1_500, 4_000)),
        Act::BlackHole(link) => link_mode(scene, link, Mode::Hold, (2_000, 6_000)),
        Act::ProduceTimeout => link_mode(scene, Link::IngestKafka, Mode::Hold, (4_500, 6_500)),
        Act::Slow(link) => slow(scene, link),
        Act::LoseReply => lose_replies(scene),
        Act::ForgeReply => forge_reply(scene),
        Act::KillBeforeLook => handovers::kill_before_look(scene),
        Act::HandOver => handovers::hand_over(scene),
        Act::LateInsert => handovers::late_insert(scene),
        Act::Zombie => handovers::zombie(scene),
        Act::StalledCommit => handovers::stalled_commit(scene),
        Act::LateCommit => handovers::late_commit(scene),
        Act::Join => handovers::join(scene),
        Act::BurnToken => records::burn_token(scene),
        Act::Rubbish => records::rubbish(scene),
        Act::Twice => records::twice(scene),
        Act::KillServer(server) => servers::kill(scene, server),
        Act::Restart(server) => servers::restart(scene, server),
        Act::PauseServer(server) => servers::pause(scene, server),
        Act::DiskFull(server) => servers::disk_full(scene, server),
        Act::EmbeddedDiskFull => servers::embedded_disk_full(scene),
        Act::KillBroker => servers::kill_broker(scene),
    }
}

fn kill(scene: &mut Scene<'_>, parts: &[Part]) -> Result<Instant> {
    let places = parts.iter().map(|part| scene.first(*part)).collect::<Result<Vec<_>>>()?;
    for at in &places {
        scene.place.slot(*at)?.kill()?;
    }
    scene.hold(0, 1_000);
    let healed = Instant::now();
    for at in places {
        scene.place.start(at)?;
    }
    Ok(healed)
}

fn embedded_kill(scene: &mut Scene<'_>) -> Result<Instant> {
    let mut healed = kill(scene, &[Part::Ingest])?;
    for _ in 0..2 {
        scene.hold(200, 1_500);
        healed = kill(scene, &[Part::Ingest])?;
    }
    Ok(healed)
}

fn pause(scene: &mut Scene<'_>, part: Part) -> Result<Instant> {
    let at = scene.first(part)?;
    let pid = scene.pid(at)?;
    processes::pause(pid)?;
    match part {
        Part::Ingest => scene.hold(2_000, 7_000),
        Part::Process => scene.hold(1_500, 4_000),
    }
    processes::resume(pid)?;
    Ok(Instant::now())
}

fn clock(scene: &mut Scene<'_>, part: Part, seconds: i64) -> Result<Instant> {
    let at = scene.first(part)?;
    scene.place.slot(at)?.set_clock(seconds)?;
    // The new time is looked up once a second.
    scene.hold(3_000, 5_000);
    scene.place.slot(at)?.set_clock(0)?;
    thread::sleep(Duration::from_secs(1));
    Ok(Instant::now())
}

fn link_mode(
    scene: &mut Scene<'_>,
    link: Link,
    mode: Mode,
    (least_ms, most_ms): (u64, u64),
) -> Result<Instant> {
    scene.set(link, mode)?;
    scene.hold(least_ms, most_ms);
    scene.set(link, Mode::Pass)?;
    Ok(Instant::now())
}

fn slow(scene: &mut Scene<'_>, link: Link) -> Result<Instant> {
    let delay = scene.random.between(40, 150);
    let bytes_per_second = 32_000 + 1_000 * u32::try_from(scene.random.below(200)).unwrap_or(0);
    link_mode(scene, link, Mode::Slow { delay, bytes_per_second }, (3_000, 5_000))
}

fn lose_replies(scene: &mut Scene<'_>) -> Result<Instant> {
    for _ in 0..3 {
        scene.play(Trick::LoseReply)?;
        scene.hold(50, 300);
    }
    Ok(Instant::now())
}

fn forge_reply(scene: &mut Scene<'_>) -> Result<Instant> {
    scene.play(Trick::Forge)?;
    Ok(Instant::now())
}
