//! What becomes of records: of those that did not come in over HTTP, whose values ingest might have refused and which may
//! have no key; and that each record ends in exactly one place, and each order of a request in exactly one outcome.

use super::place::{Foreign, Letter, Place, id_of};
use super::running::Running;
use super::wait::eventually;

over_this_way! {
    a_record_that_ingest_would_have_refused_becomes_a_dead_letter_and_the_block_goes_on,
    a_record_without_an_id_is_known_by_its_key_and_without_a_key_by_its_place,
    every_record_ends_in_one_place_and_every_order_has_one_outcome,
    rules_that_change_neither_make_a_stored_record_count_twice_nor_a_refused_one_stand_in_anothers_way,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2}"#;

/// Where records end: stored, duplicate, dead.
fn ends(pipeline: &Running) -> [f64; 3] {
    ["tillflow_store_orders_total", "tillflow_parse_duplicates_total", "tillflow_parse_dead_total"]
        .map(|name| pipeline.sum(name))
}

fn a_record_that_ingest_would_have_refused_becomes_a_dead_letter_and_the_block_goes_on(place: &Place) {
    let key = id_of(1, "k");
    let after = format!(r#"{{"order_id":"after",{}"#, &VALID[1..]);
    let bad = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":"1.234"}"#;
    let values = [VALID, "nonsense", bad, r#"{"customer_id":3}"#, &after];
    place.way().write(&values.map(|value| Foreign { key: Some(&key), value }));
    let pipeline = place.start(&[]);
    eventually("both valid ones are stored", || pipeline.metric("tillflow_store_orders_total") == 2.0);
    let total = &place.balanced()["total"];
    assert_eq!((&total["log"], &total["orders"], &total["dead"]), (&5.into(), &2.into(), &3.into()));
    for (reason, count) in [("not_json", 1.0), ("bad_money", 1.0), ("missing_field", 1.0), ("too_deep", 0.0)]
    {
        let name = format!("tillflow_parse_dead_total{{reason=\"{reason}\"}}");
        assert_eq!(pipeline.metric(&name), count, "{reason}");
    }
    let found = place.way().dead_letters(3);
    for (letter, (offset, reason)) in
        found.iter().zip([(1, "not_json"), (2, "bad_money"), (3, "missing_field")])
    {
        let value = values[usize::try_from(offset).unwrap()].to_owned();
        let (reason, detail) = (reason.to_owned(), letter.detail.clone());
        assert_eq!(*letter, Letter { partition: 1, offset, value, reason, detail });
    }
    assert!(found[1].detail.starts_with("total: "), "{:?}", found[1]);
    assert_eq!(found.len(), 3);
    for part in &pipeline.parts {
        assert_eq!(part.page("/readyz").status, 200, "a dead letter is nobody's outage");
    }
}

fn a_record_without_an_id_is_known_by_its_key_and_without_a_key_by_its_place(place: &Place) {
    let key = id_of(1, "k");
    let record = |key| Foreign { key, value: VALID };
    let written = place.way().write(&[record(None), record(Some(&key)), record(None)]);
    let pipeline = place.start(&[]);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == 3.0);
    let by_place =
        |at: usize| format!("{}-{}-{}", written[at].topic_id, written[at].partition, written[at].offset);
    for id in [by_place(0), key, by_place(2)] {
        assert!(place.order(&id).is_some(), "{id}");
    }
    place.balanced();
}

fn every_record_ends_in_one_place_and_every_order_has_one_outcome(place: &Place) {
    let foreign = [VALID, "nonsense", "[]"];
    place.way().write(&foreign.map(|value| Foreign { key: Some("foreign"), value }));
    let pipeline = place.start(&["order.max_bytes=1KiB", "receive.max_body_bytes=8KiB"]);
    let named = |id: &str| format!(r#"{{"order_id":"{id}",{}"#, &VALID[1..]);
    let conflict = named("twice").replace("\"quantity\":2", "\"quantity\":3");
    let bodies = [
        (format!("[{VALID},{{}},{},1]", named("twice")), 4),
        (named("twice"), 1),
        (conflict, 1),
        ("nonsense".to_owned(), 1),
        (r#"{"customer_id":1}"#.to_owned(), 1),
    ];
    let (mut sent, mut outcomes) = (0, [0_u64; 4]);
    for (body, orders) in bodies {
        let told = pipeline.post(&body).json();
        let counts = ["accepted", "rejected", "failed", "unknown"].map(|name| told[name].as_u64().unwrap());
        assert_eq!(counts.iter().sum::<u64>(), orders, "{told}");
        sent += orders;
        outcomes.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    // Refused whole: no order of it was looked at, so none is counted.
    assert_eq!(pipeline.post(&"x".repeat(10_000)).status, 413);
    assert_eq!(outcomes, [4, 4, 0, 0]);
    for (outcome, count) in ["accepted", "rejected", "failed", "unknown"].into_iter().zip(outcomes) {
        let name = format!("tillflow_receive_orders_total{{outcome=\"{outcome}\"}}");
        assert_eq!(pipeline.metric(&name), count as f64, "{outcome}");
    }
    assert_eq!(pipeline.sum("tillflow_receive_orders_total"), sent as f64);
    assert_eq!(pipeline.sum("tillflow_validate_rejections_total"), outcomes[1] as f64);

    let log = place.balanced()["total"]["log"].as_f64().unwrap();
    eventually("all are counted", || ends(&pipeline).iter().sum::<f64>() == log);
    assert_eq!(pipeline.metric("tillflow_consume_records_total"), log);
    assert_eq!(ends(&pipeline), [3.0, 2.0, 2.0]);
    assert_eq!(pipeline.metric("tillflow_parse_conflicts_total"), 1.0);
    eventually("no lag is left", || pipeline.sum("tillflow_consume_lag_records") == 0.0);
}

fn rules_that_change_neither_make_a_stored_record_count_twice_nor_a_refused_one_stand_in_anothers_way(
    place: &Place,
) {
    let (stored, refused) = (id_of(1, "s"), id_of(1, "r"));
    let online = VALID.replace("Dine In", "Online");
    let both = |key| [Foreign { key: Some(key), value: &online }];
    place.way().write(&[both(&stored)[0], Foreign { key: Some(&refused), value: VALID }]);
    let narrow = r#"order.sources=["Online"]"#;
    let pipeline = place.start(&[narrow]);
    eventually("one is refused", || ends(&pipeline) == [1.0, 0.0, 1.0]);
    assert_eq!(pipeline.terminate(), Some(0));
    place.way().age_blocks();

    // The same two come once more, by rules that take both. Only the one that was stored before is a repeat.
    let pipeline = place.start(&[]);
    let named = |id: &str, body: &str| format!(r#"{{"order_id":"{id}",{}"#, &body[1..]);
    assert_eq!(pipeline.post(&named(&refused, VALID)).status, 202);
    assert_eq!(pipeline.post(&named(&stored, &online)).status, 202);
    eventually("both are looked at", || ends(&pipeline) == [1.0, 1.0, 0.0]);
    let found = place.balanced();
    let total = &found["total"];
    assert_eq!((&total["orders"], &total["duplicates"], &total["dead"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&total["other_rules"], &total["unknown_rules"]), (&1.into(), &0.into()));
    assert!(place.order(&refused).is_some(), "what was refused before is no first try");
    assert_eq!(pipeline.terminate(), Some(0));
}
