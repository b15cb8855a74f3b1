//! Both stores together: a block is stored once, whoever sends it, however often, and whatever becomes of the answers.

use crate::proxy::{Fault, Proxy};
use crate::servers::{Servers, block_of, topic};
use pipeline::block::Block;
use pipeline::config::Config;
use pipeline::observe::stores::Store;
use pipeline::rollup::Sums;
use pipeline::store::clickhouse::ClickHouseRollups;
use pipeline::store::server::ServerStores;
use pipeline::store::{Books, StoreError, Stored, Stores};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Orders and total of the orders store, and of the rollups.
fn totals(servers: &Servers) -> [(u64, i128); 2] {
    let books = servers.books();
    let sums = |all: Vec<Sums>| {
        all.iter().fold((0, 0), |(orders, total), sums| (orders + sums.orders, total + sums.total_minor))
    };
    let orders = servers
        .run(books.orders(&(0..6).map(|partition| (partition, i64::MAX)).collect()))
        .unwrap()
        .into_values()
        .collect();
    let sales = servers.run(books.sales()).unwrap().into_values().collect();
    [sums(orders), sums(sales)]
}

/// Puts a block as the processor does: again while the error may pass. Returns how many tries it took as well.
fn put(servers: &Servers, stores: &ServerStores, block: &Arc<Block>) -> (Stored, u32) {
    servers.run(put_again(stores, block))
}

