//! Offsets that were lost: the partition stops and names the command by which it goes on, the command does nothing that
//! was not asked for by name, and what is lost for good stands in the ledger.

use super::place::{Foreign, Place, id_of};
use super::running::Running;
use super::wait::eventually;

over_this_way! {
    stores_that_were_wiped_are_stored_again_from_the_log_when_an_operator_says_so,
    records_that_were_deleted_before_they_were_stored_are_accepted_by_name_and_stay_in_the_ledger,
    a_ledger_whose_logs_beginning_was_deleted_takes_blocks_at_their_word,
}

const VALID: &str = r#"{"customer_id":3,"source":"Dine In","quantity":2,"total":10}"#;

/// Waits until a partition has stopped, and returns what the processor says of it.
fn complaint(pipeline: &Running, partition: u32) -> String {
    let name = format!("tillflow_consume_stopped_partitions{{partition=\"{partition}\"}}");
    eventually("the partition has stopped", || pipeline.metric(&name) == 1.0);
    pipeline.parts.last().unwrap().page("/readyz").body
}

fn write(place: &Place, partition: u32, names: &[&str]) {
    let keys: Vec<_> = names.iter().map(|name| id_of(partition, name)).collect();
    let records: Vec<_> = keys.iter().map(|key| Foreign { key: Some(key), value: VALID }).collect();
    place.way().write(&records);
}

fn stored(pipeline: &Running, count: f64) {
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == count);
}

/// ClickHouse remembers the blocks that it had, so that each waits for this before it is stored again.
const SHORT: &str = "clickhouse.max_execution_time=2s";

fn stores_that_were_wiped_are_stored_again_from_the_log_when_an_operator_says_so(place: &Place) {
    write(place, 2, &["a", "b", "c"]);
    let pipeline = place.start(&[]);
    stored(&pipeline, 3.0);
    let recover =
        |more: &[&str]| place.run(&[&["recover", "stored", "--partition", "2"], more].concat(), &[SHORT]);
    let (code, _, error) = recover(&[]);
    assert_eq!(code, Some(2), "a processor is at work, or nothing is lost: {error}");
    assert_eq!(pipeline.terminate(), Some(0));
    place.way().wipe_stores();

    let pipeline = place.start(&[SHORT]);
    let said = complaint(&pipeline, 2);
    assert!(
        said.contains("offsets 0 to 2 were stored once")
            && said.contains("`pipeline recover stored --partition 2`"),
        "{said}"
    );
    assert_eq!(pipeline.terminate(), Some(0));
    let lost = ["recover", "lost", "--partition", "2", "--from", "0", "--to", "2"];
    assert_eq!(place.run(&lost, &[SHORT]).0, Some(2), "nothing is lost for good");
    let (code, said, error) = recover(&["--dry-run"]);
    assert!(
        code == Some(0) && said.contains("goes on at offset 0, and stores 0 to 2 again"),
        "{said}{error}"
    );
    let (code, _, error) = recover(&[]);
    assert_eq!(code, Some(0), "{error}");
    let pipeline = place.start(&[SHORT]);
    stored(&pipeline, 3.0);
    assert_eq!(place.balanced()["total"]["orders"], 3);
    assert_eq!(pipeline.terminate(), Some(0));
    let (code, _, error) = recover(&[]);
    assert!(code == Some(2) && error.contains("has lost nothing"), "{error}");
}

fn records_that_were_deleted_before_they_were_stored_are_accepted_by_name_and_stay_in_the_ledger(
    place: &Place,
) {
    write(place, 3, &["a", "b", "c"]);
    place.way().delete_records(3, 2);
    let pipeline = place.start(&[]);
    let said = complaint(&pipeline, 3);
    let command = "`pipeline recover lost --partition 3 --from 0 --to 1`";
    assert!(said.contains("offsets 0 to 1 were deleted from the log") && said.contains(command), "{said}");
    assert_eq!(pipeline.terminate(), Some(0));
    let recover = |to: &str, more: &[&str]| {
        let named = ["recover", "lost", "--partition", "3", "--from", "0", "--to", to];
        place.run(&[named.as_slice(), more].concat(), &[])
    };
    let (code, _, error) = recover("5", &[]);
    assert!(code == Some(2) && error.contains("--to 1"), "another range than is lost: {error}");
    assert_eq!(recover("1", &["--dry-run"]).0, Some(0));
    let (code, said, error) = recover("1", &[]);
    assert!(code == Some(0) && said.contains("0 to 1 stand in the ledger as lost"), "{said}{error}");
    let pipeline = place.start(&[]);
    stored(&pipeline, 1.0);
    let found = place.balanced();
    assert_eq!(found["partitions"][3]["lost"], serde_json::json!([[0, 1]]));
    assert_eq!((&found["total"]["orders"], &found["total"]["other_rules"]), (&1.into(), &0.into()));
    let (_, table, _) = place.run(&["ledger"], &[]);
    assert!(table.contains("LOST partition 3, offsets 0 to 1"), "{table}");
    assert_eq!(pipeline.terminate(), Some(0));
}

fn a_ledger_whose_logs_beginning_was_deleted_takes_blocks_at_their_word(place: &Place) {
    // Offsets 1 and 4 are repeats; what makes them so is deleted.
    write(place, 1, &["a", "a", "b", "c", "a", "d"]);
    let own = ["process.block_records=2", "process.window=4"];
    let pipeline = place.start(&own);
    stored(&pipeline, 4.0);
    assert_eq!(pipeline.terminate(), Some(0));
    let ledger = || {
        let (code, json, error) = place.run(&["ledger", "--json"], &own);
        let found: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{error}"));
        (code, found)
    };
    assert_eq!(ledger().1["total"]["carried"], 0);
    place.way().delete_records(1, 1);
    let (code, found) = ledger();
    assert_eq!((code, &found["differences"]), (Some(0), &serde_json::json!([])), "{found:#}");
    let total = &found["total"];
    assert_eq!((&total["carried"], &total["orders"], &total["log"]), (&3.into(), &4.into(), &5.into()));
}
