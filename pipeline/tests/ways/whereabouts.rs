//! Where one order is, at each point of its way: stored, waiting in the log, refused, nowhere.

use super::place::{Foreign, Place, id_of};
use super::wait::eventually;

over_this_way! {
    an_order_is_told_to_be_stored_waiting_refused_or_nowhere,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":10}"#;

fn an_order_is_told_to_be_stored_waiting_refused_or_nowhere(place: &Place) {
    let [good, bad, absent] = ["good", "bad", "absent"].map(|name| id_of(2, name));
    let write = |key: &str, value| place.way().write(&[Foreign { key: Some(key), value }]);
    write(&good, VALID);
    write(&good, VALID);
    write(&bad, "nonsense");
    let ask = |id: &str, more: &[&str]| place.run(&[&["order", id], more].concat(), &[]);
    let start_and_end = |orders: f64| {
        let pipeline = place.start(&[]);
        eventually("all are looked at", || {
            pipeline.sum("tillflow_store_orders_total") + pipeline.sum("tillflow_parse_dead_total") == orders
        });
        assert_eq!(pipeline.terminate(), Some(0));
    };
    start_and_end(2.0);
    let (code, told, error) = ask(&good, &[]);
    assert!(code == Some(0) && told.contains("stored, from the log at 2:0"), "{told}{error}");
    assert!(told.contains("in the log   2:1"), "the repeat, too: {told}");
    assert!(told.contains("offsets 0 to 3 of partition 2, which holds 0 to 3"), "{told}");
    let (code, told, _) = ask(&bad, &[]);
    assert!(
        code == Some(1) && told.contains("refused by the processor, in the log at 2:2: not_json"),
        "{told}"
    );
    let (code, told, _) = ask(&absent, &[]);
    assert!(code == Some(1) && told.contains("nowhere"), "{told}");

    let waiting = id_of(2, "waiting");
    write(&waiting, VALID);
    let (code, told, _) = ask(&waiting, &[]);
    let sentence = "accepted, in the log at 2:3, not stored yet: the processor is 1 records behind";
    assert!(code == Some(0) && told.contains(sentence), "{told}");
    // An hour around an instant long ago holds none of it.
    let (_, told, _) = ask(&waiting, &["--around", "2020-01-01T00:00:00Z"]);
    assert!(told.contains("nowhere"), "{told}");
    start_and_end(1.0);
    let (code, told, _) = ask(&waiting, &["--json"]);
    let found: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &found["records"][0]["offset"], &found["stored_to"]), (Some(0), &3.into(), &4.into()));
}
