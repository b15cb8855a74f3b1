//! Whether two results may be compared at all, and what has to be known beside their figures. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::load::{Run, Side};
use crate::doctor::Level;
use crate::report::Machine;

/// Loads that differ by less, as a part, are one load.
const SAME_LOAD: f64 = 0.005;
/// So does memory: kernels keep a little for themselves.
const SAME_MEMORY: f64 = 0.02;

/// What speaks against a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparable {
    /// Why they should not be compared.
    pub refusals: Vec<String>,
    /// What has to be known.
    pub notes: Vec<String>,
}

/// Looks at everything but the figures.
pub fn comparable(a: &Side, b: &Side) -> Comparable {
    let mut found = Comparable::default();
    for (name, side) in [("A", a), ("B", b)] {
        for (number, run) in side.runs.iter().enumerate().filter(|(_, run)| !run.report.valid) {
            let reasons = run.report.reasons.join("; ");
            found.refusals.push(format!("run {} of {name} is not valid: {reasons}", number + 1));
        }
    }
    machines(a, b, &mut found);
    cases(a, b, &mut found);
    for (what, of) in [("ways", way as fn(&Run) -> Option<String>), ("modes of sending", mode)] {
        let [ours, theirs] = [a, b].map(|side| all(side, of));
        if ours != theirs {
            found.refusals.push(format!("the {what} differ: {} and {}", list(&ours), list(&theirs)));
        }
    }
    let [rate, other_rate] = [a, b].map(offered);
    if (rate / other_rate - 1.0).abs() > SAME_LOAD {
        found.refusals.push(format!("the loads differ: {rate} and {other_rate} a second"));
    }
    notes(a, b, &mut found.notes);
    found
}

fn machines(a: &Side, b: &Side, found: &mut Comparable) {
    let [Some(a), Some(b)] = [a, b].map(|side| side.runs.first().and_then(|run| run.report.machine.as_ref()))
    else {
        let note = "at least one of the two does not say on what machine it was taken";
        return found.notes.push(note.to_owned());
    };
    let memory = a.memory_bytes as f64 / (b.memory_bytes as f64).max(1.0);
    type Fact = fn(&Machine) -> String;
    let facts: [(&str, Fact); 5] = [
        ("processors", |machine| machine.cpu.clone()),
        ("numbers of processors", |machine| machine.cores.to_string()),
        ("clock sources", |machine| machine.clock_source.clone()),
        ("WSL versions", |machine| format!("{:?}", machine.wsl)),
        ("virtualisations", |machine| format!("{:?}", machine.virtualisation)),
    ];
    for (what, fact) in facts {
        let (a, b) = (fact(a), fact(b));
        if a != b {
            found.refusals.push(format!("the machines' {what} differ: {a} and {b}"));
        }
    }
    if (memory - 1.0).abs() > SAME_MEMORY {
        let sizes = [a, b].map(|machine| crate::figures::bytes(machine.memory_bytes));
        found.refusals.push(format!("the machines' memories differ: {}", sizes.join(" and ")));
    }
    if a.kernel != b.kernel {
        found.notes.push(format!("the kernels differ: {} and {}", a.kernel, b.kernel));
    }
}

fn cases(a: &Side, b: &Side, found: &mut Comparable) {
    let (mut of_a, mut of_b) = (BTreeMap::new(), BTreeMap::new());
    flatten("case", &a.case, &mut of_a);
    flatten("case", &b.case, &mut of_b);
    let keys: BTreeSet<_> = of_a.keys().chain(of_b.keys()).collect();
    for key in keys.into_iter().filter(|key| of_a.get(*key) != of_b.get(*key)) {
        let shown =
            |of: &BTreeMap<String, String>| of.get(key).cloned().unwrap_or_else(|| "absent".to_owned());
        found.refusals.push(format!("the cases differ in {key}: {} and {}", shown(&of_a), shown(&of_b)));
    }
}

/// The leaves of a value by their path.
fn flatten(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, leaves));
        }
        other => drop(leaves.insert(path.to_owned(), other.to_string())),
    }
}

fn notes(a: &Side, b: &Side, notes: &mut Vec<String>) {
    let sent = |run: &Run| run.report.data.as_ref().map(|sent| sent.fingerprint.clone());
    let [sent, other_sent] =
        [a, b].map(|side| all(side, |run| run.report.fingerprint.clone().or_else(|| sent(run))));
    if sent != other_sent {
        notes.push("what was sent differs, by its fingerprint".to_owned());
    }
    for key in config_differences(a, b) {
        notes.push(key);
    }
    for (name, side) in [("A", a), ("B", b)] {
        let findings = side.runs.iter().flat_map(|run| &run.report.doctor);
        let spoiling: BTreeSet<_> = findings
            .filter(|finding| finding.level == Level::Spoils)
            .map(|finding| format!("{}: {}", finding.check, finding.found))
            .collect();
        notes.extend(spoiling.into_iter().map(|finding| format!("what may have spoilt {name}: {finding}")));
        let commits = all(side, |run| run.report.commit.clone());
        if commits.len() > 1 {
            notes.push(format!("{name} has runs of several commits: {}", list(&commits)));
        }
    }
}

fn config_differences(a: &Side, b: &Side) -> Vec<String> {
    let config = |side: &Side| side.runs.first().map(|run| run.report.config.clone()).unwrap_or_default();
    let (a, b) = (config(a), config(b));
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "absent".to_owned());
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key) && !of_one_run(key))
        .map(|key| format!("{key} differs: {} and {}", shown(a.get(key)), shown(b.get(key))))
        .collect()
}

/// Settings that name places of their own for each run.
fn of_one_run(key: &str) -> bool {
    ["data_dir", "topic", "keyspace", "database", "listen", "group"].iter().any(|part| key.contains(part))
}

fn way(run: &Run) -> Option<String> {
    run.report.way.clone()
}

fn mode(run: &Run) -> Option<String> {
    run.report.mode.clone()
}

fn all(side: &Side, of: impl Fn(&Run) -> Option<String>) -> BTreeSet<String> {
    side.runs.iter().filter_map(of).collect()
}

fn list(values: &BTreeSet<String>) -> String {
    match values.len() {
        0 => "none".to_owned(),
        _ => values.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

fn offered(side: &Side) -> f64 {
    let rates = side.runs.iter().map(|run| run.report.offered_per_second);
    rates.sum::<f64>() / side.runs.len().max(1) as f64
}
