//! Rebuilding a store from the log: what was spoiled is as the log says again, by the rules of its time or of today, and
//! nothing happens that cannot be whole.

use super::place::{Foreign, Place, id_of};
use super::running::Running;
use super::wait::eventually;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

over_this_way! {
    spoiled_stores_are_rebuilt_from_the_log_and_a_dry_run_changes_nothing,
    a_rebuild_follows_the_rules_of_the_time_or_todays_and_tells_what_another_dimension_changes,
    a_rebuild_that_is_killed_is_begun_again_and_comes_to_the_same,
    a_rebuild_beside_a_processor_or_of_a_log_that_lacks_something_is_refused,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":10}"#;

/// Small blocks, so that there are several, and a window that the repeats are in.
const OWN: [&str; 1] = ["process.block_records=2"];

fn store(place: &Place, count: f64) {
    let keys: Vec<_> =
        (0..4).flat_map(|partition| ["a", "b", "a", "c"].map(|name| id_of(partition, name))).collect();
    let records: Vec<_> = keys.iter().map(|key| Foreign { key: Some(key), value: VALID }).collect();
    place.way().write(&records);
    let pipeline = place.start(&OWN);
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == count);
    place.balanced();
    assert_eq!(pipeline.terminate(), Some(0));
}

fn rebuild(place: &Place, arguments: &[&str], settings: &[&str]) -> Value {
    let arguments = [&["rebuild"], arguments, &["--json"]].concat();
    let (code, said, error) = place.run(&arguments, &[&OWN, settings].concat());
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&said).unwrap()
}

fn is_balanced(place: &Place) -> bool {
    place.ledger(&[])["balanced"] == true
}

fn spoiled_stores_are_rebuilt_from_the_log_and_a_dry_run_changes_nothing(place: &Place) {
    store(place, 12.0);
    let said = rebuild(place, &["rollups", "--dry-run"], &[]);
    assert_eq!((&said["rows_changed"], &said["blocks_changed"]), (&json!(0), &json!(0)), "{said:#}");
    assert_eq!(rebuild(place, &["orders", "--dry-run"], &[])["rows_changed"], 0);
    place.way().spoil_stores();
    assert!(!is_balanced(place));
    for dry in [true, false] {
        let how: &[&str] = if dry { &["--dry-run"] } else { &[] };
        let sums = rebuild(place, &[&["rollups"], how].concat(), &[]);
        assert_eq!(sums["swapped"], !dry);
        let usd = &sums["currencies"]["USD"];
        assert!(
            usd["orders"] == json!([13, 12]) && usd["total_minor"] == json!([12_000, 12_000]),
            "{sums:#}"
        );
        assert_eq!(sums["rows_changed"], 1, "{sums:#}");
        let orders = rebuild(place, &[&["orders"], how].concat(), &[]);
        assert_eq!((&orders["rows"], &orders["rows_changed"]), (&json!([0, 12]), &json!(12)), "{orders:#}");
        assert_eq!(is_balanced(place), !dry);
    }
    assert_eq!(place.balanced()["total"]["stored_orders"], 12);
    let (code, found, _) = place.run(&["order", &id_of(2, "b")], &[]);
    assert!(code == Some(0) && found.contains("total_minor  1000"), "{found}");
    let pipeline = place.start(&OWN);
    assert_eq!(pipeline.post(VALID).status, 202);
    eventually("it is stored", || pipeline.metric("tillflow_store_orders_total") == 1.0);
    assert_eq!(place.balanced()["total"]["orders"], 13);
    assert_eq!(pipeline.terminate(), Some(0));
    // Old blocks may share an insert.
    place.way().age_blocks();
    for store in ["rollups", "orders"] {
        assert_eq!(rebuild(place, &[store], &[])["rows_changed"], 0, "{store}");
        let dropped = || place.run(&["rebuild", store, "--drop-old"], &[]).1;
        assert_eq!(dropped(), "the old tables are deleted\n");
        assert_eq!(dropped(), "there are no old tables\n");
    }
    assert_eq!(place.balanced()["total"]["orders"], 13);
}

fn a_rebuild_follows_the_rules_of_the_time_or_todays_and_tells_what_another_dimension_changes(place: &Place) {
    store(place, 12.0);
    let customers = place.folder().join("customers.csv");
    std::fs::write(&customers, "customer_id,state\n3,TX\n").unwrap();
    let dimension = format!("order.customers={}", customers.display());
    let said = rebuild(place, &["rollups", "--dry-run"], &[&dimension]);
    assert_eq!(said["states"]["CA"]["orders"], json!([12, 0]), "{said:#}");
    assert_eq!(said["states"]["TX"]["orders"], json!([0, 12]), "{said:#}");
    assert_eq!(said["blocks_changed"], 0);
    let narrower = "order.sources=Online";
    assert_eq!(rebuild(place, &["rollups", "--dry-run"], &[narrower])["rows_changed"], 0);
    let said = rebuild(place, &["rollups", "--dry-run", "--rules", "today"], &[narrower]);
    assert_eq!(said["currencies"]["USD"]["orders"], json!([12, 0]), "{said:#}");
    assert_eq!(said["blocks_changed"], said["blocks"]);
}

fn a_rebuild_that_is_killed_is_begun_again_and_comes_to_the_same(place: &Place) {
    store(place, 12.0);
    place.way().spoil_stores();
    for what in ["rollups", "orders"] {
        for milliseconds in [40, 120, 250] {
            let mut command = place.command(&["rebuild", what], &OWN);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(milliseconds));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        rebuild(place, &[what], &[]);
    }
    assert_eq!(place.balanced()["total"]["orders"], 12);
}

fn a_rebuild_beside_a_processor_or_of_a_log_that_lacks_something_is_refused(place: &Place) {
    store(place, 12.0);
    let refused = |place: &Place| {
        ["rollups", "orders"].map(|store| {
            let (code, _, error) = place.run(&["rebuild", store], &OWN);
            assert_eq!(code, Some(2), "{error}");
            error
        })
    };
    let pipeline: Running = place.start(&OWN);
    for error in refused(place) {
        assert!(
            error.contains("in use by another process") || error.contains("stop the processors"),
            "{error}"
        );
    }
    assert_eq!(pipeline.terminate(), Some(0));
    place.way().delete_records(1, 3);
    for error in refused(place) {
        assert!(
            error.contains("offsets 0 to 1 of partition 1 are stored") || error.contains("offsets 0 to 2"),
            "{error}"
        );
    }
    assert_eq!(place.way().stored().len(), 12, "nothing was changed");
}
