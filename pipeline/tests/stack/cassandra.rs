//! The orders store alone: rows come back as they went in, in partitions that are even, through failures.

use crate::proxy::Proxy;
use crate::servers::{NOON, Servers, block, block_of, block_received, order, topic};
use pipeline::block::{Block, BlockRow, StoredOrder};
use pipeline::log::partitioner;
use pipeline::money::Currency;
use pipeline::observe::stores::Store;
use pipeline::store::Books;
use pipeline::store::cassandra::{CassandraBooks, CassandraOrders};
use scylla::value::{CqlTimestamp, Row};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn orders(servers: &Servers, config: &pipeline::config::Cassandra) -> CassandraOrders {
    let metrics = servers.metrics.stores.of(Store::Orders);
    servers.run(CassandraOrders::connect(config, servers.config.log.partitions, metrics)).unwrap()
}

fn books(servers: &Servers) -> CassandraBooks {
    let config = &servers.config;
    servers.run(CassandraBooks::connect(&config.cassandra, config.log.partitions)).unwrap()
}

/// An order's row as name and text.
fn found(servers: &Servers, id: &str) -> BTreeMap<String, String> {
    let found = servers.run(books(servers).order(id, Some(NOON))).unwrap();
    found.unwrap_or_else(|| panic!("{id} is not there")).into_iter().collect()
}

fn rows(servers: &Servers) -> i64 {
    let cql = format!("SELECT count(*) FROM {}.orders", servers.config.cassandra.keyspace);
    let found = servers.run(servers.session().query_unpaged(cql, ())).unwrap().into_rows_result().unwrap();
    found.single_row::<(i64,)>().unwrap().0
}

#[test]
#[ignore = "needs the servers"]
fn an_order_with_every_field_comes_back_exactly_and_absent_fields_stay_absent() {
    let servers = Servers::new("fields");
    let config = &servers.config;
    let all = r#"{"order_id":"all","customer_id":9223372036854775807,"source":"Dine In","quantity":1000000,
        "total":"100000000000.00","currency":"KWD","state":"Ælgård \"1\"","store_id":-9223372036854775808,
        "product_id":0,"category":"MEAT-PCKGD","created_at":"2026-11-22T12:00:00.123456789Z"}"#;
    let all = all.replace("100000000000.00", "10000000000.000");
    servers.run(orders(&servers, &config.cassandra).put(&block(config, 41, &[all, order("few")]))).unwrap();
    let whole = found(&servers, "all");
    let expected = [
        ("order_id", "all".to_owned()),
        ("customer_id", i64::MAX.to_string()),
        ("source", "Dine In".into()),
        ("quantity", "1000000".into()),
        ("total_minor", "10000000000000".into()),
        ("currency", "KWD".into()),
        ("state", "Ælgård \"1\"".into()),
        ("store_id", i64::MIN.to_string()),
        ("product_id", "0".into()),
        ("category", "MEAT-PCKGD".into()),
        ("created_at", (NOON + 123_456_789).to_string()),
        ("received_at", NOON.to_string()),
        ("topic", topic(config).into()),
        ("partition", "3".into()),
        ("offset", "41".into()),
    ];
    assert_eq!(whole, expected.map(|(name, value)| (name.to_owned(), value)).into());
    let few = found(&servers, "few");
    for absent in ["state", "store_id", "product_id", "category"] {
        assert_eq!(few[absent], "", "{absent}");
    }
}

#[test]
#[ignore = "needs the servers"]
fn an_absent_field_leaves_no_tombstone_and_the_order_received_last_wins() {
    let servers = Servers::new("unset");
    let config = &servers.config;
    let orders = orders(&servers, &config.cassandra);
    let with_state = order("id").replace("\"customer_id\"", "\"state\":\"TX\",\"customer_id\"");
    let first = block_received(config, 0, &[with_state], NOON);
    // A null would delete the state; what is unset leaves it.
    let second = block_received(config, 1, &[order("id").replace(":10", ":11")], NOON + 1_000_000);
    let late = block_received(config, 2, &[order("id").replace(":10", ":12")], NOON - 1_000_000);
    for block in [first, second, late] {
        servers.run(orders.put(&block)).unwrap();
    }
    let row = found(&servers, "id");
    assert_eq!(
        (row["state"].as_str(), row["total_minor"].as_str(), row["offset"].as_str()),
        ("TX", "1100", "1")
    );
    let cql = format!("SELECT WRITETIME(total_minor) FROM {}.orders", config.cassandra.keyspace);
    let found = servers.run(servers.session().query_unpaged(cql, ())).unwrap().into_rows_result().unwrap();
    assert_eq!(found.single_row::<(i64,)>().unwrap().0, NOON / 1_000 + 1_000);
}

