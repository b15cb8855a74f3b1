//! All checks, in the order of a report. Pure.

use super::{Facts, Finding, Level, limits, load, measured, place, processor};

/// A check: nothing where what it looks at could not be read, or is not there.
pub(super) type Check = fn(&Facts) -> Option<Finding>;

const CHECKS: [Check; 21] = [
    place::wsl,
    place::wsl_limits,
    place::virtualisation,
    place::data_folder,
    processor::build,
    processor::cores,
    processor::clock,
    processor::governor,
    processor::turbo,
    processor::mitigations,
    load::others,
    load::steal,
    load::swap,
    load::memory,
    limits::cpu_quota,
    limits::memory_limit,
    limits::files,
    limits::ports,
    limits::huge_pages,
    measured::sleep,
    measured::flush,
];

/// Judges a machine by what was read of it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    CHECKS.into_iter().filter_map(|check| check(facts)).collect()
}

/// Makes a finding.
pub(super) fn finding(
    check: &str,
    level: Level,
    found: impl Into<String>,
    why: &str,
    mend: &str,
) -> Option<Finding> {
    let (why, mend) = match level {
        Level::Ok => ("", ""),
        _ => (why, mend),
    };
    Some(Finding {
        check: check.to_owned(),
        level,
        found: found.into(),
        why: why.to_owned(),
        mend: mend.to_owned(),
    })
}
