//! A log that somebody else holds: some orders have certainly failed, of others nobody knows, and each is counted in
//! exactly one place all the same.

use crate::support::{Pipeline, Reply, balanced, eventually};
use rusqlite::Connection;

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

#[test]
fn every_order_has_one_of_four_outcomes_also_when_the_log_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "order.max_bytes=1KiB",
        "receive.max_body_bytes=8KiB",
        "log.max_queue_bytes=8KiB",
        "log.delivery_timeout=2s",
        "receive.reply_timeout=3s",
    ];
    let pipeline = Pipeline::start(dir.path(), &settings);
    let named = |id: &str| format!(r#"{{"order_id":"{id}",{}"#, &VALID[1..]);
    let conflict = named("twice").replace("\"quantity\":2", "\"quantity\":3");
    let padding = "x".repeat(500);
    let big = format!("[{}]", vec![format!(r#"{{"note":"{padding}",{}"#, &VALID[1..]); 11].join(","));
    let mut sent = 0_u64;
    let mut outcomes = [0_u64; 4];
    let mut post = |body: &str, orders: u64| -> Reply {
        let reply = pipeline.post(body);
        let told = reply.json();
        let counts = ["accepted", "rejected", "failed", "unknown"].map(|name| told[name].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), orders, "{told}");
        assert_eq!(told["results"].as_array().unwrap().len() as u64, orders, "{told}");
        sent += orders;
        outcomes.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        reply
    };
    post(&format!("[{VALID},{{}},{},1]", named("twice")), 4);
    post(&named("twice"), 1);
    post(&conflict, 1);
    assert_eq!(post("nonsense", 1).status, 400);
    assert_eq!(post(r#"{"customer_id":1}"#, 1).status, 422);
    // Somebody else holds the log: what the writer has is unknown when the time is over, and what does not fit into
    // the queue behind it has failed.
    let held = Connection::open(dir.path().join("log.db")).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(post(&big, 11).status, 504);
    assert_eq!(post(&big, 11).status, 503);
    drop(held);
    // Refused whole: no order of it was looked at, so none is counted.
    assert_eq!(pipeline.post(&"x".repeat(10_000)).status, 413);

    for (outcome, count) in ["accepted", "rejected", "failed", "unknown"].into_iter().zip(outcomes) {
        assert!(count > 0, "no order was {outcome}");
        let name = format!("tillflow_receive_orders_total{{outcome=\"{outcome}\"}}");
        assert_eq!(pipeline.metric(&name), count as f64, "{outcome}");
    }
    assert_eq!(pipeline.sum("tillflow_receive_orders_total"), sent as f64);
    assert_eq!(pipeline.sum("tillflow_validate_rejections_total"), outcomes[1] as f64);

    // Whether or not the log has the unknown ones: all that it has ends in one place.
    eventually("the log is free", || pipeline.post(VALID).status == 202);
    let log = balanced(dir.path())["total"]["log"].as_f64().unwrap();
    let ends =
        ["tillflow_store_orders_total", "tillflow_parse_duplicates_total", "tillflow_parse_dead_total"];
    eventually("all are counted", || ends.map(|name| pipeline.sum(name)).iter().sum::<f64>() == log);
}
