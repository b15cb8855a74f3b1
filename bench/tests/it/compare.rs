//! Two results compared. Simulated runs of known truth, whose seconds depend on each other: how often is a difference shown
//! that is none, and how often is one that is there? Seeded, so that each run of the test sees the same.

use bench::compare::compare;
use bench::compare::judge::{Asked, Better, Figure, Verdict, judge};
use bench::compare::load::Side;
use bench::compare::quantile::{Sample, Unknown, Variance};
use bench::compare::series;
use bench::faults::random::Random;
use proptest::prelude::*;

use crate::simulated::{World, normal};

const ASKED: Asked = Asked { level: 0.01, least: 0.02, spread: 0.1 };
/// Of so many trials at 1 %, more than this happens once in a thousand times at most.
fn alarms_max(trials: usize) -> usize {
    // Three deviations and a bit, of a number whose variance is what is expected.
    trials / 100 + (trials / 10).isqrt() + 1
}

#[test]
fn the_mean_of_a_series_is_told_apart_from_its_equal_no_more_often_than_asked() {
    // For each memory and tail, as one comparison of a single figure: no correction hides an error that is too small.
    const TRIALS: usize = 1500;
    let mut random = Random::new(1, 0);
    for seconds in [30, 120] {
        for memory in [0.0, 0.3, 0.6, 0.9] {
            for heavy in [false, true] {
                let mut alarms = 0;
                for _ in 0..TRIALS {
                    let [a, b] = [(); 2].map(|()| {
                        let mut state = normal(&mut random);
                        let values: Vec<f64> = (0..seconds)
                            .map(|_| {
                                state =
                                    memory * state + (1.0_f64 - memory * memory).sqrt() * normal(&mut random);
                                if heavy { (1.5 * state).exp() } else { 10.0 + state }
                            })
                            .collect();
                        let mean = series::mean(&values).unwrap();
                        let trusted = mean.independent >= series::INDEPENDENT_MIN;
                        // Of the logarithm, to first order.
                        let variance =
                            Variance { value: mean.variance / mean.value.powi(2), freedom: mean.freedom };
                        Sample {
                            value: mean.value,
                            error: if trusted { Ok(variance) } else { Err(Unknown::FewSeconds) },
                        }
                    });
                    let figure = Figure {
                        name: "x".to_owned(),
                        unit: "ms",
                        better: Better::Lower,
                        a: vec![a],
                        b: vec![b],
                    };
                    let asked = Asked { spread: 0.0, least: 0.0, ..ASKED };
                    let (_, verdict) = judge(&[figure], asked);
                    alarms += usize::from(matches!(verdict, Verdict::Better | Verdict::Worse));
                }
                let most = alarms_max(TRIALS);
                assert!(
                    alarms <= most,
                    "{alarms} of {TRIALS}, {most} allowed: {seconds} s, {memory}, heavy {heavy}"
                );
            }
        }
    }
}

#[test]
fn equal_builds_are_told_apart_no_more_often_than_asked_over_all_figures() {
    // One run each, without any allowance for runs that differ: the seconds alone must not mislead.
    const TRIALS: usize = 100;
    let (mut alarms, mut trials) = (0, 0);
    for (seed, memory) in [(1, 0.0), (2, 0.5), (3, 0.9)] {
        for heavy in [false, true] {
            let world = World { seconds: 60, memory, wander: 0.2, between: 0.0, heavy };
            let asked = Asked { spread: 0.05, ..ASKED };
            alarms += world.shown(seed, TRIALS, 1, 1.0, asked).iter().sum::<usize>();
            trials += TRIALS;
        }
    }
    assert!(alarms <= alarms_max(trials), "{alarms} of {trials}");
}

#[test]
fn equal_builds_whose_runs_differ_are_not_told_apart_by_runs_that_measure_it() {
    const TRIALS: usize = 75;
    let (mut alarms, mut trials) = (0, 0);
    for (seed, runs) in [(1, 3), (2, 5)] {
        for between in [0.02, 0.2] {
            let world = World { seconds: 20, memory: 0.5, wander: 0.1, between, heavy: true };
            alarms += world.shown(seed, TRIALS, runs, 1.0, ASKED).iter().sum::<usize>();
            trials += TRIALS;
        }
    }
    assert!(alarms <= alarms_max(trials), "{alarms} of {trials}");
}