async fn put_again(stores: &ServerStores, block: &Arc<Block>) -> (Stored, u32) {
    for tries in 1..20 {
        match stores.put(Arc::clone(block)).await {
            Ok(stored) => return (stored, tries),
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the block was not stored");
}

/// The configuration with ClickHouse behind a proxy that knows inserts.
fn behind_proxy(servers: &Servers) -> (Config, Proxy) {
    let url = servers.config.clickhouse.url.trim_end_matches('/');
    let proxy = Proxy::to(url.strip_prefix("http://").unwrap(), "insert_deduplication_token=");
    let mut config = servers.config.clone();
    config.clickhouse.url = format!("http://{}", proxy.address);
    (config, proxy)
}

#[test]
#[ignore = "needs the servers"]
fn a_block_that_is_put_twice_is_stored_once_and_answers_with_the_first_row() {
    let servers = Servers::new("put_twice");
    let stores = servers.stores();
    let block = block_of(&servers.config, 0, &["a", "b", "c"]);
    let (first, _) = put(&servers, &stores, &block);
    let (second, _) = put(&servers, &stores, &block);
    let (other, _) = put(&servers, &servers.stores(), &block);
    assert!(first.row.inserted_at > 0 && first.orders_at <= first.rollup_at);
    assert_eq!((&second.row, &other.row), (&first.row, &first.row));
    assert_eq!(totals(&servers), [(3, 3_000), (3, 3_000)]);
    assert_eq!(servers.run(servers.books().blocks()).unwrap(), std::slice::from_ref(&first.row));
    let mut expected = block.row.clone();
    expected.inserted_at = first.row.inserted_at;
    assert_eq!(first.row, expected, "every field comes back");
}

#[test]
#[ignore = "needs the servers"]
fn of_two_blocks_at_the_same_offset_the_first_wins_whole() {
    let servers = Servers::new("lengths");
    let stores = servers.stores();
    let (won, _) = put(&servers, &stores, &block_of(&servers.config, 10, &["a", "b"]));
    let (longer, _) = put(&servers, &stores, &block_of(&servers.config, 10, &["a", "b", "c", "d"]));
    let (shorter, _) = put(&servers, &stores, &block_of(&servers.config, 10, &["a"]));
    assert_eq!((won.row.first, won.row.last), (10, 11));
    assert_eq!((&longer.row, &shorter.row), (&won.row, &won.row), "both learn of the one that is there");
    assert_eq!(totals(&servers)[1], (2, 2_000));
}

#[test]
#[ignore = "needs the servers"]
fn of_many_processors_at_the_same_offset_one_wins() {
    let servers = Servers::new("race");
    for first in 0..5 {
        let tasks: Vec<_> = (1..=4)
            .map(|length| {
                let ids: Vec<_> = (0..length).map(|n| format!("{first}-{n}")).collect();
                let ids: Vec<_> = ids.iter().map(String::as_str).collect();
                let (stores, block) = (servers.stores(), block_of(&servers.config, first * 100, &ids));
                servers.runtime.spawn(async move { put_again(&stores, &block).await })
            })
            .collect();
        let rows: Vec<_> = tasks.into_iter().map(|task| servers.run(task).unwrap().0.row).collect();
        assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    }
    let blocks = servers.run(servers.books().blocks()).unwrap();
    assert_eq!(blocks.len(), 5);
    assert_eq!(totals(&servers)[1].0, blocks.iter().map(|row| row.orders).sum::<u64>());
}

#[test]
#[ignore = "needs the servers"]
fn the_newest_block_of_a_partition_is_the_one_with_the_last_offset() {
    let servers = Servers::new("newest");
    let stores = servers.stores();
    assert!(servers.run(stores.newest_block(3)).unwrap().is_none());
    for first in [8, 10, 98, 100] {
        put(&servers, &stores, &block_of(&servers.config, first, &["a", "b"]));
    }
    let newest = servers.run(stores.newest_block(3)).unwrap().unwrap();
    assert_eq!((newest.topic_id.as_str(), newest.first, newest.last), (topic(&servers.config), 100, 101));
    assert!(servers.run(stores.newest_block(2)).unwrap().is_none());
}

#[test]
#[ignore = "needs the servers"]
fn whatever_becomes_of_a_request_or_its_answer_the_block_is_stored_once() {
    let servers = Servers::new("lost");
    let (mut config, proxy) = behind_proxy(&servers);
    config.clickhouse.answer_timeout = Duration::from_secs(2);
    let stores = servers.connect(&config).unwrap();
    put(&servers, &stores, &block_of(&servers.config, 0, &["z"]));
    for (first, fault) in [(1, Fault::LoseAnswer), (2, Fault::LoseRequest), (3, Fault::KeepAnswer)] {
        proxy.fail_next(fault);
        let (stored, tries) =
            put(&servers, &stores, &block_of(&servers.config, first, &[&format!("id-{first}")]));
        assert_eq!((stored.row.first, tries), (first, 2), "one try that fails, one that finds out");
    }
    assert_eq!(proxy.faults(), 3);
    assert_eq!(totals(&servers), [(4, 4_000), (4, 4_000)]);
    assert_eq!(servers.run(servers.books().blocks()).unwrap().len(), 4);
    assert!(servers.metrics.encode().contains("store_errors_total{store=\"rollups\",kind=\"connection\"} 2"));
}

#[test]
#[ignore = "needs the servers"]
fn a_burned_token_costs_a_wait_and_another_attempt() {
    let servers = Servers::new("burned");
    let stores = servers.stores();
    // What the first attempt's token brought is deleted, and the token stays noted, as where the server died between.
    let block = block_of(&servers.config, 0, &["a"]);
    let metrics = servers.metrics.stores.of(Store::Rollups);
    servers.run(ClickHouseRollups::new(&servers.config.clickhouse, metrics).insert(&block, 0)).unwrap();
    let delete = "ALTER TABLE sales_by_minute DELETE WHERE true SETTINGS mutations_sync = 1";
    servers.run(servers.client().query(delete).execute()).unwrap();
    let started = Instant::now();
    let (stored, tries) = put(&servers, &stores, &block);
    assert!(started.elapsed() >= servers.config.clickhouse.max_execution_time, "{:?}", started.elapsed());
    assert_eq!((stored.row.first, tries), (0, 1));
    let second = format!("SELECT count() FROM blocks WHERE block = '{}-3-0-1'", topic(&servers.config));
    assert_eq!(servers.number(&second), 1);
    assert_eq!(totals(&servers)[1], (1, 1_000));
    assert!(servers.metrics.encode().contains("tillflow_store_burned_tokens_total 1"));
}

#[test]
#[ignore = "needs the servers"]
fn a_block_whose_insert_failed_does_not_write_its_orders_again() {
    let servers = Servers::new("resume");
    let (config, proxy) = behind_proxy(&servers);
    let stores = servers.connect(&config).unwrap();
    let block = block_of(&servers.config, 0, &["a", "b"]);
    proxy.close();
    assert!(matches!(servers.run(stores.put(Arc::clone(&block))), Err(StoreError::Unavailable(_))));
    proxy.open();
    put(&servers, &stores, &block);
    let rows = "tillflow_store_rows_total{store=\"orders\"} 2";
    assert!(servers.metrics.encode().contains(rows), "{}", servers.metrics.encode());
}

#[test]
#[ignore = "needs the servers"]
fn a_processor_of_other_rules_does_not_start_beside_one_that_runs() {
    let servers = Servers::new("rules");
    put(&servers, &servers.stores(), &block_of(&servers.config, 0, &["a"]));
    assert!(servers.connect(&servers.config).is_ok(), "one of the same rules does");
    let mut other = servers.config.clone();
    other.process.window += 1;
    let error = servers.connect(&other).err().expect("the rules differ").to_string();
    assert!(error.contains("side by side"), "{error}");
}

#[test]
#[ignore = "needs the servers"]
fn a_table_that_is_gone_is_refused_and_a_server_that_is_gone_is_not() {
    let servers = Servers::new("gone");
    let (config, proxy) = behind_proxy(&servers);
    let stores = servers.connect(&config).unwrap();
    proxy.close();
    let away = servers.run(stores.newest_block(3)).unwrap_err();
    assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
    proxy.open();
    servers.run(servers.client().query("DROP TABLE sales_by_minute SYNC").execute()).unwrap();
    let gone = servers.run(stores.put(block_of(&servers.config, 0, &["a"]))).unwrap_err();
    assert!(matches!(gone, StoreError::Refused(_)), "{gone}");
}
