//! Faults of the servers: killed, restarted, paused, without room on their disk.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::faults::catalogue::Server;
use crate::faults::clients::Counts;
use crate::faults::scene::Scene;
use crate::faults::{mounts, processes};

/// Its supervisor starts it again at once, and recovery counts from there.
pub(super) fn kill(scene: &mut Scene<'_>, server: Server) -> Result<Instant> {
    processes::kill(scene.stack.pid(server.service())?)?;
    let healed = Instant::now();
    scene.stack.mend()?;
    Ok(healed)
}

pub(super) fn restart(scene: &mut Scene<'_>, server: Server) -> Result<Instant> {
    scene.stack.stop(server.service())?;
    scene.hold(0, 1_500);
    let healed = Instant::now();
    scene.stack.mend()?;
    Ok(healed)
}

pub(super) fn pause(scene: &mut Scene<'_>, server: Server) -> Result<Instant> {
    let pid = scene.stack.pid(server.service())?;
    processes::pause(pid)?;
    scene.hold(2_000, 7_000);
    processes::resume(pid)?;
    Ok(Instant::now())
}

pub(super) fn disk_full(scene: &mut Scene<'_>, server: Server) -> Result<Instant> {
    let data = scene.stack.data(server);
    mounts::fill(&data)?;
    scene.hold(3_000, 5_000);
    mounts::free(&data)?;
    // An operator starts each of them again: Kafka ends by itself when it cannot write, and Cassandra takes no more
    // clients. ClickHouse goes on, but a merge that was under way may have put a part in force whose marks are empty:
    // only as it starts does it notice, and go back to the parts that were merged, which it keeps for 8 minutes.
    if server == Server::ClickHouse {
        scene.stack.stop(server.service())?;
    } else {
        // It may have ended.
        let _ = scene.stack.pid(server.service()).and_then(processes::kill);
    }
    let healed = Instant::now();
    scene.stack.mend()?;
    Ok(healed)
}

pub(super) fn embedded_disk_full(scene: &mut Scene<'_>) -> Result<Instant> {
    let data = scene.place.config.embedded.data_dir.clone();
    mounts::fill(&data)?;
    scene.hold(2_000, 4_000);
    mounts::free(&data)?;
    Ok(Instant::now())
}

/// One of three brokers is killed and stays away for a while. Ingest is to go on meanwhile.
pub(super) fn kill_broker(scene: &mut Scene<'_>) -> Result<Instant> {
    let chosen = ["kafka", "kafka-2", "kafka-3"];
    let at = usize::try_from(scene.random.below(3)).unwrap_or(0);
    let service = *chosen.get(at).context("there are three brokers")?;
    let before = scene.load.counts();
    let brokers = scene.brokers.as_mut().context("this fault needs three brokers")?;
    processes::kill(brokers.pid(service)?)?;
    brokers.stop(service)?;
    let away = Instant::now();
    scene.hold(4_000, 8_000);
    let during = scene.load.counts();
    let answers = |status: &str| {
        let of = |counts: &Counts| counts.statuses.get(status).copied().unwrap_or(0);
        of(&during) - of(&before)
    };
    let refused: u64 = ["429", "503", "504", "207"].map(answers).iter().sum();
    scene.notes.push(format!(
        "{service} away for {:.1} s: {} requests accepted, {refused} not or not wholly; no order was accepted for {:.1} s \
         at most",
        away.elapsed().as_secs_f64(),
        answers("202"),
        during.longest_stall_seconds
    ));
    if answers("202") == 0 {
        anyhow::bail!("ingest accepted nothing while one of three brokers was away");
    }
    let healed = Instant::now();
    scene.brokers.as_mut().context("this fault needs three brokers")?.mend()?;
    Ok(healed)
}
