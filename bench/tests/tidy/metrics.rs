//! Metrics: named by stage and unit in one file, and each of them is really updated.

use crate::sources::{files, none};

/// The stages, as metrics name them, and the log between them.
const STAGES: [&str; 10] =
    ["receive", "validate", "publish", "log", "consume", "parse", "enrich", "roll_up", "store", "observe"];
/// The units that are not a count. Others are written in these.
const UNITS: [&str; 2] = ["seconds", "bytes"];
/// Endings that would be a unit twice, or one in other words. `_total` is added where it belongs, and by the library.
const WRONG_UNITS: [&str; 11] =
    ["total", "count", "ms", "us", "ns", "millis", "nanos", "sec", "kb", "mb", "ratio"];

/// Where metrics are named.
const FOLDER: &str = "pipeline/src/observe/";

struct Registered {
    field: String,
    name: String,
    is_histogram: bool,
}

/// What a file registers, as `field: add(it, "name", …, kind)` without spaces.
fn registered(dense: &str) -> Vec<Registered> {
    let mut found = Vec::new();
    for call in ["add(it,\"", "Counters::register(it,\""] {
        for (at, _) in dense.match_indices(call) {
            let of_name = |character: char| character.is_ascii_lowercase() || character == '_';
            let before = dense[..at].strip_suffix(':').unwrap_or_else(|| panic!("no field before {call}"));
            let field = &before[before.rfind(|character| !of_name(character)).map_or(0, |end| end + 1)..];
            let rest = &dense[at + call.len()..];
            let end = rest.find('"').unwrap();
            let (field, name) = (field.to_owned(), rest[..end].to_owned());
            let is_histogram = dense.contains(&format!("{field}:Histogram"))
                || dense.contains(&format!("{field}:Family<Label,Histogram>"));
            found.push(Registered { field, name, is_histogram });
        }
    }
    found
}

/// What all of them register.
fn all() -> Vec<Registered> {
    let sources = files(FOLDER.trim_end_matches('/'), &[".rs"]);
    let found: Vec<_> = sources.iter().flat_map(|source| registered(&source.dense())).collect();
    assert!(found.len() > 40, "{FOLDER} is not read as it is written");
    found
}

#[test]
fn each_name_begins_with_its_stage_and_ends_in_its_unit() {
    let mut complaints = Vec::new();
    for Registered { name, is_histogram, .. } in all() {
        if !STAGES.iter().any(|stage| {
            name.strip_prefix(stage).is_some_and(|rest| rest.starts_with('_') || rest.is_empty())
        }) {
            complaints.push(format!("{name}: does not begin with a stage"));
        }
        let last = name.rsplit('_').next().unwrap();
        if WRONG_UNITS.contains(&last) {
            complaints.push(format!("{name}: ends in {last}; units are {UNITS:?}, and counts have none"));
        }
        if is_histogram && !UNITS.contains(&last) {
            complaints.push(format!("{name}: is a histogram and has no unit"));
        }
    }
    none(complaints);
}

#[test]
fn each_metric_is_updated_by_its_field_and_never_named_outside() {
    let sources = files("pipeline/src", &[".rs"]);
    let others: Vec<_> = sources.iter().filter(|source| !source.path.starts_with(FOLDER)).collect();
    let others: Vec<_> = others.into_iter().map(|source| (&source.path, source.dense())).collect();
    let mut complaints = Vec::new();
    for Registered { field, name, .. } in all() {
        let updated = format!("metrics.{field}");
        let through_getter = format!("metrics().{field}");
        let of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let is_updated = others.iter().any(|(_, code)| {
            [&updated, &through_getter].into_iter().any(|updated| {
                code.match_indices(updated).any(|(at, _)| !code[at + updated.len()..].starts_with(of_name))
            })
        });
        if !is_updated {
            complaints.push(format!("{name}: nothing updates `{field}`"));
        }
        for (path, _) in others.iter().filter(|(_, code)| {
            code.contains(&format!("\"{name}")) || code.contains(&format!("tillflow_{name}"))
        }) {
            complaints.push(format!("{path}: names the metric {name}; only {FOLDER} does"));
        }
    }
    none(complaints);
}
