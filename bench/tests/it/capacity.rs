//! What is said of a capacity that was found, and of one that was not confirmed.

use bench::capacity::search::End;
use bench::measurement::Measurement;
use bench::{html, text};

/// A result that was measured and is kept beside the sources.
fn measured() -> Measurement {
    Measurement::from_json(include_str!("../../results/embedded-capacity/result.json")).unwrap()
}

#[test]
fn a_rate_that_was_confirmed_is_a_capacity() {
    let measurement = measured();
    assert!(measurement.good());
    assert!(text::measurement(&measurement).contains("38,100 orders per second hold the objective"));
    assert!(
        html::measurement(&measurement, &[]).contains("38,100 orders per second hold and were confirmed")
    );
}

#[test]
fn a_rate_that_the_last_run_allowed_left_unconfirmed_is_not_one() {
    let mut measurement = measured();
    measurement.capacity.as_mut().unwrap().found.end = End::Runs;
    assert!(!measurement.good());
    let (text, page) = (text::measurement(&measurement), html::measurement(&measurement, &[]));
    assert!(text.contains("but were not confirmed") && !text.contains("hold the objective"), "{text}");
    assert!(page.contains("held and were not confirmed") && !page.contains("and were confirmed"));
    // Without a rate that fails, the search may have been far from the most.
    measurement.capacity.as_mut().unwrap().found.fails_at = None;
    assert!(!html::measurement(&measurement, &[]).contains("the most that was to be tried"));
}
