//! `bench capacity`: the highest rate that meets an objective, found by running a case at one rate after the other.

pub mod search;

use std::path::Path;

use anyhow::{Context, Result};

use crate::case::Case;
use crate::figures::{latency, rate as written};
use crate::folder::Folder;
use crate::latency::Runner;
use crate::logs::Logs;
use crate::measurement::{Capacity, Kind, Measurement, RunAtRate, Rung, runs_at};
use crate::run::Ran;
use crate::saturation::{Symptoms, read};
use search::{Search, Step};

/// Searches, tells `told` each step of the ladder, and writes the result.
///
/// # Errors
/// Where the case asks for no capacity, or something could not be run or written.
pub fn measure(case: &Case, out: &Path, mut told: impl FnMut(&str)) -> Result<Measurement> {
    let rules = case.rules()?.context("the case has no [capacity], which says how to search")?;
    let folder = Folder::begin(out, case)?;
    let runner = Runner::new(case, &folder)?;
    let mut search = Search::new(rules);
    let mut runs: Vec<Ran> = Vec::new();
    let mut said: Vec<RunAtRate> = Vec::new();
    let found = loop {
        let rate = match search.step() {
            Step::Done(found) => break found,
            Step::Run(rate) => rate,
        };
        let number = u32::try_from(runs.len() + 1)?;
        let mut ran = runner.run(rate, number)?;
        let held = runner.hold(&ran);
        let missed = held.iter().filter(|held| !held.met);
        let missed: Vec<String> = missed
            .map(|held| format!("{}: {}", held.term, held.found))
            .chain(ran.report.reasons.iter().cloned())
            .collect();
        let met = missed.is_empty();
        told(&line(rate, met, &ran, &missed));
        search.take(met);
        said.push(RunAtRate { folder: number.to_string(), met, missed, latency_ms: ran.report.latency_ms });
        // They are on disk, and of many runs they would fill the memory.
        ran.logs = Logs::default();
        runs.push(ran);
    };

    let rungs = rungs(&search, said);
    // The figures are those of the runs that held, which the verdict counts: a run that did not is in the ladder. Without
    // a rate that holds, they are those of the lowest that was tried.
    let lowest = rungs.iter().map(|rung| rung.rate).fold(f64::INFINITY, f64::min);
    let chosen = match found.rate {
        Some(rate) => runs_at(&rungs, rate).filter(|run| run.met).map(|run| run.folder.clone()).collect(),
        None => folders_at(&rungs, lowest),
    };
    for number in &chosen {
        if let Some(ran) = nth(&mut runs, number) {
            ran.logs = folder.logs(number)?;
        }
    }
    let failed = found.fails_at.map(|rate| folders_at(&rungs, rate)).unwrap_or_default();
    let is_failed = |run: &&RunAtRate| failed.contains(&run.folder) && !run.met;
    let first_failed = rungs.iter().flat_map(|rung| &rung.runs).find(is_failed).map(|run| run.folder.clone());
    let saturated = first_failed.and_then(|number| nth(&mut runs, &number)).map_or_else(Vec::new, |ran| {
        read(&ran.load, Symptoms { late: ran.late, latency: &ran.report.latency_ms, lag: ran.lag })
    });
    let all: Vec<&Ran> = runs.iter().collect();
    let chosen: Vec<&Ran> = (1..)
        .zip(&runs)
        .filter(|(number, _)| chosen.contains(&number.to_string()))
        .map(|(_, ran)| ran)
        .collect();
    let capacity = Capacity { found, rungs, saturated };
    let measurement = runner.measurement(Kind::Capacity, &all, &chosen, Some(capacity))?;
    folder.end(&measurement, &chosen)?;
    Ok(measurement)
}

/// The folders of all runs at a rate.
fn folders_at(rungs: &[Rung], rate: f64) -> Vec<String> {
    runs_at(rungs, rate).map(|run| run.folder.clone()).collect()
}

/// The run whose folder has this name.
fn nth<'r>(runs: &'r mut [Ran], folder: &str) -> Option<&'r mut Ran> {
    runs.get_mut(folder.parse::<usize>().ok()?.checked_sub(1)?)
}

/// The rungs of the search with what their runs said.
fn rungs(search: &Search, said: Vec<RunAtRate>) -> Vec<Rung> {
    let mut said = said.into_iter();
    let rung = |rung: &search::Rung| {
        let runs: Vec<RunAtRate> = said.by_ref().take(rung.met.len()).collect();
        let met = runs.iter().filter(|run| run.met).count() * 2 > runs.len();
        Rung { rate: rung.rate, confirms: rung.confirms, met, runs }
    };
    search.rungs().iter().map(rung).collect()
}

/// A run in a line of the ladder.
fn line(rate: f64, met: bool, ran: &Ran, missed: &[String]) -> String {
    let (response, rollup) = (ran.report.latency_ms.response, ran.report.latency_ms.rollup);
    let verdict = if met { "holds".to_owned() } else { format!("fails: {}", missed.join("; ")) };
    format!(
        "{:>9}/s  response p99 {:>8}  rollup p99 {:>8}  lag {:<28} {verdict}",
        written(rate),
        latency(response.p99),
        latency(rollup.p99),
        ran.lag.to_string(),
    )
}
