//! Kill -9 at moments that nobody chose, again and again on one data folder, under load: no acknowledged order is lost,
//! none counts twice, and the books balance to the cent.
//!
//! What the orders must come to is computed by the senders. A kill proves something only where it hits work that is
//! under way, so the test also fails if no request lost its answer, or if no restart found records still to be stored.

pub mod clients;

use super::place::Place;
use super::process::Process;
use super::wait::eventually;
use clients::{Client, Gate, Random, SOURCES};
use pipeline::outcomes::{Outcome, OutcomeWriter};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

over_this_way! {
    killed_processes_lose_no_acknowledged_order_and_count_none_twice,
}

const SEED: u64 = 20_260_115;
const CLIENTS: u64 = 4;
/// From blocks that follow each commit of the log at once to blocks that are never due within a round.
const BLOCK_INTERVALS: [&str; 4] = ["1ms", "20ms", "150ms", "1s"];
const PARTITIONS: usize = 6;
/// A processor that was killed is missed when its session is over, 6 s after it was last heard of, and one that was
/// killed while it joined may hold the next one up as long again. What comes on top of that is ours.
const RESUME_MOST: Duration = Duration::from_secs(25);

fn killed_processes_lose_no_acknowledged_order_and_count_none_twice(place: &Place) {
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client::new(number, SEED)).collect();
    let pending = rounds(place, &mut clients);
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
    let between = by_id(place, &clients);
    assert!(between["ids"]["unknown"].as_u64() > Some(0), "nothing was left unknown: {between:#}");
    assert_eq!(between["differences"], serde_json::json!([]), "{between:#}");

    let pipeline = place.start(&[]);
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| client.settle(pipeline.orders));
        }
    });
    place.balanced();
    assert_eq!(pipeline.terminate(), Some(0));
    let settled = by_id(place, &clients);
    assert_eq!(settled["balanced"], true, "{settled:#}");
    compare(place, &clients, &settled);
}

/// Kills some of the processes once a round, each alone and all together in turn, and says how many records each start
/// of a processor found in the log that were not stored.
fn rounds(place: &Place, clients: &mut [Client]) -> Vec<i64> {
    let (commands, (kills, within)) = (place.way().commands(), place.way().kills());
    let mut random = Random(SEED);
    let gate = Gate::default();
    let mut pending = Vec::new();
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| client.load(&gate));
        }
        let mut parts: Vec<Option<Process>> = commands.iter().map(|_| None).collect();
        let mut slowest = Duration::ZERO;
        for round in 0..kills {
            let missing: Vec<usize> = (0..parts.len()).filter(|part| parts[*part].is_none()).collect();
            if round % 5 == 4 {
                // Killed while it starts, wherever that hits: while it recovers its files, or before it looks at them.
                for part in &missing {
                    let mut child = place.spawn(commands[*part], &["log.partitions=6"]);
                    std::thread::sleep(Duration::from_millis(random.below(40)));
                    child.kill().unwrap();
                    child.wait().unwrap();
                }
            }
            let interval =
                format!("process.block_interval={}", BLOCK_INTERVALS[round % BLOCK_INTERVALS.len()]);
            for part in missing {
                let started = Instant::now();
                let log = place.folder().join(format!("round-{round}-{}.log", commands[part]));
                parts[part] = Some(place.start_part(commands[part], &[&interval], Some(&log)));
                if part == parts.len() - 1 {
                    pending.push(found_pending(&log));
                    slowest = slowest.max(started.elapsed());
                }
            }
            gate.open(parts[0].as_ref().and_then(|part| part.orders).unwrap());
            // Not a wait for something: the moment of the kill is what the test is about.
            std::thread::sleep(Duration::from_millis(20 + random.below(within.as_millis() as u64)));
            // Every combination in turn, but all of them at the end.
            let combinations = (1 << parts.len()) - 1;
            let last = round + 1 == kills;
            let chosen = if last { combinations } else { 1 + round % combinations };
            for (part, process) in parts.iter_mut().enumerate().filter(|(part, _)| chosen >> part & 1 == 1) {
                if part == 0 {
                    gate.shut();
                }
                process.take().unwrap().kill();
            }
        }
        gate.end();
        println!("the slowest start of a processor took {slowest:?} until all partitions went on");
        assert!(slowest < RESUME_MOST, "a processor took {slowest:?} to go on in the place of a killed one");
    });
    pending
}

/// The records that a start found behind the newest blocks, as it logs for each partition.
fn found_pending(log: &Path) -> i64 {
    let mut partitions = BTreeMap::new();
    eventually("every partition goes on", || {
        let text = std::fs::read_to_string(log).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let fields = lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == "goes on");
        for fields in fields {
            let [partition, end, offset] =
                ["partition", "end", "offset"].map(|name| fields[name].as_i64().unwrap());
            partitions.entry(partition).or_insert(end - offset);
        }
        partitions.len() == PARTITIONS
    });
    partitions.values().sum()
}

/// The ledger against what the senders were told.
pub fn by_id(place: &Place, clients: &[Client]) -> serde_json::Value {
    let path = place.folder().join("outcomes.zst");
    let mut writer = OutcomeWriter::create(&path).unwrap();
    for (id, order) in clients.iter().flat_map(|client| &client.orders) {
        writer.write(id, order.outcome()).unwrap();
    }
    writer.finish().unwrap();
    let found = place.ledger(&["--outcomes", path.to_str().unwrap()]);
    for none in ["lost", "ghosts", "not_told"] {
        assert_eq!(found["ids"][none], 0, "{none}: {found:#}");
    }
    found
}

/// Log, orders store and rollups against what the senders themselves add up, each acknowledged id once.
pub fn compare(place: &Place, clients: &[Client], ledger: &serde_json::Value) {
    let sent = || clients.iter().flat_map(|client| &client.orders);
    let accepted = || sent().filter(|(_, order)| order.outcome() == Outcome::Accepted);
    assert!(sent().all(|(_, order)| matches!(order.outcome(), Outcome::Accepted | Outcome::Rejected)));
    let expected: BTreeMap<String, (i64, i64)> =
        accepted().map(|(id, order)| (id.clone(), (order.quantity, order.total_minor))).collect();
    let stored = place.way().stored();
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
    let mut sales: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for (key, sums) in place.sales() {
        let of_source = sales.entry(key.source).or_default();
        let total_minor = i64::try_from(sums.total_minor).unwrap();
        *of_source = (of_source.0 + sums.quantity, of_source.1 + total_minor);
    }
    assert_eq!(sales, by_source);
}
