//! `bench latency`: a case at its rate, as often as it asks, as a result directory.

use std::path::Path;

use anyhow::{Context, Result, bail};
use loadgen::live::Interrupts;

use crate::case::Case;
use crate::doctor::{self, Finding};
use crate::folder::Folder;
use crate::machine;
use crate::measurement::{self, Kind, Measurement, SCHEMA, WarmUp, pool};
use crate::objective::Objective;
use crate::run::{Ran, Run, run};

/// Runs the case, tells `told` what it does, and writes the result.
///
/// # Errors
/// Where something could not be run or written; what was run and went wrong is in the result.
pub fn measure(case: &Case, out: &Path, mut told: impl FnMut(&str)) -> Result<Measurement> {
    let folder = Folder::begin(out, case)?;
    let runner = Runner::new(case, &folder)?;
    let mut runs = Vec::new();
    for number in 1..=case.repetitions {
        told(&format!(
            "run {number} of {}: {} orders/s for {}",
            case.repetitions, case.workload.rate, case.workload.duration
        ));
        runs.push(runner.run(case.workload.rate, number)?);
    }
    let all: Vec<&Ran> = runs.iter().collect();
    let measurement = runner.measurement(Kind::Latency, &all, &all, None)?;
    folder.end(&measurement, &all)?;
    Ok(measurement)
}

/// Runs one case again and again, at whatever rate.
pub(crate) struct Runner<'c> {
    case: &'c Case,
    folder: &'c Folder,
    objective: Option<Objective>,
    doctor: Vec<Finding>,
    interrupts: Interrupts,
}

impl<'c> Runner<'c> {
    /// Looks at the machine before anything runs.
    pub(crate) fn new(case: &'c Case, folder: &'c Folder) -> Result<Self> {
        let scratch = folder.scratch();
        std::fs::create_dir_all(&scratch).with_context(|| format!("failed to make {}", scratch.display()))?;
        let doctor = doctor::examine(&scratch);
        Ok(Self { case, folder, objective: case.objective()?, doctor, interrupts: Interrupts::listen()? })
    }

    /// One run, written into its folder. If it was interrupted, no other is to follow.
    pub(crate) fn run(&self, rate: f64, number: u32) -> Result<Ran> {
        let case = self.case;
        let workload = &case.workload;
        let asked = Run {
            way: case.target.way,
            rate,
            duration: case.duration()?,
            batch: workload.batch,
            connections: workload.connections,
            seed: workload.seed,
            settings: case.target.settings.clone(),
            folder: self.folder.scratch(),
            warm_up: case.warm_up()?,
            limits: case.limits()?,
            probes: case.probes()?,
            doctor: self.doctor.clone(),
            keep_data: false,
        };
        let ran = run(&asked, &case.data(rate)?)?;
        self.folder.run(&number.to_string(), &ran)?;
        if self.interrupts.count() > 0 {
            bail!("interrupted in run {number}: the runs so far are there, and no result of all of them");
        }
        Ok(ran)
    }

    /// The objective held against a run.
    pub(crate) fn hold(&self, ran: &Ran) -> Vec<crate::objective::Held> {
        let held = |objective: &Objective| objective.hold(&ran.report, &ran.lag);
        self.objective.as_ref().map(held).unwrap_or_default()
    }

    /// The result of all runs, whose figures are those of `chosen`.
    pub(crate) fn measurement(
        &self,
        kind: Kind,
        runs: &[&Ran],
        chosen: &[&Ran],
        capacity: Option<measurement::Capacity>,
    ) -> Result<Measurement> {
        let numbered = || (1_u32..).zip(runs);
        let is_chosen = |ran: &Ran| chosen.iter().any(|one| std::ptr::eq(*one, ran));
        let mut reasons: Vec<String> = numbered()
            .filter(|(_, ran)| is_chosen(ran))
            .flat_map(|(number, ran)| {
                ran.report.reasons.iter().map(move |reason| format!("run {number}: {reason}"))
            })
            .collect();
        let first = runs.first().map(|ran| &ran.report);
        let pooled = pool(chosen);
        // Figures of hops are the pipeline's own word, which readers have to confirm.
        reasons.extend(pooled.probes.iter().filter(|(_, compared)| !compared.agree).map(
            |(hop, compared)| {
                format!(
                    "of {} probes of the {hop} {} agree with what was recorded",
                    compared.paired, compared.agreed
                )
            },
        ));
        Ok(Measurement {
            schema: SCHEMA.to_owned(),
            kind,
            title: self.case.title.clone(),
            started_at: first.map(|report| report.started_at.clone()).unwrap_or_default(),
            valid: reasons.is_empty() && !chosen.is_empty(),
            reasons,
            machine: machine::read(),
            doctor: self.doctor.clone(),
            commit: machine::commit(Path::new(".")),
            flake_lock: machine::flake_lock(),
            services: self.case.target.way.services(),
            config: first.map(|report| report.config.clone()).unwrap_or_default(),
            seed: self.case.workload.seed,
            case: self.case.clone(),
            warm_up: WarmUp {
                rule: self.case.warm_up()?.to_string(),
                seconds: runs.iter().map(|ran| ran.warm_up.seconds).collect(),
            },
            every_run: numbered().map(|(number, ran)| self.short(number, ran)).collect(),
            runs: numbered()
                .filter(|(_, ran)| is_chosen(ran))
                .map(|(number, _)| number.to_string())
                .collect(),
            latency_ms: pooled.latency_ms,
            spectra: pooled.spectra,
            resources: pooled.resources,
            processes: pooled.processes,
            probes: pooled.probes,
            capacity,
        })
    }

    fn short(&self, number: u32, ran: &Ran) -> measurement::Run {
        measurement::Run {
            folder: number.to_string(),
            offered_per_second: ran.report.offered_per_second,
            achieved_per_second: ran.report.achieved_per_second,
            valid: ran.report.valid,
            balanced: ran.report.ledger.balanced,
            held: self.hold(ran),
            lag: ran.lag,
            waiting: ran.waiting.clone(),
            load: ran.load.clone(),
        }
    }
}
