//! Several processors and ingests side by side, which come and go while orders come in: none is lost, none counts twice,
//! and partitions that need not move do not.

use crate::separate::Separate;
use crate::ways::crash::clients::{Client, Gate};
use crate::ways::crash::{by_id, compare};
use crate::ways::place::Place;
use crate::ways::process::Process;
use crate::ways::wait::eventually;
use std::path::Path;
use std::thread;

const SEED: u64 = 20_261_122;

/// The value of a metric of one process, named with its labels as it stands in the text; 0 where it does not.
pub fn metric(process: &Process, name: &str) -> f64 {
    let page = process.page("/metrics").body;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(value).unwrap_or(0.0)
}

/// How many partitions a processor reads.
fn partitions(processor: &Process) -> f64 {
    metric(processor, "tillflow_consume_partitions")
}

/// Waits until each processor reads so many partitions.
pub fn shared(processors: &[(&Process, f64)]) {
    eventually("the partitions are shared", || {
        processors.iter().all(|(processor, count)| partitions(processor) == *count)
    });
}

/// Waits until a processor has stored more orders than it has now.
pub fn stores_on(processor: &Process) {
    let stored = || metric(processor, "tillflow_store_orders_total");
    let before = stored();
    eventually("it stores more", || stored() > before + 100.0);
}

/// Ends the senders when the ingests that they send to are gone, also where a test fails, which would wait for them.
pub struct Ending<'g>(pub &'g [Gate]);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(Gate::end);
    }
}

/// Senders of their own ids, each to one gate after the other.
pub fn senders<'s>(scope: &'s thread::Scope<'s, '_>, clients: &'s mut [Client], gates: &'s [Gate]) {
    for (client, gate) in clients.iter_mut().zip(gates.iter().cycle()) {
        scope.spawn(move || client.load(gate));
    }
}

/// Sends again what was not answered, and compares all of it by id and to the cent.
pub fn nothing_is_lost_or_doubled(place: &Place, clients: &mut [Client]) {
    let ingest = place.start_part("ingest", &[], None);
    for client in &mut *clients {
        client.settle(ingest.orders.unwrap());
    }
    place.balanced();
    let ledger = by_id(place, clients);
    assert_eq!(ledger["balanced"], true, "{ledger:#}");
    compare(place, clients, &ledger);
    println!("{} orders, {} duplicates", ledger["total"]["orders"], ledger["total"]["duplicates"]);
}

#[test]
#[ignore = "needs the servers"]
fn processors_and_ingests_that_come_and_go_under_load_lose_and_double_nothing() {
    let place = &Place::on(Separate::new("come_and_go"));
    let mut clients: Vec<_> = (0..4).map(|number| Client::new(number, SEED)).collect();
    let gates = [Gate::default(), Gate::default()];
    let start = |command| place.start_part(command, &[], None);
    thread::scope(|scope| {
        let _ending = Ending(&gates);
        let mut ingests = [start("ingest"), start("ingest")];
        senders(scope, &mut clients, &gates);
        for (gate, ingest) in gates.iter().zip(&ingests) {
            gate.open(ingest.orders.unwrap());
        }
        let (first, second) = (start("process"), start("process"));
        shared(&[(&first, 3.0), (&second, 3.0)]);
        stores_on(&first);
        stores_on(&second);

        let third = start("process");
        shared(&[(&first, 2.0), (&second, 2.0), (&third, 2.0)]);
        stores_on(&third);
        assert_eq!(first.terminate(), Some(0));
        shared(&[(&second, 3.0), (&third, 3.0)]);
        stores_on(&third);
        second.kill();
        shared(&[(&third, 6.0)]);
        stores_on(&third);

        gates[1].shut();
        let other = std::mem::replace(&mut ingests[1], start("ingest"));
        other.kill();
        gates[1].open(ingests[1].orders.unwrap());
        let fourth = start("process");
        shared(&[(&third, 3.0), (&fourth, 3.0)]);
        third.kill();
        shared(&[(&fourth, 6.0)]);
        stores_on(&fourth);
        assert_eq!(fourth.terminate(), Some(0));
    });
    let last = start("process");
    nothing_is_lost_or_doubled(place, &mut clients);
    assert_eq!(last.terminate(), Some(0));
}

/// The partitions of each change that a processor logged: assigned, or not any more.
fn changes(log: &Path, assigned: bool) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let fields = lines.map(|line| line["fields"].clone());
    let of_kind = fields.filter(|fields| fields["message"] == "rebalanced" && fields["assigned"] == assigned);
    of_kind.map(|fields| fields["numbers"].as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs the servers"]
fn a_processor_that_joins_takes_only_the_partitions_that_move() {
    let place = &Place::on(Separate::new("cooperative"));
    let log = place.folder().join("first.log");
    let first = place.start_part("process", &[], Some(&log));
    shared(&[(&first, 6.0)]);
    let second = place.start_part("process", &[], None);
    shared(&[(&first, 3.0), (&second, 3.0)]);
    let count = |changes: &[String]| {
        changes.iter().map(|numbers| numbers.matches(|c: char| c.is_ascii_digit()).count()).sum::<usize>()
    };
    let (came, went) = (changes(&log, true), changes(&log, false));
    assert_eq!(count(&came), 6, "what it keeps is not assigned again: {came:?}");
    assert_eq!(count(&went), 3, "what it keeps is not taken away: {went:?}");
}

#[test]
#[ignore = "needs the servers"]
fn a_static_member_that_comes_back_within_its_session_moves_no_partition_of_others() {
    let place = &Place::on(Separate::new("static"));
    let start = |name: &str| {
        let instance = format!("kafka.consumer.group.instance.id={name}");
        place.start_part("process", &[&instance, "kafka.consumer.session.timeout.ms=30000"], None)
    };
    let rebalances = |process: &Process| metric(process, "tillflow_log_rebalances_total");
    let (first, second) = (start("one"), start("two"));
    shared(&[(&first, 3.0), (&second, 3.0)]);
    let before = rebalances(&first);
    // kill -9, and a clean stop: a static member does not leave the group by it.
    second.kill();
    let second = start("two");
    shared(&[(&second, 3.0)]);
    assert_eq!(second.terminate(), Some(0));
    let second = start("two");
    shared(&[(&second, 3.0)]);
    assert_eq!((partitions(&first), rebalances(&first)), (3.0, before), "nothing moved");
    // So that the figure is known to move at all: one without a name does.
    let third = place.start_part("process", &[], None);
    shared(&[(&first, 2.0), (&second, 2.0), (&third, 2.0)]);
    assert!(rebalances(&first) > before);
}

#[test]
#[ignore = "needs the servers"]
fn a_processor_whose_name_another_takes_says_that_it_is_out() {
    let place = &Place::on(Separate::new("fenced"));
    let start = || place.start_part("process", &["kafka.consumer.group.instance.id=one"], None);
    let first = start();
    shared(&[(&first, 6.0)]);
    let second = start();
    eventually("the first one says so", || {
        let ready = first.page("/readyz");
        ready.status == 503 && ready.body.contains("the group's consumer has failed for good")
    });
    shared(&[(&second, 6.0)]);
}
