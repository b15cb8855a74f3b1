//! Two commands compared by interleaved pairs, until it is settled which is better, or that it makes no difference.
//!
//! [`measure`] runs a command and [`instructions`] counts what it executes; [`order`], [`shift`] and [`settle`] are pure: who
//! goes first, what the pairs say, and when that is enough.

pub mod instructions;
pub mod measure;
pub mod order;
pub mod settle;
pub mod shift;
pub mod text;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::compare::judge::{Better, Verdict};
use crate::pairs::Pair;
use measure::{Command, Measured};
use order::Order;
use settle::{Plan, Standing};

/// The value of [`Outcome::schema`].
pub const SCHEMA: &str = "tillflow.ab.v1";

/// What of a command decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Processor time of the command and all that it waited for, in seconds.
    Cpu,
    /// From its start to its end, in seconds.
    Wall,
    /// Greatest resident memory of one process, in bytes.
    Memory,
    /// Instructions executed.
    Instructions,
    /// A figure that it prints itself.
    Figure,
}

impl By {
    /// Its words, with the unit.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Cpu => "CPU, s",
            Self::Wall => "wall, s",
            Self::Memory => "memory, bytes",
            Self::Instructions => "instructions",
            Self::Figure => "figure",
        }
    }

    fn of(self, measured: &Measured) -> Option<f64> {
        match self {
            Self::Cpu => Some(measured.cpu_seconds),
            Self::Wall => Some(measured.wall_seconds),
            Self::Memory => Some(measured.memory_bytes as f64),
            Self::Instructions => measured.instructions.map(|count| count as f64),
            Self::Figure => measured.figure,
        }
    }
}

/// What to compare, and how.
#[derive(Debug)]
pub struct Ab {
    /// What is compared to.
    pub a: Command,
    /// What is looked at.
    pub b: Command,
    /// What decides.
    pub by: By,
    /// Which way is better.
    pub better: Better,
    /// Pairs that are run first and thrown away.
    pub warm_up: usize,
    /// Who goes first.
    pub order: Order,
    /// When it is settled.
    pub plan: Plan,
}

/// What the pairs say, as it is printed as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The command that is compared to.
    pub a: String,
    /// The command that is looked at.
    pub b: String,
    /// What decided.
    pub by: By,
    /// Which way is better.
    pub better: Better,
    /// How it was to be settled.
    pub plan: Plan,
    /// How it stands at the end.
    pub standing: Standing,
    /// Pairs that were thrown away before.
    pub warm_up: usize,
    /// The answer.
    pub verdict: Verdict,
    /// The pairs in the order in which they were taken.
    pub pairs: Vec<[Measured; 2]>,
}

/// Runs both in pairs until it is settled. `each` is told of each pair that counts.
///
/// # Errors
/// Where a command fails, or does not give what decides.
pub fn run(ab: &Ab, mut each: impl FnMut(usize, Pair)) -> Result<Outcome> {
    let mut turns = ab.order.turns();
    let mut taken: Vec<[Measured; 2]> = Vec::new();
    let mut ratios = Vec::new();
    for _ in 0..ab.warm_up {
        ab.a.run()?;
        ab.b.run()?;
    }
    let standing = loop {
        let pair = if turns.next_is_a_first() {
            let a = ab.a.run()?;
            [a, ab.b.run()?]
        } else {
            let b = ab.b.run()?;
            [ab.a.run()?, b]
        };
        let [a, b] = &pair;
        let figures = Pair { base: positive(ab, a, &ab.a)?, changed: positive(ab, b, &ab.b)? };
        each(taken.len() + 1, figures);
        taken.push(pair);
        ratios.push((figures.changed / figures.base).ln());
        if let Some(standing) = ab.plan.look(&ratios) {
            break standing;
        }
    };
    Ok(Outcome {
        schema: SCHEMA,
        a: ab.a.shown.clone(),
        b: ab.b.shown.clone(),
        by: ab.by,
        better: ab.better,
        plan: ab.plan.clone(),
        standing,
        warm_up: ab.warm_up,
        verdict: standing.verdict(ab.better, ab.plan.least),
        pairs: taken,
    })
}

fn positive(ab: &Ab, measured: &Measured, command: &Command) -> Result<f64> {
    let figure =
        ab.by.of(measured).with_context(|| format!("`{}` gave no {}", command.shown, ab.by.words()))?;
    if !(figure.is_finite() && figure > 0.0) {
        bail!("`{}` gave {figure} as {}, of which there is no ratio", command.shown, ab.by.words());
    }
    Ok(figure)
}
