//! What a suite is reported as: JSON, and a table for people. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Serialize;

use super::journal::Row;
use crate::figures::grouped;

/// `report.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many injections there were.
    pub injections: u64,
    /// How many distinct faults.
    pub faults: u64,
    /// Orders that were acknowledged.
    pub acknowledged: u64,
    /// Of these, the ones that are not in the log and in both stores.
    pub lost: u64,
    /// Orders that a store has more than once.
    pub doubled: u64,
    /// Orders that were reported as failed or rejected, not sent again, and are there.
    pub ghosts: u64,
    /// Each injection.
    pub rows: Vec<Row>,
}

impl Report {
    /// The report of these injections.
    pub fn of(rows: Vec<Row>) -> Self {
        let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum();
        Self {
            injections: rows.len() as u64,
            faults: rows.iter().map(|row| &row.fault).collect::<BTreeSet<_>>().len() as u64,
            acknowledged: sum(|row| row.found.acknowledged),
            lost: sum(|row| row.found.lost),
            doubled: sum(|row| row.found.doubled),
            ghosts: sum(|row| row.found.ghosts),
            rows,
        }
    }

    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.injections > 0 && self.rows.iter().all(Row::passed)
    }

    /// A table with a line for each fault, what failed, and the verdict.
    pub fn table(&self) -> String {
        let mut faults: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            faults.entry((&row.step, &row.fault)).or_default().push(row);
        }
        let mut out = format!(
            "{:<48} {:<13} {:>5} {:>12} {:>8} {:>7} {:>4}  {}\n",
            "fault", "step", "times", "acknowledged", "stored", "doubled", "lost", "recovery, s"
        );
        for ((step, fault), rows) in faults {
            let sum = |of: fn(&Row) -> u64| rows.iter().map(|row| of(row)).sum::<u64>();
            let _ = writeln!(
                out,
                "{fault:<48} {step:<13} {:>5} {:>12} {:>8} {:>7} {:>4}  {}",
                rows.len(),
                grouped(sum(|row| row.found.acknowledged)),
                grouped(sum(|row| row.found.stored)),
                sum(|row| row.found.doubled),
                sum(|row| row.found.lost),
                recovery(&rows)
            );
        }
        for row in self.rows.iter().filter(|row| !row.passed()) {
            let reason = row.reason.clone().unwrap_or_else(|| row.found.differences.join("; "));
            let place =
                row.evidence.as_ref().map_or_else(String::new, |path| format!("; see {}", path.display()));
            let _ = writeln!(out, "FAILED injection {}, {}: {reason}{place}", row.injection, row.fault);
        }
        let _ = writeln!(
            out,
            "{} injections of {} faults: {} orders acknowledged, {} lost, {} doubled, {} ghosts",
            self.injections,
            self.faults,
            grouped(self.acknowledged),
            self.lost,
            self.doubled,
            self.ghosts
        );
        out
    }
}

/// Median and longest recovery.
fn recovery(rows: &[&Row]) -> String {
    let mut seconds: Vec<f64> = rows.iter().filter_map(|row| row.recovery_seconds).collect();
    seconds.sort_by(f64::total_cmp);
    match (seconds.get(seconds.len() / 2), seconds.last()) {
        (Some(median), Some(longest)) if seconds.len() > 1 => format!("{median:.1} to {longest:.1}"),
        (Some(only), _) => format!("{only:.1}"),
        _ => "-".to_owned(),
    }
}
