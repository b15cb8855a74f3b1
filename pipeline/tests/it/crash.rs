//! Kill -9 at moments that nobody chose, again and again on one data folder, under load: no acknowledged order is lost,
//! none counts twice, and the books balance to the cent.
//!
//! What the orders must come to is computed by the senders. A kill proves something only where it hits work that is
//! under way, so the test also fails if no request lost its answer, or if no restart found records still to be stored.

mod clients;

use crate::support::{Pipeline, balanced, eventually, ledger};
use clients::{Client, Gate, Random, SOURCES};
use pipeline::outcomes::{Outcome, OutcomeWriter};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const SEED: u64 = 20_260_115;
const ROUNDS: usize = 25;
const CLIENTS: u64 = 4;
/// From blocks that follow each commit of the log at once to blocks that are never due within a round.
const BLOCK_INTERVALS: [&str; 4] = ["1ms", "20ms", "150ms", "1s"];
const PARTITIONS: usize = 6;

#[test]
fn a_killed_pipeline_loses_no_acknowledged_order_and_counts_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client::new(number, SEED)).collect();
    let pending = rounds(dir.path(), &data, &mut clients);
    let found = pending.iter().filter(|pending| **pending > 0).count();
    let (requests, unanswered, repeats) =
        clients.iter().fold((0, 0, 0), |(requests, unanswered, repeats), client| {
            (requests + client.requests, unanswered + client.unanswered, repeats + client.repeats)
        });
    println!(
        "{requests} requests, {unanswered} unanswered, {repeats} orders repeated; pending at each start: {pending:?}"
    );
    assert!(unanswered > 0, "no kill hit a request that was under way: the test shows nothing");
    assert!(found > 2, "too few kills fell between log and stores: the test shows nothing");
    assert!(repeats > 0, "no order was sent again");

    // As the last kill left it, with ids of which nobody knows: acknowledged ⊆ log ⊆ acknowledged ∪ unknown.
    let between = by_id(dir.path(), &data, &clients);
    assert!(between["ids"]["unknown"].as_u64() > Some(0), "nothing was left unknown: {between:#}");
    assert_eq!(between["differences"], serde_json::json!([]), "{between:#}");

    let pipeline = Pipeline::start(&data, &[]);
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| client.settle(pipeline.orders));
        }
    });
    balanced(&data);
    assert_eq!(pipeline.terminate(), Some(0));
    let settled = by_id(dir.path(), &data, &clients);
    assert_eq!(settled["balanced"], true, "{settled:#}");
    compare(&data, &clients, &settled);
}

/// Kills the pipeline once a round, and says how many records each start found in the log that were not stored.
fn rounds(dir: &Path, data: &Path, clients: &mut [Client]) -> Vec<i64> {
    let mut random = Random(SEED);
    let gate = Gate::default();
    let mut pending = Vec::new();
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| client.load(&gate));
        }
        for round in 0..ROUNDS {
            if round % 5 == 4 {
                // Killed while it starts, wherever that hits: while it recovers its files, or before it looks at them.
                let mut child = Pipeline::spawn(data, &["log.partitions=6"], Stdio::null());
                std::thread::sleep(Duration::from_millis(random.below(40)));
                child.kill().unwrap();
                child.wait().unwrap();
            }
            let interval =
                format!("process.block_interval={}", BLOCK_INTERVALS[round % BLOCK_INTERVALS.len()]);
            let log = dir.join(format!("round-{round}.log"));
            let pipeline = Pipeline::start_logging(data, &[&interval], &log);
            pending.push(found_pending(&log));
            gate.open(pipeline.orders);
            // Not a wait for something: the moment of the kill is what the test is about.
            std::thread::sleep(Duration::from_millis(20 + random.below(600)));
            gate.shut();
            pipeline.kill();
        }
        gate.end();
    });
    pending
}

/// The records that a start found behind the newest blocks, as it logs for each partition. Nothing is sent before.
fn found_pending(log: &Path) -> i64 {
    let mut partitions = Vec::new();
    eventually("every partition goes on", || {
        let text = std::fs::read_to_string(log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let fields = lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == "goes on");
        partitions = fields
            .map(|fields| fields["end"].as_i64().unwrap() - fields["offset"].as_i64().unwrap())
            .collect();
        partitions.len() == PARTITIONS
    });
    partitions.iter().sum()
}

/// The ledger against what the senders were told.
fn by_id(dir: &Path, data: &Path, clients: &[Client]) -> serde_json::Value {
    let path = dir.join("outcomes.zst");
    let mut writer = OutcomeWriter::create(&path).unwrap();
    for (id, order) in clients.iter().flat_map(|client| &client.orders) {
        writer.write(id, order.outcome()).unwrap();
    }
    writer.finish().unwrap();
    let found = ledger(data, &["--outcomes", path.to_str().unwrap()]);
    for none in ["lost", "ghosts", "not_told"] {
        assert_eq!(found["ids"][none], 0, "{none}: {found:#}");
    }
    found
}

/// Log, orders store and rollups against what the senders themselves add up, each acknowledged id once.
fn compare(data: &Path, clients: &[Client], ledger: &serde_json::Value) {
    let sent = || clients.iter().flat_map(|client| &client.orders);
    let accepted = || sent().filter(|(_, order)| order.outcome() == Outcome::Accepted);
    assert!(sent().all(|(_, order)| matches!(order.outcome(), Outcome::Accepted | Outcome::Rejected)));
    let expected: BTreeMap<String, (i64, i64)> =
        accepted().map(|(id, order)| (id.clone(), (order.quantity, order.total_minor))).collect();
    let stored = stored(data);
    assert_eq!(stored.len(), expected.len());
    assert!(stored == expected, "the orders store does not hold exactly the acknowledged orders");

    let quantity: i64 = expected.values().map(|(quantity, _)| quantity).sum();
    let total_minor: i64 = expected.values().map(|(_, total_minor)| total_minor).sum();
    for books in [&ledger["total"], &ledger["rollup"]] {
        assert_eq!(books["orders"], expected.len(), "{ledger:#}");
        assert_eq!(books["quantity"], quantity, "{ledger:#}");
        assert_eq!(books["total_minor"], total_minor, "{ledger:#}");
    }
    assert_eq!(ledger["ids"]["accepted"], expected.len());
    assert_eq!(ledger["total"]["dead"], 0, "only valid orders are written to the log");

    let mut by_source: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (_, order) in accepted() {
        let sums = by_source.entry(SOURCES[order.source].to_owned()).or_default();
        *sums = (sums.0 + order.quantity, sums.1 + order.total_minor);
    }
    assert_eq!(sales(data), by_source);
}

fn stored(data: &Path) -> BTreeMap<String, (i64, i64)> {
    let connection = rusqlite::Connection::open(data.join("stores.db")).unwrap();
    let mut select = connection.prepare("SELECT order_id, quantity, total_minor FROM orders").unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn sales(data: &Path) -> BTreeMap<String, (i64, i64)> {
    let connection = rusqlite::Connection::open(data.join("stores.db")).unwrap();
    let sql = "SELECT source, sum(quantity), sum(total_minor) FROM sales GROUP BY source";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}
