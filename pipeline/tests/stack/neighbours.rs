//! A store that goes away for longer than anybody waits for it: the processor keeps its partitions, its memory and its
//! place, says how far behind it is, and catches up; the other partitions' way, and ingest, go on.

use crate::proxy::Proxy;
use crate::separate::Separate;
use crate::ways::place::Place;
use crate::ways::running::Running;
use crate::ways::wait::eventually;
use std::time::{Duration, Instant};

/// Shorter than the store is away, so that a processor which stopped polling would lose its partitions.
const POLL_INTERVAL: Duration = Duration::from_secs(7);
const AWAY: Duration = Duration::from_secs(16);

/// Orders of one request, of which none was sent before.
fn batch(number: usize) -> String {
    let order =
        |n| format!(r#"{{"order_id":"{number}-{n}","customer_id":1,"source":"Online","quantity":1}}"#);
    format!("[{}]", (0..500).map(order).collect::<Vec<_>>().join(","))
}

/// Sends orders while the store behind a proxy is away, and looks at the processor meanwhile and afterwards.
fn goes_away(test: &str, proxy: &Proxy, setting: &str) {
    let way = Separate::new(test);
    let place = Place::on(way);
    let poll = format!("kafka.consumer.max.poll.interval.ms={}", POLL_INTERVAL.as_millis());
    // Next to nothing is fetched ahead, so that the fetches do not tell of the log's end.
    let ahead = ["kafka.consumer.queued.min.messages=1", "kafka.consumer.queued.max.messages.kbytes=1"];
    let waits = ["process.retry_pause_max=2s", "cassandra.retry_for=3s"];
    let behind = [&[setting, &poll], &ahead[..], &waits[..]].concat();
    let parts = vec![place.start_part("ingest", &[], None), place.start_part("process", &behind, None)];
    let running = Running::of(parts);
    let accept = |number| assert_eq!(running.post(&batch(number)).status, 202);
    let lag = || running.sum("tillflow_consume_lag_records");
    accept(0);
    eventually("the first orders are stored", || running.metric("tillflow_store_orders_total") >= 500.0);
    let assigned = running.metric("tillflow_log_rebalances_total");

    proxy.close();
    let started = Instant::now();
    let (mut sent, mut seen) = (500.0, Vec::new());
    for number in 1.. {
        accept(number);
        sent += 500.0;
        std::thread::sleep(Duration::from_millis(250));
        seen.push(lag());
        if started.elapsed() > AWAY {
            break;
        }
    }
    let stored = running.metric("tillflow_store_orders_total");
    assert!(stored < sent / 2.0, "{stored} of {sent} were stored: the store was not away");
    eventually("the lag says how much is not stored", || (sent - stored - lag()).abs() < 1.0);
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "the lag only grew: {seen:?}");
    assert_eq!(
        running.metric("tillflow_log_rebalances_total"),
        assigned,
        "the processor kept its partitions"
    );
    assert!(running.metric("tillflow_store_retries_total") > 0.0);
    assert_eq!(running.sum("tillflow_consume_stopped_partitions"), 0.0);

    proxy.open();
    eventually("all orders are stored", || running.metric("tillflow_store_orders_total") >= sent);
    eventually("nothing is left", || lag() == 0.0);
    assert_eq!(place.balanced()["total"]["orders"].as_f64(), Some(sent));
    assert_eq!(running.terminate(), Some(0));
}

#[test]
#[ignore = "needs the servers"]
fn an_orders_store_that_is_away_costs_nothing_but_time() {
    let node = std::env::var("PIPELINE_CASSANDRA_NODES").expect("PIPELINE_CASSANDRA_NODES names a server");
    let proxy = Proxy::to(&node, "no mark");
    goes_away("orders_away", &proxy, &format!("cassandra.nodes={}", proxy.address));
}

#[test]
#[ignore = "needs the servers"]
fn a_rollup_store_that_is_away_costs_nothing_but_time() {
    let url = std::env::var("PIPELINE_CLICKHOUSE_URL").expect("PIPELINE_CLICKHOUSE_URL names a server");
    let proxy = Proxy::to(url.trim_end_matches('/').trim_start_matches("http://"), "no mark");
    goes_away("rollups_away", &proxy, &format!("clickhouse.url=http://{}", proxy.address));
}
