//! Dead letters after the fact: they are listed, shown with today's verdict, and sent again, each once.

use super::place::{Foreign, Place, id_of};
use super::running::Running;
use super::wait::eventually;
use std::time::Duration;

over_this_way! {
    dead_letters_are_listed_shown_and_sent_again_once_with_a_corrected_body,
    what_other_rules_accept_is_sent_again_once_however_often_a_replay_is_killed,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":10}"#;

fn stored(pipeline: &Running, count: f64) {
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == count);
}

fn dead_letters_are_listed_shown_and_sent_again_once_with_a_corrected_body(place: &Place) {
    let (one, two) = (id_of(1, "k"), id_of(4, "k"));
    let bad = r#"{"customer_id":3,"source":"Dine In","quantity":0,"total":10}"#;
    let records = [(&one, VALID), (&one, "nonsense"), (&two, bad)];
    place.way().write(&records.map(|(key, value)| Foreign { key: Some(key), value }));
    let pipeline = place.start(&[]);
    stored(&pipeline, 1.0);
    place.balanced();

    let (code, listed, _) = place.run(&["dead", "list", "--json"], &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let field = |at: usize, name: &str| listed["letters"][at][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((code, field(0, "place"), field(0, "reason")), (Some(0), "1:1".into(), "not_json".into()));
    assert_eq!((field(1, "place"), field(1, "key")), ("4:0".into(), two.clone()));
    assert_eq!(listed["reasons"]["out_of_range"], serde_json::json!({"letters": 1, "replayed": 0}));
    for (filter, count) in [
        (["--reason", "not_json"], 1),
        (["--reason", "too_deep"], 0),
        (["--partition", "4"], 1),
        (["--since", "1h"], 2),
        (["--since", "2200-01-01T00:00:00Z"], 0),
    ] {
        let (_, found, _) = place.run(&[&["dead", "list", "--json"], filter.as_slice()].concat(), &[]);
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["letters"].as_array().unwrap().len(), count, "{filter:?}");
    }
    let (_, table, _) = place.run(&["dead", "list"], &[]);
    assert!(table.contains("4:0") && table.contains("not_json                    1          0"), "{table}");

    let (code, body, about) = place.run(&["dead", "show", "4:0"], &[]);
    assert_eq!((code, body.as_str()), (Some(1), bad), "the body as it is, on standard output");
    assert!(about.contains("refused again: out_of_range") && about.contains("= quantity"), "{about}");
    assert_eq!(place.run(&["dead", "show", "4:7"], &[]).0, Some(2));
    assert_eq!(pipeline.terminate(), Some(0));

    let replay = |more: &[&str]| place.run(&[&["dead", "replay"], more].concat(), &[]);
    assert_eq!(replay(&[]).0, Some(2), "whatever there is would be sent");
    let (code, told, _) = replay(&["--reason", "out_of_range"]);
    assert!(code == Some(1) && told.contains("refused again: out_of_range"), "{told}");
    let corrected = place.folder().join("corrected.json");
    std::fs::write(&corrected, bad.replace("\"quantity\":0", "\"quantity\":7")).unwrap();
    let with = ["4:0", "--with", corrected.to_str().unwrap()];
    let (code, told, _) = replay(&[with.as_slice(), &["--dry-run"]].concat());
    assert!(code == Some(0) && told.contains("1 would be sent"), "{told}");
    for sent in ["1 sent, 0 left alone", "0 sent, 1 left alone"] {
        let (code, told, error) = replay(&with);
        assert!(code == Some(0) && told.contains(sent), "{told}{error}");
        assert!(told.contains(&format!("as {two}")), "under the id that it had: {told}");
    }
    let pipeline = place.start(&[]);
    stored(&pipeline, 1.0);
    let total = &place.balanced()["total"];
    assert_eq!((&total["log"], &total["orders"], &total["dead"]), (&4.into(), &2.into(), &2.into()));
    assert_eq!((&total["quantity"], &total["duplicates"]), (&9.into(), &0.into()));
    let order = place.order(&two).unwrap();
    let received = order.iter().find(|(name, _)| name == "received_at").unwrap().1.parse::<i64>().unwrap();
    let first = &listed["letters"][1]["received_at"];
    assert_eq!(Some(received), first.as_i64(), "the instant at which it was received first");
    let (_, listed, _) = place.run(&["dead", "list", "--json"], &[]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["letters"][1]["outcome"], "sent again with another body");
    assert_eq!(listed["reasons"]["out_of_range"], serde_json::json!({"letters": 1, "replayed": 1}));
}

fn what_other_rules_accept_is_sent_again_once_however_often_a_replay_is_killed(place: &Place) {
    const ORDERS: usize = 1_200;
    // Far fewer offsets than there are orders: whatever is sent twice would count twice.
    let window = "process.window=8";
    let keys: Vec<_> = (0..ORDERS).map(|n| format!("order-{n}")).collect();
    // One more with the id of the first.
    let all = keys.iter().chain(keys.first());
    let records: Vec<_> = all.map(|key| Foreign { key: Some(key), value: VALID }).collect();
    place.way().write(&records);
    let pipeline = place.start(&[window, r#"order.sources=["Online"]"#]);
    let dead = "tillflow_parse_dead_total{reason=\"unknown_source\"}";
    eventually("all are refused", || pipeline.metric(dead) == (ORDERS + 1) as f64);
    assert_eq!(pipeline.terminate(), Some(0));
    place.way().age_blocks();

    let replay = || place.command(&["dead", "replay", "--reason", "unknown_source"], &[window]);
    let mut killed = 0;
    for round in 0..6 {
        let mut child = replay().stdout(std::process::Stdio::null()).spawn().unwrap();
        // Not a wait for something: when the replay is killed is what the test is about.
        std::thread::sleep(Duration::from_millis(120 + round * 60));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "no kill hit a replay: the test shows nothing");
    // While it is stored, too, where the log has room for two writers.
    let pipeline = (place.way().commands().len() > 1).then(|| place.start(&[window]));
    let output = replay().output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.lines().count(), ORDERS + 2, "each is told of, and the sum");
    let pipeline = pipeline.unwrap_or_else(|| place.start(&[window]));
    eventually("all are stored", || place.ledger(&[])["total"]["pending"] == 0);
    let again = replay().output().unwrap();
    let told = String::from_utf8_lossy(&again.stdout);
    // The embedded log has one writer, and a replay beside it is refused.
    let beside = place.way().commands().len() > 1;
    assert!(told.contains("\n0 sent,") || !beside, "{told}");
    let stored = place.way().stored();
    let missing: Vec<_> = keys.iter().filter(|key| !stored.contains_key(*key)).collect();
    assert!(missing.is_empty(), "{missing:?} are not stored: {}", place.ledger(&[]));
    assert_eq!(stored.len(), ORDERS);
    let rollups: u64 = place.sales().values().map(|sums| sums.orders).sum();
    assert_eq!(rollups, ORDERS as u64, "none counts twice");
    assert_eq!(pipeline.terminate(), Some(0));
    let again = replay().output().unwrap();
    let told = String::from_utf8_lossy(&again.stdout);
    assert!(told.contains("\n0 sent,"), "{told}");
}