#[test]
#[ignore = "needs the servers"]
fn rows_lie_by_hour_and_bucket() {
    let servers = Servers::new("places");
    let config = &servers.config;
    let bodies: Vec<_> =
        (0..600).map(|n| order(&format!("id-{n}")).replace("T12:", &format!("T{:02}:", 9 + n % 3))).collect();
    servers.run(orders(&servers, &config.cassandra).put(&block(config, 0, &bodies))).unwrap();
    let cql = format!("SELECT hour, bucket, order_id FROM {}.orders", config.cassandra.keyspace);
    let found = servers.run(servers.session().query_unpaged(cql, ())).unwrap().into_rows_result().unwrap();
    let mut partitions = BTreeMap::new();
    for row in found.rows::<(CqlTimestamp, i32, String)>().unwrap() {
        let (hour, bucket, id) = row.unwrap();
        assert_eq!(bucket.unsigned_abs(), partitioner::partition(id.as_bytes(), 6), "{id}");
        assert_eq!(hour.0 % 3_600_000, 0);
        *partitions.entry((hour.0, bucket)).or_insert(0) += 1;
    }
    assert_eq!((partitions.len(), partitions.values().sum::<i32>()), (18, 600));
    assert!(partitions.values().all(|rows| (15..60).contains(rows)), "{partitions:?}");
}

/// A block of rows with a state so long.
fn long_rows(rows: i64, bytes: usize) -> Block {
    let order = |n: i64| StoredOrder {
        order_id: format!("long-{n}").into(),
        customer_id: n,
        source: "Online".into(),
        quantity: 1,
        total_minor: n,
        currency: Currency::from_code("USD").unwrap(),
        state: Some("x".repeat(bytes).into()),
        store_id: None,
        product_id: None,
        category: None,
        created_at: NOON,
        received_at: NOON,
        due_at: None,
        offset: n,
    };
    let row = BlockRow {
        topic_id: "topic".into(),
        partition: 3,
        first: 0,
        last: rows - 1,
        records: rows.unsigned_abs(),
        orders: rows.unsigned_abs(),
        duplicates: 0,
        dead: 0,
        quantity: rows,
        total_minor: 0,
        newest_created_at: NOON,
        newest_received_at: NOON,
        inserted_at: 0,
        rules: String::new(),
    };
    let orders = (0..rows).map(order).collect();
    Block { row, orders, sums: Vec::new(), dead: Vec::new(), notes: pipeline::block::Notes::default() }
}

#[test]
#[ignore = "needs the servers"]
fn rows_longer_than_a_batch_may_be_are_written_all_the_same() {
    let servers = Servers::new("long");
    let orders = orders(&servers, &servers.config.cassandra);
    servers.run(orders.put(&long_rows(40, 100_000))).unwrap();
    assert_eq!(rows(&servers), 40);
    assert_eq!(found(&servers, "long-7")["state"].len(), 100_000);
}

#[test]
#[ignore = "needs the servers"]
fn a_batch_over_the_servers_limit_is_split_and_a_row_over_it_is_refused() {
    // A mutation may be as large as half a segment of the commit log, which is 16 MiB unless a server is set otherwise.
    let servers = Servers::new("split");
    let mut config = servers.config.cassandra.clone();
    config.batch_bytes = 256 << 20;
    let orders = orders(&servers, &config);
    servers.run(orders.put(&long_rows(40, 1 << 20))).unwrap();
    assert_eq!(rows(&servers), 40);
    assert!(servers.metrics.encode().contains("store=\"orders\",kind=\"too_large\"}"));
    let error = servers.run(orders.put(&long_rows(1, 20 << 20))).unwrap_err().to_string();
    assert!(error.contains("refuse") && error.contains("too big"), "{error}");
}

