//! Two commands in pairs. Simulated pairs of known truth, seeded; and the program with commands that print what they cost,
//! so that the answer does not depend on the machine.

use std::process::{Command, Output};

use bench::ab::settle::{Plan, PlanError, Standing};
use bench::ab::shift::shift;
use bench::compare::judge::{Better, Verdict};
use bench::faults::random::Random;
use proptest::prelude::*;
use serde_json::Value;

const LEVEL: f64 = 0.01;
const LEAST: f64 = 0.01;

/// Symmetric and with a long tail: the ratio of two uniforms' logarithms, as of machines that stumble.
fn noise(random: &mut Random, scale: f64) -> f64 {
    let unit = |random: &mut Random| ((random.number() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    scale * (unit(random) / unit(random)).ln()
}

/// Takes pairs until it is settled.
fn settle(random: &mut Random, plan: &Plan, truth: f64, scale: f64) -> Standing {
    let mut logarithms = Vec::new();
    loop {
        logarithms.push(truth.ln() + noise(random, scale));
        if let Some(standing) = plan.look(&logarithms) {
            return standing;
        }
    }
}

#[test]
fn equal_commands_are_told_apart_no_more_often_than_asked_however_often_it_is_looked_at_them() {
    const TRIALS: usize = 300;
    let plan = Plan::new(60, LEVEL, LEAST).unwrap();
    let mut random = Random::new(1, 0);
    let verdicts = (0..TRIALS).map(|_| settle(&mut random, &plan, 1.0, 0.05).verdict(Better::Lower, LEAST));
    let alarms = verdicts.filter(|verdict| *verdict != Verdict::NoDifferenceShown).count();
    // Three are expected at most; ten and more happen once in a thousand times.
    assert!(alarms < 10, "{alarms} of {TRIALS}");
}

#[test]
fn a_slow_down_of_five_percent_is_found_and_takes_more_pairs_the_noisier_it_is() {
    let plan = Plan::new(300, LEVEL, LEAST).unwrap();
    let mut random = Random::new(2, 0);
    // The deviation of such a pair is 1.4 times the scale: 1.4 and 7 percent.
    for (scale, most) in [(0.01, 12), (0.05, 160)] {
        let mut pairs = Vec::new();
        for _ in 0..15 {
            let standing = settle(&mut random, &plan, 1.05, scale);
            assert_eq!(standing.verdict(Better::Lower, LEAST), Verdict::Worse, "{standing:?}");
            assert!(standing.settled);
            pairs.push(standing.pairs);
        }
        pairs.sort_unstable();
        assert!(pairs[7] <= most, "{pairs:?} at {scale}");
    }
}

#[test]
fn it_stops_early_where_there_is_no_difference_that_matters() {
    let plan = Plan::new(300, LEVEL, 0.05).unwrap();
    let standing = settle(&mut Random::new(3, 0), &plan, 1.0, 0.01);
    assert!(standing.settled && standing.pairs < 40, "{standing:?}");
    assert_eq!(standing.verdict(Better::Lower, 0.05), Verdict::NoDifferenceShown);
}

#[test]
fn a_plan_that_could_settle_nothing_is_refused() {
    assert_eq!(Plan::new(7, LEVEL, LEAST), Err(PlanError::TooFew(7)));
    assert_eq!(Plan::new(8, LEVEL, LEAST).unwrap().looks, [8]);
    assert_eq!(Plan::new(30, LEVEL, LEAST).unwrap().looks, [12, 16, 22, 30]);
    assert_eq!(Plan::new(501, LEVEL, LEAST), Err(PlanError::TooMany(501)));
}

proptest! {
    #[test]
    fn what_is_added_to_all_differences_is_added_to_their_shift(
        differences in prop::collection::vec(-1.0_f64..1.0, 12..40_usize),
        more in -5.0_f64..5.0,
    ) {
        let plain = shift(&differences, LEVEL).unwrap();
        let moved: Vec<f64> = differences.iter().map(|each| each + more).collect();
        let moved = shift(&moved, LEVEL).unwrap();
        prop_assert!((moved.estimate - plain.estimate - more).abs() < 1e-9);
        for end in [0, 1] {
            prop_assert!((moved.interval[end] - plain.interval[end] - more).abs() < 1e-9);
        }
        prop_assert!(plain.interval[0] <= plain.estimate && plain.estimate <= plain.interval[1]);
    }

    #[test]
    fn turned_around_the_interval_is_turned_around(differences in prop::collection::vec(-1.0_f64..1.0, 12..40_usize)) {
        let plain = shift(&differences, LEVEL).unwrap();
        let turned: Vec<f64> = differences.iter().map(|each: &f64| -each).collect();
        let turned = shift(&turned, LEVEL).unwrap();
        prop_assert!((plain.interval[0] + turned.interval[1]).abs() < 1e-12);
    }
}

fn ab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).arg("ab").args(arguments).output().unwrap()
}

#[test]
fn the_program_finds_a_figure_that_is_five_percent_higher_after_twelve_pairs() {
    let [a, b] = ["echo '{\"cost\":{\"us\":100}}'", "echo '{\"cost\":{\"us\":105}}'"];
    let output = ab(&["--figure", "/cost/us", "--fail-on", "worse", "--json", a, b]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["schema"], "tillflow.ab.v1");
    assert_eq!((&outcome["verdict"], &outcome["standing"]["pairs"]), (&"worse".into(), &12.into()));
    assert!((outcome["standing"]["ratio"].as_f64().unwrap() - 1.05).abs() < 1e-9);
    // The same the other way round, and where more is better.
    for arguments in [[b, a].as_slice(), &["--higher-is-better", a, b]] {
        let output = ab(&[&["--figure", "/cost/us", "--fail-on", "worse"], arguments].concat());
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("B is better, after 12 pairs."), "{text}");
    }
}

#[test]
fn the_program_says_which_command_failed_and_why() {
    let output = ab(&["true", "echo out of luck >&2; exit 4"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("exit 4") && error.contains("out of luck"), "{error}");
    let output = ab(&["--figure", "/a", "echo '{\"a\":0}'", "echo '{\"a\":0}'"]);
    assert_eq!(output.status.code(), Some(2));
}
