//! The search for the highest rate that meets an objective: a state machine over what the runs at each rate said. Pure; it
//! knows rates and verdicts, no clock and no system.
//!
//! It doubles the rate from where it starts until a rung fails, halves it until one holds, then bisects between the two,
//! by their geometric mean, until they are closer than the precision. A rung is the majority of up to so many runs, and
//! ends as soon as the majority is certain, so that one unlucky run moves nothing. The rate that is found is
//! then run once more as a rung of its own: luck that chose it is not luck that confirms it. If it fails there, all that
//! was learnt at or above it is given up, and the search goes on below.

use serde::{Deserialize, Serialize};

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The first rate, in orders a second.
    pub start: f64,
    /// No rate below this is tried.
    pub least: f64,
    /// No rate above this is tried.
    pub most: f64,
    /// How close the bracket must be: 0.05 ends where the rate that fails is at most 5 % above the one that holds.
    pub precision: f64,
    /// Runs of a rung; odd, so that there is a majority.
    pub repetitions: u32,
    /// The most runs of the whole search.
    pub runs_max: u32,
}

/// A rate, and what the runs at it said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Orders a second.
    pub rate: f64,
    /// Whether each run met the objective, in their order.
    pub met: Vec<bool>,
    /// True for the rung that confirms what was found.
    pub confirms: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Run at this rate.
    Run(f64),
    /// It is over.
    Done(Capacity),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The highest rate that met the objective; nothing if none did. See [`Capacity::confirmed`].
    pub rate: Option<f64>,
    /// The lowest rate above it that did not; nothing if none was found.
    pub fails_at: Option<f64>,
    /// Why the search ended.
    pub end: End,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The two rates are as close as was asked.
    Close,
    /// The highest rate that may be tried held.
    Most,
    /// The lowest rate that may be tried failed.
    Least,
    /// There were as many runs as were allowed, and the rate was not confirmed.
    Runs,
}

impl Capacity {
    /// Whether there is a rate, and it held once more when it was run again.
    pub fn confirmed(&self) -> bool {
        self.rate.is_some() && self.end != End::Runs
    }
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    rules: Rules,
    rungs: Vec<Rung>,
    /// Rates that held and are not given up, rising.
    held: Vec<f64>,
    failed: Option<f64>,
    confirmed: bool,
}

impl Rung {
    /// What the majority says, as soon as it is certain.
    fn verdict(&self, repetitions: u32) -> Option<bool> {
        let majority = repetitions as usize / 2 + 1;
        let met = self.met.iter().filter(|met| **met).count();
        if met >= majority { Some(true) } else { (self.met.len() - met >= majority).then_some(false) }
    }
}

impl Search {
    /// A search that has not begun.
    pub fn new(rules: Rules) -> Self {
        Self { rules, rungs: Vec::new(), held: Vec::new(), failed: None, confirmed: false }
    }

    /// What to do next.
    pub fn step(&self) -> Step {
        let open = self.rungs.last().filter(|rung| rung.verdict(self.rules.repetitions).is_none());
        let end = self.end();
        match (end, open) {
            (Some(end), _) => {
                Step::Done(Capacity { rate: self.held.last().copied(), fails_at: self.failed, end })
            }
            (None, Some(rung)) => Step::Run(rung.rate),
            (None, None) => Step::Run(self.rate()),
        }
    }

    /// Takes whether the run at the rate of [`Search::step`] met the objective.
    pub fn take(&mut self, met: bool) {
        let Step::Run(rate) = self.step() else { return };
        let confirms = self.narrowed();
        let repetitions = self.rules.repetitions;
        match self.rungs.last_mut().filter(|rung| rung.verdict(repetitions).is_none()) {
            Some(rung) => rung.met.push(met),
            None => self.rungs.push(Rung { rate, met: vec![met], confirms }),
        }
        let verdict = self.rungs.last().and_then(|rung| Some((rung.confirms, rung.verdict(repetitions)?)));
        match verdict {
            None => {}
            Some((true, true)) => self.confirmed = true,
            Some((false, true)) => self.held.push(rate),
            Some((_, false)) => {
                self.held.retain(|held| *held < rate);
                self.failed = Some(rate);
            }
        }
    }

    /// The rungs so far, in their order.
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    fn end(&self) -> Option<End> {
        let runs: usize = self.rungs.iter().map(|rung| rung.met.len()).sum();
        if self.confirmed {
            let close = self.failed.is_some();
            return Some(if close { End::Close } else { End::Most });
        }
        if self.failed.is_some_and(|failed| failed <= self.rules.least) {
            return Some(End::Least);
        }
        (runs >= self.rules.runs_max as usize).then_some(End::Runs)
    }

    /// Whether nothing is left to do but to confirm.
    fn narrowed(&self) -> bool {
        match (self.held.last(), self.failed) {
            (Some(held), Some(failed)) => failed / held <= 1.0 + self.rules.precision,
            (Some(held), None) => *held >= self.rules.most,
            (None, _) => false,
        }
    }

    /// The rate of the next rung.
    fn rate(&self) -> f64 {
        let rate = match (self.held.last(), self.failed) {
            (Some(held), _) if self.narrowed() => *held,
            (None, None) => self.rules.start,
            (Some(held), None) => held * 2.0,
            (None, Some(failed)) => failed / 2.0,
            (Some(held), Some(failed)) => (held * failed).sqrt(),
        };
        // Whole rates read better, and a thousandth of an order is no difference that could be measured.
        round(rate).clamp(self.rules.least, self.rules.most)
    }
}

/// Three digits are as much as a search can tell apart.
fn round(rate: f64) -> f64 {
    if rate <= 0.0 {
        return rate;
    }
    let unit = 10_f64.powf(rate.log10().floor() - 2.0);
    (rate / unit).round() * unit
}

#[cfg(test)]
mod tests;
