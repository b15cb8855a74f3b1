//! The schema: applied twice it is the same, and whatever does not fit is named before anything is written.

use crate::servers::{Servers, block, order};
use pipeline::store::server::{apply, check};
use pipeline::store::{StoreError, Stores};
use std::time::Duration;

#[test]
#[ignore = "needs the servers"]
fn applying_twice_changes_nothing_and_then_all_is_as_it_should_be() {
    let servers = Servers::bare("twice_applied", &[]);
    let config = &servers.config;
    let before = servers.run(check(config)).unwrap();
    assert_eq!(before.wrong.len(), 2, "neither has a schema: {before:?}");
    assert!(before.wrong.iter().all(|line| line.contains("pipeline schema apply")), "{before:?}");
    let first = servers.run(apply(config)).unwrap();
    assert!(first.lines.iter().any(|line| line.ends_with("001_orders.cql applied")), "{first:?}");
    let second = servers.run(apply(config)).unwrap();
    let checked = servers.run(check(config)).unwrap();
    assert_eq!(second, checked, "the second time there is nothing to do");
    assert_eq!((checked.wrong.len(), checked.lines.len()), (0, 10), "{checked:?}");
}

#[test]
#[ignore = "needs the servers"]
fn partitions_and_buckets_cannot_change_under_the_data() {
    let servers = Servers::new("changed");
    for (key, named) in [("partitions", 2), ("buckets", 1)] {
        let mut config = servers.config.clone();
        match key {
            "partitions" => config.log.partitions = 12,
            _ => config.cassandra.buckets_per_partition = 4,
        }
        let checked = servers.run(check(&config)).unwrap();
        assert_eq!(checked.wrong.len(), named, "{checked:?}");
        assert!(checked.wrong.iter().all(|line| line.contains(key)), "{checked:?}");
        assert_eq!(
            servers.run(apply(&config)).unwrap().wrong,
            checked.wrong,
            "apply does not overwrite them"
        );
        let refused = servers.connect(&config).err();
        assert!(matches!(refused, Some(StoreError::Refused(_))), "{refused:?}");
    }
    assert!(servers.connect(&servers.config).is_ok());
}

#[test]
#[ignore = "needs the servers"]
fn retention_is_applied_compared_and_taken_back_and_block_rows_have_none() {
    let servers = Servers::new("retention");
    let mut config = servers.config.clone();
    (config.cassandra.retention, config.clickhouse.retention) =
        (Duration::from_secs(8 * 86_400), Duration::from_secs(9 * 86_400));
    let wrong = servers.run(check(&config)).unwrap().wrong.join("\n");
    assert!(wrong.contains("orders are kept for ever, the configuration wants for 8 days"), "{wrong}");
    assert!(wrong.contains("sums are kept for ever, the configuration wants for 9 days"), "{wrong}");
    assert!(servers.connect(&config).is_err());
    servers.run(apply(&config)).unwrap().verdict().unwrap();
    assert!(servers.run(check(&config)).unwrap().wrong.is_empty());
    // An order of 2020: its sums are as old, its block row has the minute 0, and its order was written just now.
    let stores = servers.connect(&config).unwrap();
    let old = order("old").replace("2026-11-22", "2020-11-22");
    servers.run(stores.put(block(&config, 0, &[old, order("new")]))).unwrap();
    let finish = servers.client().query("OPTIMIZE TABLE sales_by_minute FINAL").execute();
    servers.run(finish).unwrap();
    assert_eq!(servers.number("SELECT toUInt64(sum(orders)) FROM sales_by_minute"), 1);
    assert_eq!(servers.number("SELECT toUInt64(sum(blocks)) FROM sales_by_minute"), 1);
    let cql = format!("SELECT TTL(total_minor) FROM {}.orders", config.cassandra.keyspace);
    let found = servers.run(servers.session().query_unpaged(cql, ())).unwrap().into_rows_result().unwrap();
    let lives: Vec<_> = found.rows::<(i32,)>().unwrap().map(|row| row.unwrap().0).collect();
    assert!(
        lives.len() == 2 && lives.iter().all(|seconds| (600_000..=691_200).contains(seconds)),
        "{lives:?}"
    );
    servers.run(apply(&servers.config)).unwrap().verdict().unwrap();
    assert!(servers.run(check(&servers.config)).unwrap().wrong.is_empty());
}

#[test]
#[ignore = "needs the servers"]
fn a_file_that_was_applied_and_then_changed_is_named_in_either_store() {
    let servers = Servers::new("checksum");
    let name = &servers.config.cassandra.keyspace;
    let cql = format!("UPDATE {name}.schema_files SET checksum = 'other' WHERE version = 1");
    servers.run(servers.session().query_unpaged(cql, ())).unwrap();
    let sql = "INSERT INTO schema_files VALUES (99, 'later', 'x', now())";
    servers.run(servers.client().query(sql).execute()).unwrap();
    let wrong = servers.run(check(&servers.config)).unwrap().wrong;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("001_orders.cql") && wrong[0].contains("other"), "{wrong:?}");
    assert!(wrong[1].contains("ClickHouse") && wrong[1].contains("version 99"), "{wrong:?}");
    assert!(servers.connect(&servers.config).is_err());
}
