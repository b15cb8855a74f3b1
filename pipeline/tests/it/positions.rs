//! Files that were lost or restored: a partition whose stores and log do not fit stops and names what is missing, the
//! others go on, and nothing is jumped over in silence.

use crate::support::{Pipeline, eventually, id_of};
use std::path::Path;

fn post(pipeline: &Pipeline, partition: u32, name: &str) {
    let id = id_of(partition, name);
    let order = format!(r#"{{"order_id":"{id}","customer_id":3,"source":"Dine In","quantity":2}}"#);
    assert_eq!(pipeline.post(&order).status, 202);
}

fn stored(pipeline: &Pipeline, count: f64) {
    eventually("all are stored", || pipeline.metric("tillflow_store_orders_total") == count);
}

/// Three orders in partition 2 and one in partition 4, stored and committed.
fn four_orders(dir: &Path) {
    let pipeline = Pipeline::start(dir, &[]);
    for (partition, name) in [(2, "a"), (2, "b"), (2, "c"), (4, "d")] {
        post(&pipeline, partition, name);
    }
    stored(&pipeline, 4.0);
    assert_eq!(pipeline.terminate(), Some(0));
}

fn delete(dir: &Path, name: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let path = dir.join(format!("{name}{suffix}"));
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
}

/// Waits until as many partitions have stopped, and returns what `/readyz` says of them.
fn complaints(pipeline: &Pipeline, partitions: &[u32]) -> Vec<String> {
    let name = |partition: u32| format!("tillflow_consume_stopped_partitions{{partition=\"{partition}\"}}");
    eventually("the partitions have stopped", || {
        partitions.iter().all(|partition| pipeline.metric(&name(*partition)) == 1.0)
    });
    for other in (0..6).filter(|other| !partitions.contains(other)) {
        assert_eq!(pipeline.metric(&name(other)), 0.0, "partition {other}");
    }
    let ready = pipeline.page("/readyz");
    assert_eq!(ready.status, 503);
    ready.body.lines().map(str::to_owned).collect()
}

/// The other partitions still store, and a stop is still a clean one.
fn others_go_on(pipeline: Pipeline) {
    let before = pipeline.metric("tillflow_store_orders_total");
    post(&pipeline, 0, "other");
    stored(&pipeline, before + 1.0);
    assert_eq!(pipeline.page("/livez").status, 200);
    assert_eq!(pipeline.terminate(), Some(0));
}

#[test]
fn stores_that_were_wiped_stop_their_partitions_with_the_missing_range() {
    let dir = tempfile::tempdir().unwrap();
    four_orders(dir.path());
    delete(dir.path(), "stores.db");
    let pipeline = Pipeline::start(dir.path(), &[]);
    let found = complaints(&pipeline, &[2, 4]);
    let missing = "were stored once and are not any more";
    assert!(found[0].starts_with(&format!("partition 2: offsets 0 to 2 {missing}")), "{found:?}");
    assert!(found[1].starts_with(&format!("partition 4: offsets 0 to 0 {missing}")), "{found:?}");
    assert_eq!(found.len(), 2);
    // What is accepted meanwhile is in the log and waits there.
    post(&pipeline, 2, "later");
    others_go_on(pipeline);
}

#[test]
fn stores_that_were_restored_from_an_older_copy_stop_their_partition_with_the_missing_range() {
    let dir = tempfile::tempdir().unwrap();
    four_orders(dir.path());
    std::fs::copy(dir.path().join("stores.db"), dir.path().join("copy")).unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    for name in ["e", "f"] {
        post(&pipeline, 2, name);
    }
    stored(&pipeline, 2.0);
    assert_eq!(pipeline.terminate(), Some(0));
    delete(dir.path(), "stores.db");
    std::fs::rename(dir.path().join("copy"), dir.path().join("stores.db")).unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    let found = complaints(&pipeline, &[2]);
    assert!(found[0].starts_with("partition 2: offsets 3 to 4 were stored once"), "{found:?}");
    assert_eq!(found.len(), 1);
    others_go_on(pipeline);
}

#[test]
fn a_log_that_was_made_anew_stops_the_partitions_that_hold_blocks_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    four_orders(dir.path());
    delete(dir.path(), "log.db");
    let pipeline = Pipeline::start(dir.path(), &[]);
    let found = complaints(&pipeline, &[2, 4]);
    for (line, partition) in found.iter().zip([2, 4]) {
        assert!(
            line.starts_with(&format!("partition {partition}: the stores hold blocks of topic")),
            "{line}"
        );
        assert!(line.contains("the topic was made anew"), "{line}");
    }
    others_go_on(pipeline);
}
