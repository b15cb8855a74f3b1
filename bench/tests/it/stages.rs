//! The stages that are measured: what the README says of them, and what is kept of them.

use bench::counts::baseline::Baseline;
use bench::stages::MOCKED;
use bench::stages::real::{EMBEDDED, SERVERS};

const README: &str = include_str!("../../README.md");
const BASELINE: &str = include_str!("../../counts.json");

#[test]
fn the_readme_has_a_line_with_its_question_for_each_stage_that_is_measured() {
    let real = EMBEDDED.into_iter().chain(SERVERS.map(|(entry, _)| entry));
    for entry in MOCKED.into_iter().chain(real) {
        let line = format!("| `{}` | {} |", entry.name, entry.question);
        assert!(README.contains(&line), "missing: {line}");
    }
}

#[test]
fn the_baseline_has_each_stage_that_is_counted_and_no_other() {
    let baseline: Baseline = serde_json::from_str(BASELINE).unwrap();
    let mut names = MOCKED.map(|entry| entry.name);
    names.sort_unstable();
    assert_eq!(baseline.stages.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
}
