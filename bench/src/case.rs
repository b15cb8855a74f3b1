//! A case: what `bench latency` and `bench capacity` run, as a TOML file says it. Read whole and checked before
//! anything starts; a key that is not known is refused, because a limit that is spelt wrong is no limit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::capacity::search::Rules;
use crate::data::Data;
use crate::objective::Objective;
use crate::probe::Probes;
use crate::warm_up::WarmUp;
use crate::way::Way;

/// A case as its file has it. Durations are written as people do: `90s`, `5ms`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is, for the head of the report.
    pub title: String,
    /// What the runs must reach; see [`crate::objective`]. A capacity search needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// `detect`, or a duration such as `5s`; see [`crate::warm_up`].
    #[serde(default = "detect")]
    pub warm_up: String,
    /// Runs, or runs of each rung.
    #[serde(default = "one")]
    pub repetitions: u32,
    /// What is sent.
    pub workload: Workload,
    /// To what.
    pub target: Target,
    /// What must hold for a run to be valid.
    #[serde(default)]
    pub limits: Limits,
    /// The orders that are looked for in the stores; without it none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<ProbesAsked>,
    /// How capacity is searched for; needed by `bench capacity` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Ladder>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Orders a second. A capacity search starts there.
    pub rate: f64,
    /// How long each run sends.
    pub duration: String,
    /// Orders a request.
    #[serde(default = "one_order")]
    pub batch: usize,
    /// Connections, each with one request under way at a time.
    #[serde(default = "fifty")]
    pub connections: usize,
    /// `generated`, `completejourney`, or a file of orders.
    #[serde(default = "generated")]
    pub data: String,
    /// Generated orders are bought as they arrive, instead of over the hours of yesterday.
    #[serde(default)]
    pub live: bool,
    /// What generated orders are drawn from.
    #[serde(default = "first_seed")]
    pub seed: u64,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `embedded` or `native`.
    pub way: Way,
    /// Settings of the pipeline, as `key=value`.
    #[serde(default)]
    pub settings: Vec<String>,
}

/// What must hold for a run to be valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The share of the rate that must be achieved.
    pub min_achieved: f64,
    /// The highest 99th percentile of the generator's own delay.
    pub max_delay: String,
    /// The share of its time that a thread of the generator may compute.
    pub max_cpu: f64,
}

/// Orders that are looked for in the stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbesAsked {
    /// Orders a second, at most ten.
    pub per_second: u32,
    /// How long to wait between two looks.
    pub step: String,
}

/// How capacity is searched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// No rate below this is tried.
    #[serde(default = "least")]
    pub least: f64,
    /// No rate above this is tried.
    #[serde(default = "most")]
    pub most: f64,
    /// How close the rate that holds and the one that fails must be: 0.05 is 5 %.
    #[serde(default = "five_percent")]
    pub precision: f64,
    /// The most runs of the whole search.
    #[serde(default = "sixty")]
    pub runs_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let loadgen::plan::Limits { min_achieved, max_delay, max_cpu } = Default::default();
        Self { min_achieved, max_delay: format!("{}ms", max_delay.as_millis()), max_cpu }
    }
}

