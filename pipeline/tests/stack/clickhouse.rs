//! The rollups alone: what each insert asks for takes effect, a block is one part, sums are exact.

use crate::proxy::{Fault, Proxy};
use crate::servers::{NOON, Servers, block, block_of, order, topic};
use pipeline::observe::stores::Store;
use pipeline::store::clickhouse::ClickHouseRollups;
use pipeline::store::{Books, Stores};
use std::sync::Arc;

fn rollups(servers: &Servers) -> ClickHouseRollups {
    ClickHouseRollups::new(&servers.config.clickhouse, servers.metrics.stores.of(Store::Rollups))
}

const SUMS: &str = "SELECT toUInt64(sum(orders)) FROM sales_by_minute WHERE block = ''";

#[test]
#[ignore = "needs the servers"]
fn a_token_is_taken_once_and_the_first_wins_whole() {
    let servers = Servers::new("token");
    let rollups = rollups(&servers);
    let (short, long) =
        (block_of(&servers.config, 5, &["a", "b"]), block_of(&servers.config, 5, &["c", "d", "e"]));
    for block in [&short, &short, &long] {
        servers.run(rollups.insert(block, 0)).unwrap();
    }
    assert_eq!(servers.number(SUMS), 2);
    assert_eq!(servers.run(rollups.find(&long.row)).unwrap().unwrap().last, 6);
    // Another attempt is another token: that is why it is made last.
    servers.run(rollups.insert(&long, 1)).unwrap();
    assert_eq!(servers.number(SUMS), 5);
    let blocks = servers.run(rollups.books().blocks()).unwrap();
    assert_eq!(blocks.iter().map(|row| (row.first, row.last)).collect::<Vec<_>>(), [(5, 6), (5, 7)]);
}

#[test]
#[ignore = "needs the servers"]
fn the_settings_of_an_insert_take_effect() {
    let servers = Servers::new("settings");
    // A table that copies what the server sees while it takes the insert.
    let see = "CREATE TABLE seen (name String, value String) ENGINE = MergeTree ORDER BY name";
    let view = "CREATE MATERIALIZED VIEW spy TO seen AS SELECT pair.1 AS name, pair.2 AS value FROM (SELECT arrayJoin([('async_insert', toString(getSetting('async_insert'))), \
         ('deduplicate_insert', toString(getSetting('deduplicate_insert'))), \
         ('insert_deduplicate', toString(getSetting('insert_deduplicate'))), \
         ('insert_deduplication_token', toString(getSetting('insert_deduplication_token'))), \
         ('max_execution_time', toString(getSetting('max_execution_time')))]) AS pair \
         FROM sales_by_minute)";
    for sql in [see, view] {
        servers.run(servers.client().query(sql).execute()).unwrap();
    }
    servers.run(rollups(&servers).insert(&block_of(&servers.config, 7, &["a"]), 4)).unwrap();
    let sql = "SELECT DISTINCT name, value FROM seen ORDER BY name";
    let seen: Vec<(String, String)> = servers.run(servers.client().query(sql).fetch_all()).unwrap();
    let token = format!("{}-3-7-4", topic(&servers.config));
    let expected = [
        ("async_insert", "0"),
        ("deduplicate_insert", "enable"),
        ("insert_deduplicate", "1"),
        ("insert_deduplication_token", &token),
        ("max_execution_time", "4"),
    ];
    let one = |value: &str| {
        if value == "false" {
            "0".into()
        } else if value == "true" {
            "1".into()
        } else {
            value.to_owned()
        }
    };
    let seen: Vec<_> = seen.iter().map(|(name, value)| (name.as_str(), one(value))).collect();
    assert_eq!(seen, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
#[ignore = "needs the servers"]
fn an_insert_has_its_token_as_its_query_id() {
    // Not every server shows a query its own id, so it is read on the way: the proxy fails what has it, and nothing else.
    let servers = Servers::new("query_id");
    let server =
        servers.config.clickhouse.url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let proxy = Proxy::to(&server, format!("query_id={}-3-7-4", topic(&servers.config)));
    let mut config = servers.config.clickhouse.clone();
    config.url = format!("http://{}", proxy.address);
    let rollups = ClickHouseRollups::new(&config, servers.metrics.stores.of(Store::Rollups));
    proxy.fail_next(Fault::LoseAnswer);
    let block = block_of(&servers.config, 7, &["a"]);
    servers.run(rollups.insert(&block, 3)).unwrap();
    assert_eq!(proxy.faults(), 0);
    servers.run(rollups.insert(&block, 4)).unwrap_err();
    assert_eq!(proxy.faults(), 1);
}

#[test]
#[ignore = "needs the servers"]
fn a_block_of_many_minutes_is_one_part() {
    let servers = Servers::new("part");
    let bodies: Vec<_> = (0..9_000)
        .map(|n| {
            let (hour, minute, year) = (n / 60 % 24, n % 60, 2020 + n % 7);
            let at = format!("{year}-03-04T{hour:02}:{minute:02}:00Z");
            order(&format!("id-{n}")).replace("2026-11-22T12:00:00Z", &at)
        })
        .collect();
    let block = block(&servers.config, 0, &bodies);
    assert!(block.sums.len() > 5_000, "{}", block.sums.len());
    servers.run(rollups(&servers).insert(&block, 0)).unwrap();
    let parts =
        "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'sales_by_minute'";
    assert_eq!(servers.number(parts), 1, "among active parts and others");
    assert_eq!(servers.number(SUMS), 9_000);
}

#[test]
#[ignore = "needs the servers"]
fn sums_are_exact_beyond_64_bits_and_to_the_cent() {
    let servers = Servers::new("sums");
    let rollups = rollups(&servers);
    let most = i128::from(i64::MAX);
    for first in 0..3 {
        let mut block = Arc::into_inner(block_of(&servers.config, first, &["a"])).unwrap();
        block.sums[0].1.total_minor = most;
        servers.run(rollups.insert(&block, 0)).unwrap();
    }
    let cents = ["0.01", "0.10", "1234567.89"].map(|total| {
        order("x").replace("\"total\":10", &format!("\"total\":\"{total}\"")).replace("Online", "Takeaway")
    });
    let yen = order("y").replace("\"total\":10", "\"total\":123,\"currency\":\"JPY\"");
    let dinar = order("z").replace("\"total\":10", "\"total\":\"1.234\",\"currency\":\"KWD\"");
    for (first, body) in (10..).zip(cents.into_iter().chain([yen, dinar])) {
        servers.run(rollups.insert(&block(&servers.config, first, &[body]), 0)).unwrap();
    }
    let sales = servers.run(rollups.books().sales()).unwrap();
    let found: Vec<_> = sales
        .iter()
        .map(|(key, sums)| (key.currency.code(), key.source.as_str(), sums.total_minor))
        .collect();
    let expected = [
        ("USD", "Online", 3 * most),
        ("USD", "Takeaway", 123_456_800),
        ("JPY", "Online", 123),
        ("KWD", "Online", 1_234),
    ];
    for row in expected {
        assert!(found.contains(&row), "{row:?} is not in {found:?}");
    }
    let sql = "SELECT currency, source, toString(total) FROM sales ORDER BY currency, source";
    let shown: Vec<(String, String, String)> = servers.run(servers.client().query(sql).fetch_all()).unwrap();
    let shown: Vec<_> = shown.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("JPY", "Online", "123"),
            ("KWD", "Online", "1.234"),
            ("USD", "Online", "276701161105643274.21"),
            ("USD", "Takeaway", "1234568"),
        ]
    );
}