#[test]
fn a_tenth_more_is_found_by_five_runs_of_each_and_never_the_wrong_way_round() {
    let world = World { seconds: 30, memory: 0.3, wander: 0.05, between: 0.01, heavy: false };
    let [worse, better] = world.shown(1, 30, 5, 1.1, ASKED);
    assert!(worse >= 27 && better == 0, "{worse} and {better} of 30");
    let [worse, better] = world.shown(2, 30, 5, 1.0 / 1.1, ASKED);
    assert!(better >= 27 && worse == 0, "{worse} and {better} of 30");
}

#[test]
fn one_run_of_each_shows_only_what_is_greater_than_runs_are_taken_to_differ() {
    let world = World { seconds: 120, memory: 0.3, wander: 0.05, between: 0.0, heavy: false };
    assert_eq!(world.shown(1, 10, 1, 1.1, ASKED), [0, 0]);
    assert_eq!(world.shown(2, 10, 1, 2.0, ASKED), [10, 0]);
}

#[test]
fn a_throughput_is_better_when_it_is_higher_and_figures_that_one_side_lacks_are_named() {
    let world = World { seconds: 20, memory: 0.0, wander: 0.05, between: 0.01, heavy: false };
    let mut random = Random::new(1, 0);
    let (a, mut b) = (world.side(&mut random, 3, 1.0), world.side(&mut random, 3, 1.0));
    for run in &mut b.runs {
        run.report.achieved_per_second = 1500.0;
        run.report.resources = None;
    }
    let comparison = compare(&a, &b, ASKED, false);
    let figure = |name: &str| comparison.figures.iter().find(|figure| figure.name == name).unwrap();
    assert_eq!(figure("throughput").verdict, Verdict::Better);
    assert_eq!(figure("CPU an order").verdict, Verdict::NotJudged);
    assert_eq!(figure("CPU an order").why.as_deref(), Some("B does not have it"));
    assert_eq!(comparison.verdict, Verdict::Better);
}

#[test]
fn what_should_not_be_compared_is_named_and_not_judged_unless_it_is_wanted() {
    let world = World { seconds: 20, memory: 0.0, wander: 0.05, between: 0.0, heavy: false };
    let mut random = Random::new(1, 0);
    let (mut a, mut b) = (world.side(&mut random, 1, 1.0), world.side(&mut random, 1, 1.0));
    a.case = serde_json::json!({"rate": 1000, "target": {"way": "embedded"}});
    b.case = serde_json::json!({"rate": 1000, "target": {"way": "native"}});
    b.runs[0].report.offered_per_second = 2000.0;
    b.runs[0].report.valid = false;
    b.runs[0].report.reasons = vec!["sent late".to_owned()];
    let comparison = compare(&a, &b, ASKED, false);
    assert_eq!((comparison.verdict, comparison.figures.len()), (Verdict::NotJudged, 0));
    let refusals = comparison.refusals.join("\n");
    for part in ["run 1 of B is not valid: sent late", "case.target.way", "1000 and 2000 a second"] {
        assert!(refusals.contains(part), "{part} is not named:\n{refusals}");
    }
    assert!(!compare(&a, &b, ASKED, true).figures.is_empty());
}

