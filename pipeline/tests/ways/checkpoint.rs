//! Checkpoints: the ledger goes on from them when the log's beginning and old block rows are gone.

use super::place::{Foreign, Place, id_of};
use super::wait::eventually;
use serde_json::{Value, json};

over_this_way! {
    a_ledger_goes_on_from_a_checkpoint_when_blocks_and_records_before_it_are_gone,
    there_is_no_checkpoint_of_books_that_differ,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":10}"#;

const OWN: [&str; 2] = ["process.block_records=2", "process.window=4"];

fn store(place: &Place, names: &[&str], count: f64) {
    let keys: Vec<_> = names.iter().map(|name| id_of(1, name)).collect();
    let records: Vec<_> = keys.iter().map(|key| Foreign { key: Some(key), value: VALID }).collect();
    place.way().write(&records);
    let pipeline = place.start(&OWN);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == count);
    eventually("nothing is pending", || ledger(place, &[]).1["total"]["pending"] == 0);
    assert_eq!(pipeline.terminate(), Some(0));
}

fn ledger(place: &Place, more: &[&str]) -> (Option<i32>, Value) {
    let (code, json, error) = place.run(&[&["ledger", "--json"], more].concat(), &OWN);
    (code, serde_json::from_str(&json).unwrap_or_else(|_| panic!("{error}")))
}

fn a_ledger_goes_on_from_a_checkpoint_when_blocks_and_records_before_it_are_gone(place: &Place) {
    store(place, &["a", "b", "a", "c"], 3.0);
    let (code, _) = ledger(place, &["--checkpoint"]);
    assert_eq!(code, Some(0));
    // The first one repeats an id from before the checkpoint, within the window.
    store(place, &["a", "e", "f"], 2.0);
    let figures = |found: &Value| {
        ["orders", "duplicates", "log", "stored_orders", "quantity"].map(|name| found["total"][name].clone())
    };
    let expected = [5, 2, 7, 5, 10].map(Value::from);
    let (code, found) = ledger(place, &[]);
    assert_eq!((code, figures(&found)), (Some(0), expected.clone()), "{found:#}");
    assert_eq!(found["partitions"][1]["checkpoint"], 3);
    let (code, found) = ledger(place, &["--full"]);
    assert_eq!((code, figures(&found)), (Some(0), expected.clone()), "{found:#}");
    assert_eq!(found["partitions"][1]["checkpoint"], Value::Null, "there was no need of it");

    assert_eq!(ledger(place, &["--checkpoint"]).0, Some(0), "a second one");
    place.way().forget_blocks();
    place.way().delete_records(1, 5);
    for how in [[].as_slice(), &["--full"]] {
        let (code, found) = ledger(place, how);
        assert_eq!((code, figures(&found)), (Some(0), expected.clone()), "{found:#}");
        assert_eq!(found["differences"], json!([]));
    }
    let (_, table, _) = place.run(&["ledger"], &OWN);
    assert!(table.contains("counted from checkpoints on, at") && table.contains("1:6"), "{table}");
    let (code, _, error) = place.run(&["rebuild", "rollups"], &OWN);
    assert!(code == Some(2) && error.contains("no block says how offsets 0 to"), "{error}");
}

fn there_is_no_checkpoint_of_books_that_differ(place: &Place) {
    store(place, &["a", "b", "a", "c"], 3.0);
    place.way().spoil_stores();
    let (code, table, error) = place.run(&["ledger", "--checkpoint"], &OWN);
    assert!(code == Some(1) && error.contains("books that differ"), "{error}");
    assert!(table.contains("DIFFER"), "what differs is shown all the same: {table}");
    place.way().forget_blocks();
    let (code, found) = ledger(place, &[]);
    let first = &found["differences"][0];
    assert_eq!((code, &first["range"]), (Some(1), &json!([0, 1])), "{found:#}");
    assert!(first["what"].as_str().unwrap().contains("without a block row and without a checkpoint"));
}
