//! Windows in turn: quiet, hostile, quiet, hostile, with the same good load in all of them.

use crate::Options;
use crate::attacking::attacks::attack;
use crate::attacking::bytes::Random;
use crate::attacking::send::{Tally, send};
use crate::good::{self, Good};
use anyhow::{Result, anyhow};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What was sent, and what came back.
#[derive(Default)]
pub struct Run {
    /// The hostile requests, by the answers that they got, which are those that they must.
    pub tally: Tally,
    /// Good orders in windows of quiet, and of hostility.
    pub quiet: Vec<Good>,
    pub hostile: Vec<Good>,
    /// How long the windows of hostility took together.
    pub attacked_for: Duration,
}

/// Runs all windows.
///
/// # Errors
/// Where an attack is not answered as it must be: the sender's panic has said which.
pub fn run(options: &Options, at: SocketAddr) -> Result<Run> {
    let mut run = Run::default();
    for window in 0..options.windows {
        let (good, ()) = beside(options, at, &format!("quiet-{window}"), || {
            thread::sleep(options.quiet);
            Ok(())
        })?;
        run.quiet.push(good);
        let first = options.requests * window / options.windows;
        let end = options.requests * (window + 1) / options.windows;
        let began = Instant::now();
        let (good, tally) =
            beside(options, at, &format!("hostile-{window}"), || attackers(options, at, first..end))?;
        run.attacked_for += began.elapsed();
        run.hostile.push(good);
        run.tally.add(tally);
        let shown = [&run.quiet, &run.hostile].map(|all| all.last().map_or(0.0, Good::p99_ms));
        eprintln!(
            "window {:>3}: {end:>8} hostile requests; p99 of good orders {:.2} ms quiet, {:.2} ms hostile",
            window + 1,
            shown[0],
            shown[1]
        );
    }
    Ok(run)
}

/// Ends the good load, also where what it is beside has failed.
struct Ended<'s>(&'s AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something beside good load.
fn beside<T>(
    options: &Options,
    at: SocketAddr,
    name: &str,
    doing: impl FnOnce() -> Result<T>,
) -> Result<(Good, T)> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| good::send(at, name, options.rate, &stop));
        let ended = Ended(&stop);
        let done = doing();
        drop(ended);
        let good = sender.join().map_err(|_| anyhow!("the sender of good orders failed"))?;
        Ok((good, done?))
    })
}

/// Sends the attacks of a range, from several connections at once.
fn attackers(options: &Options, at: SocketAddr, range: Range<usize>) -> Result<Tally> {
    let part = |number: usize| range.start + range.len() * number / options.attackers;
    thread::scope(|scope| {
        let senders: Vec<_> = (0..options.attackers)
            .map(|number| {
                let own = part(number)..part(number + 1);
                scope.spawn(move || send_all(options.seed, at, own))
            })
            .collect();
        let mut all = Tally::default();
        for sender in senders {
            all.add(sender.join().map_err(|_| anyhow!("an attack was not answered as it must be"))?);
        }
        Ok(all)
    })
}

/// Sends attacks one after the other, each on a connection of its own: after most of them the server ends it, as it may.
fn send_all(seed: u64, at: SocketAddr, range: Range<usize>) -> Tally {
    let mut tally = Tally::default();
    for number in range {
        let attack = attack(&mut Random(seed.wrapping_mul(1 << 32) + number as u64), number);
        send(at, &attack, &mut tally);
    }
    tally
}