impl Case {
    /// Reads a case from a file.
    ///
    /// # Errors
    /// Where it cannot be read, or asks for what cannot be done.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("failed to take {} as a case", path.display()))
    }

    /// Reads a case and looks at every value, so that nothing is found out in the middle.
    ///
    /// # Errors
    /// Where it asks for what cannot be done.
    pub fn parse(text: &str) -> Result<Self> {
        let case: Self = toml::from_str(text)?;
        let duration = case.duration()?;
        case.objective()?;
        case.probes()?;
        case.limits()?;
        case.rules()?;
        ensure!(case.repetitions > 0, "repetitions must be at least 1");
        if let WarmUp::Fixed(seconds) = case.warm_up()? {
            let left = duration.as_secs() > seconds;
            ensure!(left, "a warm-up of {seconds} s leaves nothing of a run of {}", case.workload.duration);
        } else {
            ensure!(duration.as_secs() >= 20, "a warm-up can be detected in a run of 20 s or longer");
        }
        Ok(case)
    }

    /// What the runs must reach, if anything.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn objective(&self) -> Result<Option<Objective>> {
        Ok(self.objective.as_deref().map(Objective::parse).transpose()?)
    }

    /// How long the warm-up is.
    ///
    /// # Errors
    /// Where it is neither `detect` nor a duration.
    pub fn warm_up(&self) -> Result<WarmUp> {
        if self.warm_up == "detect" {
            return Ok(WarmUp::Detected);
        }
        Ok(WarmUp::fixed(time("warm_up", &self.warm_up)?))
    }

    /// How long each run sends.
    ///
    /// # Errors
    /// Where it is no duration.
    pub fn duration(&self) -> Result<Duration> {
        time("workload.duration", &self.workload.duration)
    }

    /// What must hold of the generator for a run to be valid.
    ///
    /// # Errors
    /// Where a share is none, or the delay is no duration.
    pub fn limits(&self) -> Result<loadgen::plan::Limits> {
        let Limits { min_achieved, max_delay, max_cpu } = &self.limits;
        ensure!((0.0..=1.0).contains(min_achieved), "limits.min_achieved is a share from 0 to 1");
        ensure!(*max_cpu > 0.0, "limits.max_cpu is a share above 0");
        let max_delay = time("limits.max_delay", max_delay)?;
        Ok(loadgen::plan::Limits { min_achieved: *min_achieved, max_delay, max_cpu: *max_cpu })
    }

    /// The orders that are looked for.
    ///
    /// # Errors
    /// Where there are none or more than ten a second, or the step is no duration.
    pub fn probes(&self) -> Result<Option<Probes>> {
        let Some(asked) = &self.probes else { return Ok(None) };
        ensure!((1..=10).contains(&asked.per_second), "probes.per_second must be from 1 to 10");
        let step = time("probes.step", &asked.step)?;
        ensure!(!step.is_zero(), "probes.step must be longer than nothing");
        Ok(Some(Probes { per_second: asked.per_second, step }))
    }

    /// How capacity is searched for, if it is.
    ///
    /// # Errors
    /// Where there is no objective, or a number is out of its range.
    pub fn rules(&self) -> Result<Option<Rules>> {
        let Some(ladder) = &self.capacity else { return Ok(None) };
        ensure!(
            self.objective.is_some(),
            "a capacity is the highest rate that meets an objective; there is none"
        );
        let Ladder { least, most, precision, runs_max } = *ladder;
        let start = self.workload.rate;
        ensure!(
            0.0 < least && least <= start && start <= most && most.is_finite(),
            "capacity.least, workload.rate and capacity.most must rise"
        );
        ensure!((0.01..=1.0).contains(&precision), "capacity.precision must be from 0.01 to 1");
        ensure!(self.repetitions % 2 == 1, "repetitions must be odd, so that there is a majority");
        Ok(Some(Rules { start, least, most, precision, repetitions: self.repetitions, runs_max }))
    }

    /// The orders of one run at a rate.
    ///
    /// # Errors
    /// Where they cannot be had.
    pub fn data(&self, rate: f64) -> Result<Data> {
        let workload = &self.workload;
        let mut plan = loadgen::plan::Plan::new("", rate, self.duration()?);
        plan.batch = workload.batch;
        let orders = plan.orders_asked()?;
        if workload.data == "generated" {
            return Data::generated(orders, workload.seed, workload.live);
        }
        let data = Data::replayed(&workload.data, Some(orders))?;
        if data.payload.len() < orders {
            bail!("{} has {} orders; {orders} are wanted", workload.data, data.payload.len());
        }
        Ok(data)
    }
}

fn time(key: &str, text: &str) -> Result<Duration> {
    humantime::parse_duration(text)
        .with_context(|| format!("{key} = {text:?} is no duration such as 5s or 20ms"))
}

fn detect() -> String {
    "detect".to_owned()
}

fn generated() -> String {
    "generated".to_owned()
}

const fn one() -> u32 {
    1
}

const fn one_order() -> usize {
    1
}

const fn fifty() -> usize {
    50
}

const fn first_seed() -> u64 {
    1
}

const fn least() -> f64 {
    10.0
}

const fn most() -> f64 {
    1e6
}

const fn five_percent() -> f64 {
    0.05
}

const fn sixty() -> u32 {
    60
}

#[cfg(test)]
mod tests;