#[test]
#[ignore = "needs the servers"]
fn sums_stay_right_when_the_engine_merges_and_so_do_careless_ones() {
    let servers = Servers::new("merge");
    let stores = servers.stores();
    for first in 0..20 {
        let id = format!("id-{first}");
        servers.run(stores.put(block_of(&servers.config, first, &[&id]))).unwrap();
    }
    let both = || {
        let careless = servers.number("SELECT toUInt64(sum(orders)) FROM sales_by_minute");
        let sales = servers.run(servers.books().sales()).unwrap();
        (careless, sales.values().next().unwrap().total_minor, servers.run(servers.books().blocks()).unwrap())
    };
    let before = both();
    assert_eq!((before.0, before.1, before.2.len()), (20, 20_000, 20));
    servers.run(servers.client().query("OPTIMIZE TABLE sales_by_minute FINAL").execute()).unwrap();
    assert_eq!(both(), before);
    assert_eq!(servers.number("SELECT count() FROM sales_by_minute"), 21, "one row of sums, and the blocks");
}

#[test]
#[ignore = "needs the servers"]
fn a_block_that_is_there_twice_shows_before_and_after_a_merge() {
    let servers = Servers::new("twice");
    let rollups = rollups(&servers);
    servers.run(rollups.insert(&block_of(&servers.config, 0, &["a"]), 0)).unwrap();
    let copy = "INSERT INTO sales_by_minute SELECT * FROM sales_by_minute";
    servers.run(servers.client().query(copy).with_setting("insert_deduplicate", "0").execute()).unwrap();
    for _ in 0..2 {
        let blocks = servers.run(rollups.books().blocks()).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], blocks[1]);
        assert_eq!(servers.number("SELECT toUInt64(blocks) FROM blocks"), 2, "in the view");
        servers.run(servers.client().query("OPTIMIZE TABLE sales_by_minute FINAL").execute()).unwrap();
    }
}

#[test]
#[ignore = "needs the servers"]
fn old_blocks_are_forgotten_but_never_the_newest_nor_any_sums() {
    let servers = Servers::new("forget");
    let stores = servers.stores();
    for first in 0..4 {
        servers.run(stores.put(block_of(&servers.config, first, &[&format!("id-{first}")]))).unwrap();
    }
    servers.run(stores.forget_before(NOON)).unwrap();
    assert_eq!(servers.run(servers.books().blocks()).unwrap().len(), 4, "none is that old");
    let later = pipeline::time::now() + 1_000_000_000;
    servers.run(stores.forget_before(later)).unwrap();
    assert_eq!(servers.run(servers.books().blocks()).unwrap().len(), 4, "no checkpoint has counted them");
    let keep = |name: &str| {
        let checkpoints = [(name.to_owned(), "{}".to_owned())].into();
        servers.run(servers.books().keep_checkpoints(&checkpoints)).unwrap();
        servers.run(stores.forget_before(later)).unwrap();
        servers.run(servers.books().blocks()).unwrap().len()
    };
    assert_eq!((keep("2-3"), keep("3-0"), keep("3-3")), (4, 3, 1));
    let left = servers.run(servers.books().blocks()).unwrap();
    assert_eq!(left.iter().map(|row| row.first).collect::<Vec<_>>(), [3]);
    assert_eq!(servers.number(SUMS), 4);
    assert_eq!(servers.run(stores.newest_block(3)).unwrap().unwrap().last, 3);
}
