//! An objective is read as it is meant, written as it can be read again, and refused with words that help.

use super::*;

fn refused(text: &str) -> String {
    Objective::parse(text).unwrap_err().to_string()
}

#[test]
fn the_four_terms_of_a_usual_objective_are_read_with_or_without_spaces() {
    let text = "rollup.p99 <= 1s and response.p99 <= 50ms and lag flat and ledger balanced";
    let objective = Objective::parse(text).unwrap();
    let latency = |hop, limit_ms| Term::Latency { hop, figure: Figure::P99, inclusive: true, limit_ms };
    let expected =
        [latency("rollup", 1000.0), latency("response", 50.0), Term::LagFlat, Term::LedgerBalanced];
    assert_eq!(objective.0, expected);
    assert_eq!(objective.to_string(), text);
    let dense = "rollup.p99<=1s and response.p99<=50ms and lag flat and ledger balanced";
    assert_eq!(Objective::parse(dense).unwrap(), objective);
}

#[test]
fn what_is_written_is_read_again_as_the_same() {
    for text in [
        "response.p99.9 < 1.5s",
        "log.max <= 300us and errors <= 0.1% and cpu <= 45us",
        "delay.mean <= 1ms and service.p50 < 250us and orders.p90 <= 2s",
    ] {
        let objective = Objective::parse(text).unwrap();
        assert_eq!(objective.to_string(), text);
        assert_eq!(Objective::parse(&objective.to_string()).unwrap(), objective);
    }
}

#[test]
fn a_refusal_says_which_word_is_wrong_and_what_could_stand_there() {
    for (text, part) in [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("lag", "write `lag flat`"),
        ("lag steep", "after `lag` stands `steep`"),
        ("ledger balanced well", "after `ledger` stands `balanced well`"),
        ("response.p99 >= 50ms", "after `response.p99` stands `>=`"),
        ("response.p99 = 50ms", "after `response.p99` stands `=`"),
        ("response.p99", "write `response.p99 <= …`"),
        ("response.p99 <=", "`` is no duration"),
        ("response.p99 <= 50", "`50` is no duration"),
        ("response.p99 <= -1ms", "`-1ms` is no duration"),
        ("response.p99 <= nans", "`nans` is no duration"),
        ("response.p98 <= 50ms", "there are p50, p90, p99, p99.9, max, mean"),
        ("reply.p99 <= 50ms", "there is no hop `reply`"),
        ("speed <= 50ms", "`speed` is no term"),
        ("speed", "`speed` is no term"),
        ("errors <= 1", "`1` is no share"),
        ("errors < 1%", "where `<=` is wanted"),
        ("errors <= 101%", "`101%` is no share"),
        ("lag flat and", "a term is missing beside `and`"),
        ("lag flat lag flat", "after `lag` stands `flat lag flat`"),
    ] {
        let error = refused(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_term_is_held_against_the_figures_of_a_run() {
    let mut report = run();
    let lag = Lag::of(&[], 1000.0);
    let mut met = |text: &str, change: &dyn Fn(&mut Report)| {
        change(&mut report);
        let held = Objective::parse(text).unwrap().hold(&report, &lag);
        held.into_iter().map(|held| (held.met, held.found)).collect::<Vec<_>>()
    };
    let nothing = |_: &mut Report| ();
    assert_eq!(
        met("response.p99 <= 20ms and response.p99 < 20ms", &nothing),
        [(true, "20.0 ms".to_owned()), (false, "20.0 ms".to_owned())]
    );
    assert_eq!(met("rollup.p99 <= 1s", &nothing), [(false, "not measured".to_owned())]);
    assert_eq!(
        met("errors <= 1% and errors <= 0.9%", &nothing),
        [(true, "1%".to_owned()), (false, "1%".to_owned())]
    );
    assert_eq!(met("cpu <= 30us", &nothing), [(false, "not measured".to_owned())]);
    assert_eq!(
        met("ledger balanced", &|report| report.ledger.balanced = false),
        [(false, "not balanced".to_owned())]
    );
}

/// A run of 1,000 orders of which 10 were rejected, with a response and nothing else measured.
fn run() -> Report {
    let measured = Percentiles { p99: 20.0, count: 1000, ..Percentiles::default() };
    let latency_ms = crate::report::LatencyMs { response: measured, ..Default::default() };
    let ledger = crate::report::Ledger {
        sent: 1000,
        accepted: 990,
        rejected: 10,
        balanced: true,
        ..Default::default()
    };
    serde_json::from_value(serde_json::json!({
        "schema": crate::report::SCHEMA, "started_at": "", "way": "embedded", "duration_seconds": 1.0, "valid": true,
        "reasons": [], "offered_per_second": 1000.0, "achieved_per_second": 1000.0, "latency_ms": latency_ms,
        "ledger": ledger, "machine": {
            "cpu": "", "cores": 2, "kernel": "", "memory_bytes": 0, "os": "", "clock_source": "tsc",
        },
        "commit": "", "config": {}, "seed": 1, "data": { "kind": "generated", "fingerprint": "" }, "spectra": {},
        "series": [], "sales": [], "rejections": {},
    }))
    .unwrap()
}