#[test]
#[ignore = "needs the servers"]
fn a_put_outlives_connections_that_are_cut() {
    let servers = Servers::new("cut");
    let proxy = Proxy::to(&servers.config.cassandra.nodes[0], "no mark");
    let mut config = servers.config.cassandra.clone();
    config.nodes = vec![proxy.address.to_string()];
    let orders = Arc::new(orders(&servers, &config));
    let put = {
        let (orders, block) = (Arc::clone(&orders), long_rows(20_000, 10));
        servers.runtime.spawn(async move { orders.put(&block).await })
    };
    // The runtime works while it waits.
    servers.run(async { tokio::time::sleep(Duration::from_millis(30)).await });
    proxy.close();
    servers.run(async { tokio::time::sleep(Duration::from_millis(300)).await });
    let unfinished = !put.is_finished();
    proxy.open();
    servers.run(put).unwrap().unwrap();
    assert_eq!(rows(&servers), 20_000);
    let metrics = servers.metrics.encode();
    assert!(unfinished, "the connections were cut too late to matter");
    let retries =
        metrics.lines().find(|line| line.contains("request_retries_total{store=\"orders\"}")).unwrap();
    let retries: u64 = retries.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..2_000).contains(&retries), "{retries} retries in 0.3 s: none, or a loop without a pause");
}

#[test]
#[ignore = "needs the servers"]
fn a_node_that_stays_away_is_an_error_that_passes() {
    let servers = Servers::new("away");
    let proxy = Proxy::to(&servers.config.cassandra.nodes[0], "no mark");
    let mut config = servers.config.cassandra.clone();
    config.nodes = vec![proxy.address.to_string()];
    config.retry_for = Duration::from_secs(1);
    let orders = orders(&servers, &config);
    proxy.close();
    let started = std::time::Instant::now();
    let error = servers.run(orders.put(&long_rows(10, 10))).unwrap_err().to_string();
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
#[ignore = "needs the servers"]
fn the_scan_adds_up_all_orders_by_partition_and_currency() {
    let servers = Servers::new("scan");
    let stores = servers.stores();
    let euro = |id: &str| order(id).replace("\"total\":10", "\"total\":\"0.01\",\"currency\":\"EUR\"");
    let bodies: Vec<_> = (0..12_000)
        .map(|n| format!("id-{n}"))
        .map(|id| if id.ends_with('7') { euro(&id) } else { order(&id) })
        .collect();
    let block = block(&servers.config, 0, &bodies);
    servers.run(pipeline::store::Stores::put(&stores, block)).unwrap();
    let sums = servers
        .run(servers.books().orders(&(0..6).map(|partition| (partition, i64::MAX)).collect()))
        .unwrap();
    let found: Vec<_> = sums
        .iter()
        .map(|((partition, currency), sums)| (*partition, currency.code().to_owned(), *sums))
        .collect();
    let sums = |orders: u64, total_minor| pipeline::rollup::Sums {
        orders,
        quantity: orders.cast_signed() * 2,
        total_minor,
    };
    assert_eq!(found, [(3, "EUR".into(), sums(1_200, 1_200)), (3, "USD".into(), sums(10_800, 10_800_000))]);
}

#[test]
#[ignore = "needs the servers"]
fn an_order_is_found_with_its_hour_by_its_id_and_without_either() {
    let servers = Servers::new("lookup");
    let config = &servers.config;
    // The id is a UUID of version 7 of 2026-11-22T12:34:56Z.
    let dated = "019aab7e-1980-7000-8000-000000000001";
    let at = "2026-11-22T12:00:00Z";
    let bodies = [order("plain"), order(dated), order("old").replace(at, "2001-02-03T04:05:06Z")];
    servers.run(orders(&servers, &config.cassandra).put(&block(config, 0, &bodies))).unwrap();
    let books = books(&servers);
    let order = |id: &str, at| servers.run(books.order(id, at)).unwrap();
    for id in ["plain", dated, "old"] {
        assert!(order(id, None).is_some(), "{id}");
        assert!(order(id, Some(0)).is_some(), "{id}, where the hint is wrong");
    }
    assert!(order("plain", Some(NOON)).is_some());
    assert!(order("none", None).is_none());
    // The raw row has the hour as well, which the product does not show.
    let block = block_of(config, 9, &["again"]);
    servers.run(self::orders(&servers, &config.cassandra).put(&block)).unwrap();
    let cql = format!("SELECT * FROM {}.orders LIMIT 1", config.cassandra.keyspace);
    let found = servers.run(servers.session().query_unpaged(cql, ())).unwrap().into_rows_result().unwrap();
    assert_eq!(found.single_row::<Row>().unwrap().columns.len(), 17);
}
