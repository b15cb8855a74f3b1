//! `report.json`: what is written is read back, and other schemas are refused by name.

use bench::report::{Report, ReportError};

use crate::sample;

#[test]
fn a_report_is_read_back_as_it_was_written() {
    for report in [sample::valid(), sample::invalid()] {
        let read = Report::from_json(&report.to_json().unwrap()).unwrap();
        assert!(read == report, "something was lost or rounded");
    }
}

#[test]
fn the_fields_have_the_names_that_other_tools_read() {
    let json: serde_json::Value = serde_json::from_str(&sample::valid().to_json().unwrap()).unwrap();
    for (path, kind) in [
        ("/schema", "string"),
        ("/valid", "bool"),
        ("/reasons", "array"),
        ("/offered_per_second", "number"),
        ("/latency_ms/response/p999", "number"),
        ("/ledger/total_minor/rollup", "number"),
        ("/ledger/balanced", "bool"),
        ("/machine/clock_source", "string"),
        ("/commit", "string"),
        ("/spectra/response/0/1", "number"),
        ("/series/0/response_p99_ms", "number"),
        ("/sales/0/total_minor", "number"),
        ("/resources/cpu_us_per_order", "number"),
        ("/rejections/source_unknown", "number"),
        ("/check/expected/count", "number"),
    ] {
        let value = json.pointer(path).unwrap_or_else(|| panic!("{path} is missing"));
        let found = match value {
            serde_json::Value::String(_) => "string",
            serde_json::Value::Bool(_) => "bool",
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Number(_) => "number",
            _ => "something else",
        };
        assert_eq!(found, kind, "{path}");
    }
}

#[test]
fn another_schema_is_refused_by_its_name() {
    let error = Report::from_json(r#"{"schema":"tillflow.report.v9"}"#).unwrap_err();
    assert!(matches!(error, ReportError::Schema(name) if name == "tillflow.report.v9"));
    assert!(matches!(Report::from_json("{}").unwrap_err(), ReportError::Json(_)));
}

#[test]
fn the_samples_are_judged_by_their_own_figures() {
    let valid = sample::valid();
    assert!(valid.valid && valid.ledger.balanced, "{:?} {:?}", valid.reasons, valid.ledger.differences);

    let invalid = sample::invalid();
    assert!(!invalid.valid && !invalid.ledger.balanced);
    let reasons = invalid.reasons.join("\n");
    for part in ["overflowed", "1742 of 2000", "delay is 61 ms", "ledger does not balance", "known sums"] {
        assert!(reasons.contains(part), "{part} is not a reason:\n{reasons}");
    }
}
