//! The counts that requests leave behind in the metrics.

use super::witness::{JSON, NDJSON, Witness, post};
use crate::corpus;
use crate::support::Pipeline;
use pipeline::order::Reason;
use pipeline::outcomes::Outcome;
use pipeline::parse::Parser;
use pipeline::time;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn each_order_sent_is_counted_once_under_its_outcome_and_a_rejected_one_under_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    let mut witness = Witness::new();
    let (rules, mut parser) = (corpus::rules(), Parser::default());
    let (mut sent, mut accepted, mut rejected) = (0_u64, 0, BTreeMap::<Reason, u64>::new());
    let mut lines = Vec::new();
    for (_, order) in corpus::cases() {
        // A body that begins like a list is one, and a blank one is refused whole.
        if matches!(order.trim_ascii().first(), None | Some(b'[')) {
            continue;
        }
        let reason = parser.parse(&order, time::now(), &rules).err().map(|rejection| rejection.reason);
        let status = match reason {
            None => 202,
            Some(Reason::NotJson | Reason::InvalidUtf8) => 400,
            Some(_) => 422,
        };
        let mut times = 1;
        let reply = witness.ask(pipeline.orders, &post("/v1/orders", &[JSON], &order), status, None).json();
        assert_eq!(reply["results"][0].get("reason").and_then(Value::as_str), reason.map(Reason::tag));
        if !order.contains(&b'\n') {
            lines.push((order, reason));
            times = 2;
        }
        sent += times;
        match reason {
            None => accepted += times,
            Some(reason) => *rejected.entry(reason).or_default() += times,
        }
    }
    let body = lines.iter().map(|(order, _)| order.as_slice()).collect::<Vec<_>>().join(&b'\n');
    let reply =
        witness.ask(pipeline.orders, &post("/v1/orders?results=all", &[NDJSON], &body), 207, None).json();
    for (result, (_, reason)) in reply["results"].as_array().unwrap().iter().zip(&lines) {
        assert_eq!(result.get("reason").and_then(Value::as_str), reason.map(Reason::tag), "{result}");
    }
    assert_eq!(rejected.len(), Reason::ALL.len(), "the corpus has every reason: {rejected:?}");

    let counted =
        |outcome: &str| pipeline.metric(&format!("tillflow_receive_orders_total{{outcome=\"{outcome}\"}}"));
    for outcome in Outcome::ALL.map(Outcome::tag) {
        assert_eq!(counted(outcome), witness.outcomes[outcome] as f64, "{outcome}");
    }
    assert_eq!(witness.outcomes.values().sum::<u64>(), sent);
    assert_eq!((witness.outcomes["accepted"], witness.outcomes["rejected"]), (accepted, sent - accepted));
    for (reason, count) in rejected {
        let name = format!("tillflow_validate_rejections_total{{reason=\"{}\"}}", reason.tag());
        assert_eq!(pipeline.metric(&name), count as f64, "{name}");
    }
}
