//! Signals to processes, and the processes that a suite that was killed has left.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A variable that every process of ours bears, whose value is the suite's folder.
pub const MARK: &str = "TILLFLOW_FAULTS_FOLDER";

fn pid(process: u32) -> Result<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw).context("that is no process id")
}

/// Sends a signal.
///
/// # Errors
/// Where there is no such process.
pub fn signal(process: u32, signal: Signal) -> Result<()> {
    kill_process(pid(process)?, signal).with_context(|| format!("failed to signal process {process}"))
}

/// Stops a process until it is told to go on.
///
/// # Errors
/// Where there is no such process.
pub fn pause(process: u32) -> Result<()> {
    signal(process, Signal::STOP)
}

/// Lets a stopped process go on.
///
/// # Errors
/// Where there is no such process.
pub fn resume(process: u32) -> Result<()> {
    signal(process, Signal::CONT)
}

/// kill -9.
///
/// # Errors
/// Where there is no such process.
pub fn kill(process: u32) -> Result<()> {
    signal(process, Signal::KILL)
}

/// Kills the processes that bear the mark of a folder, and returns how many there were.
///
/// # Errors
/// Where the processes of this machine cannot be listed.
pub fn end_leftovers(folder: &str) -> io::Result<usize> {
    let mark = format!("{MARK}={folder}");
    let mut ended = 0;
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Of those that have ended, and of other users', nothing is read.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let bears = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        if bears && process != std::process::id() && kill(process).is_ok() {
            ended += 1;
        }
    }
    Ok(ended)
}
