//! The schema: applied twice it is the same, and whatever does not fit is named before anything is written.

use crate::servers::Servers;
use pipeline::store::StoreError;
use pipeline::store::server::{apply, check};

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
    assert_eq!((checked.wrong.len(), checked.lines.len()), (0, 8), "{checked:?}");
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
