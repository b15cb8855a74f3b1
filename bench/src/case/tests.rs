//! A case says all of what it means, and what it cannot mean is refused before anything starts.

use super::*;

const WHOLE: &str = r#"
title = "steady"
objective = "response.p99 <= 50ms and lag flat"
warm_up = "5s"
repetitions = 3

[workload]
rate = 2000
duration = "30s"
batch = 20
connections = 8
live = true

[target]
way = "embedded"
settings = ["process.block_interval=50ms"]

[probes]
per_second = 5
step = "10ms"

[capacity]
most = 50000
"#;

fn refused(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from}");
    format!("{:#}", Case::parse(&WHOLE.replace(from, to)).unwrap_err())
}

#[test]
fn a_case_is_read_with_its_defaults() {
    let case = Case::parse(WHOLE).unwrap();
    assert_eq!((case.workload.data.as_str(), case.workload.seed), ("generated", 1));
    assert_eq!(case.warm_up().unwrap(), WarmUp::Fixed(5));
    assert_eq!(case.limits().unwrap().max_delay, Duration::from_millis(100));
    assert_eq!(case.probes().unwrap(), Some(Probes { per_second: 5, step: Duration::from_millis(10) }));
    let rules = case.rules().unwrap().unwrap();
    assert_eq!((rules.start, rules.most, rules.repetitions), (2000.0, 50_000.0, 3));
    let again = Case::parse(&toml::to_string(&case).unwrap()).unwrap();
    assert_eq!(again, case);
}

#[test]
fn what_a_case_cannot_mean_is_refused_with_its_name() {
    for (from, to, part) in [
        ("duration = \"30s\"", "duration = \"30\"", "workload.duration"),
        ("batch = 20", "batches = 20", "unknown field `batches`"),
        ("way = \"embedded\"", "way = \"cloud\"", "unknown variant `cloud`"),
        ("warm_up = \"5s\"", "warm_up = \"30s\"", "leaves nothing"),
        ("warm_up = \"5s\"", "warm_up = \"soon\"", "warm_up = \"soon\" is no duration"),
        ("repetitions = 3", "repetitions = 0", "repetitions must be"),
        ("repetitions = 3", "repetitions = 2", "repetitions must be odd"),
        ("most = 50000", "most = 1000", "must rise"),
        ("most = 50000", "precision = 0.0", "capacity.precision"),
        ("[probes]", "[limits]\nmin_achieved = 99\n[probes]", "limits.min_achieved"),
        ("per_second = 5", "per_second = 11", "probes.per_second"),
        ("step = \"10ms\"", "step = \"0s\"", "probes.step"),
        ("response.p99 <= 50ms", "response.p99 <= fast", "`fast` is no duration"),
        ("objective = \"response.p99 <= 50ms and lag flat\"\n", "", "there is none"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(part), "{to}: {error}");
    }
    let short = WHOLE.replace("warm_up = \"5s\"", "").replace("\"30s\"", "\"10s\"");
    assert!(format!("{:#}", Case::parse(&short).unwrap_err()).contains("20 s or longer"));
}
