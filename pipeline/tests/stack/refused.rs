//! A block that a server refuses stops its partition, and says which offsets and why; the others go on, and so does this
//! one once it was seen to.

use crate::separate::Separate;
use crate::servers::Servers;
use crate::ways::place::{Place, id_of};
use crate::ways::running::Running;
use crate::ways::wait::eventually;

fn post(pipeline: &Running, partition: u32, name: &str) {
    let id = id_of(partition, name);
    let order = format!(r#"{{"order_id":"{id}","customer_id":3,"source":"Dine In","quantity":2}}"#);
    assert_eq!(pipeline.post(&order).status, 202);
}

/// Breaks the schema so that partition 2 is refused, mends it, and looks at what the processor says and does.
fn refused(test: &str, breaks: impl Fn(&Servers), mends: impl Fn(&Servers), reason: &str) {
    let separate = Separate::new(test);
    let servers = Servers::of(separate.config().clone());
    let place = Place::on(separate);
    let pipeline = place.start(&[]);
    post(&pipeline, 2, "before");
    eventually("it is stored", || pipeline.metric("tillflow_store_orders_total") == 1.0);
    breaks(&servers);
    post(&pipeline, 2, "refused");
    let stopped = || pipeline.metric("tillflow_consume_stopped_partitions{partition=\"2\"}");
    eventually("the partition has stopped", || stopped() == 1.0);
    let ready = pipeline.parts[1].page("/readyz");
    assert_eq!(ready.status, 503);
    let says = "partition 2: offsets 1 to 1 are not stored, because the stores refuse them: ";
    assert!(ready.body.starts_with(says) && ready.body.contains(reason), "{}", ready.body);
    assert_eq!(ready.body.lines().count(), 1, "only that one: {}", ready.body);
    let retries = pipeline.metric("tillflow_store_retries_total");
    mends(&servers);
    for partition in [0, 1, 3, 4, 5] {
        post(&pipeline, partition, "other");
    }
    eventually("the others are stored", || pipeline.metric("tillflow_store_orders_total") == 6.0);
    assert_eq!(
        (stopped(), pipeline.metric("tillflow_store_retries_total")),
        (1.0, retries),
        "it is not sent again"
    );
    assert_eq!(pipeline.terminate(), Some(0));
    let pipeline = place.start(&[]);
    assert_eq!(place.balanced()["total"]["orders"], 7);
    assert_eq!(pipeline.terminate(), Some(0));
}

#[test]
#[ignore = "needs the servers"]
fn a_block_that_clickhouse_refuses_stops_its_partition_and_no_other() {
    let run = |servers: &Servers, sql: &str| servers.run(servers.client().query(sql).execute()).unwrap();
    refused(
        "refused_sums",
        |servers| {
            run(
                servers,
                "ALTER TABLE sales_by_minute ADD CONSTRAINT no_two CHECK block = '' OR partition != 2",
            )
        },
        |servers| run(servers, "ALTER TABLE sales_by_minute DROP CONSTRAINT no_two"),
        "no_two",
    );
}

#[test]
#[ignore = "needs the servers"]
fn a_block_that_cassandra_refuses_stops_its_partition_and_no_other() {
    let run = |servers: &Servers, change: &str| {
        let cql = format!("ALTER TABLE {}.orders {change}", servers.config.cassandra.keyspace);
        servers.run(servers.session().query_unpaged(cql, ())).unwrap();
    };
    refused(
        "refused_orders",
        |servers| run(servers, "RENAME order_id TO another_id"),
        |servers| run(servers, "RENAME another_id TO order_id"),
        "Cassandra",
    );
}