#[test]
fn a_run_of_few_seconds_without_log_or_with_nothing_counted_is_not_judged_and_says_why() {
    let world = World { seconds: 3, memory: 0.0, wander: 0.05, between: 0.0, heavy: false };
    let mut random = Random::new(1, 0);
    let (a, mut b) = (world.side(&mut random, 1, 1.0), world.side(&mut random, 1, 1.0));
    let p50 = |a: &Side, b: &Side| {
        let comparison = compare(a, b, ASKED, false);
        let figure = comparison.figures.into_iter().find(|figure| figure.name == "response p50").unwrap();
        (figure.verdict, figure.why.unwrap_or_default())
    };
    let (verdict, why) = p50(&a, &b);
    assert!(verdict == Verdict::NotJudged && why.contains("independent seconds"), "{why}");
    let told =
        bench::report::Percentiles { p50: 1.0, p90: 2.0, p99: 3.0, p999: 4.0, max: 5.0, mean: 1.0, count: 9 };
    b.runs[0].logs.clear();
    b.runs[0].report.latency_ms.insert("response".to_owned(), told);
    let mut without = a.clone();
    without.runs[0].logs.clear();
    without.runs[0].report.latency_ms.insert("response".to_owned(), told);
    let (verdict, why) = p50(&without, &b);
    assert!(verdict == Verdict::NotJudged && why.contains("no log"), "{why}");
    b.runs[0].report.latency_ms.clear();
    let (verdict, why) = p50(&a, &b);
    assert!(verdict == Verdict::NotJudged && why.contains("B does not have it"), "{why}");
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (0.1..1000.0, 0.0..0.1, 2.0..100.0).prop_map(|(value, variance, freedom)| Sample {
        value,
        error: Ok(Variance { value: variance, freedom }),
    });
    prop::collection::vec(sample, 1..6)
}

fn figure(a: &[Sample], b: &[Sample]) -> Figure {
    Figure { name: "x".to_owned(), unit: "ms", better: Better::Lower, a: a.to_vec(), b: b.to_vec() }
}

proptest! {
    #[test]
    fn the_answer_is_turned_around_when_the_sides_are(a in samples(), b in samples()) {
        let (forth, forth_verdict) = judge(&[figure(&a, &b)], ASKED);
        let (back, back_verdict) = judge(&[figure(&b, &a)], ASKED);
        let turned = match forth_verdict {
            Verdict::Worse => Verdict::Better,
            Verdict::Better => Verdict::Worse,
            other => other,
        };
        prop_assert_eq!(turned, back_verdict);
        let ([low, high], [other_low, other_high]) = (forth[0].interval.unwrap(), back[0].interval.unwrap());
        prop_assert!((low.ln() + other_high.ln()).abs() < 1e-6 || low.ln().is_infinite());
        prop_assert!((high.ln() + other_low.ln()).abs() < 1e-6 || high.ln().is_infinite());
    }

    #[test]
    fn a_side_does_not_differ_from_itself_and_the_interval_holds_the_ratio(a in samples(), b in samples()) {
        prop_assert_eq!(judge(&[figure(&a, &a)], ASKED).1, Verdict::NoDifferenceShown);
        let (judged, _) = judge(&[figure(&a, &b)], ASKED);
        let ([low, high], ratio) = (judged[0].interval.unwrap(), judged[0].ratio.unwrap());
        prop_assert!(low <= ratio * (1.0 + 1e-9) && ratio <= high * (1.0 + 1e-9));
    }

    #[test]
    fn a_unit_is_no_difference_and_more_figures_ask_for_more(a in samples(), b in samples(), unit in 0.001..1000.0) {
        let scaled = |side: &[Sample]| -> Vec<Sample> {
            side.iter().map(|sample| Sample { value: sample.value * unit, ..*sample }).collect()
        };
        let (plain, verdict) = judge(&[figure(&a, &b)], ASKED);
        let (other, other_verdict) = judge(&[figure(&scaled(&a), &scaled(&b))], ASKED);
        let [interval, scaled_interval] = [&plain, &other].map(|judged| judged[0].interval.unwrap());
        // At the very edge rounding may decide.
        let at_edge = interval.iter().any(|end| end.ln().abs() < 1e-9);
        prop_assert!(verdict == other_verdict || at_edge);
        prop_assert!((interval[0].ln() - scaled_interval[0].ln()).abs() < 1e-6 || interval[0] == 0.0);
        let (many, _) = judge(&vec![figure(&a, &b); 20], ASKED);
        let wider = many[0].interval.unwrap();
        prop_assert!(wider[0] <= interval[0] && interval[1] <= wider[1]);
    }
}
