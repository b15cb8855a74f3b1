//! How fast a processor drains a topic into both stores, on a stack that is running, and which process takes which share
//! of the processor time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use loadgen::payload::Payload;
use pipeline::config::{Config, Layers};
use pipeline::log::kafka;
use pipeline::log::{Publish, Record};
use pipeline::time;

use super::settle;
use crate::child::{self, Pipeline};
use crate::machine::usage;
use crate::way::{Way, servers};

/// Records of one publish.
const BATCH: usize = 1_000;
/// How long the processor may take.
const DEADLINE: Duration = Duration::from_secs(600);
const CREATED_AT: &[u8] = br#""created_at":""#;

/// What came of a drain.
#[derive(Debug)]
pub struct Drained {
    /// Records that were drained: orders, duplicates, dead letters.
    pub records: usize,
    /// From the processor's start to the last record's being in both stores, in seconds.
    pub seconds: f64,
    /// Processor time of each process during it, in seconds, by name.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// The processor's greatest memory, in bytes.
    pub memory_peak_bytes: u64,
}

/// Publishes the orders of a payload as if they had been created now, then starts a processor and waits until both
/// stores have them.
///
/// # Errors
/// Where the stack is not up, or a record is not taken or not stored in time.
pub fn drain(payload: &Payload, more: &[String]) -> Result<Drained> {
    let run = format!("drain_{}", time::now() / 1_000_000);
    let mut settings = Way::Native.place(Path::new(""), &run)?;
    settings.extend(more.iter().cloned());
    child::complete("schema apply", &settings)?;
    let records = publish(payload, &settings)?;
    let watched = servers()?;
    let before: BTreeMap<_, _> = watched
        .iter()
        .filter_map(|(name, pid)| Some((name.clone(), usage(*pid).ok()?.cpu_seconds)))
        .collect();
    let started = Instant::now();
    let process = Pipeline::start("process", &settings)?;
    let done = || -> Result<f64> {
        Ok(process.metric("tillflow_store_orders_total")?
            + process.metric("tillflow_parse_duplicates_total")?
            + process.metric("tillflow_parse_dead_total")?)
    };
    while done()? < records as f64 {
        if started.elapsed() > DEADLINE {
            bail!("{} of {records} records were drained", done()?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = started.elapsed().as_secs_f64();
    let own = process.usage()?;
    let mut cpu_seconds = BTreeMap::from([("process".to_owned(), own.cpu_seconds)]);
    for (name, pid) in watched {
        let now = usage(pid)?.cpu_seconds;
        let since = now - before.get(&name).copied().unwrap_or(now);
        cpu_seconds.insert(name, since);
    }
    process.stop()?;
    Ok(Drained { records, seconds, cpu_seconds, memory_peak_bytes: own.memory_peak_bytes })
}

/// Puts the orders into the topic and returns how many.
fn publish(payload: &Payload, settings: &[String]) -> Result<usize> {
    let flags: Vec<_> = settings
        .iter()
        .filter_map(|setting| setting.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let config = Config::read(&Layers::load(None, None, std::env::vars(), &flags)?)?;
    let received_at = time::now();
    let text = time::format(received_at);
    let records: Vec<Record> = (0..payload.len())
        .filter_map(|at| {
            let key = Bytes::copy_from_slice(payload.order_id(at)?.as_bytes());
            let value = created_now(&payload.order(at)?, &text);
            Some(Record { key, value, received_at, due_at: None })
        })
        .collect();
    let count = records.len();
    let started = kafka::start(&config.kafka, &config.log, &pipeline::observe::manage::Observed::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for batch in records.chunks(BATCH) {
            settle(Some(started.log.publish(batch.to_vec()))).await?;
        }
        anyhow::Ok(())
    })?;
    drop(started.log);
    started.poller.join().ok().context("the log's thread failed")?;
    Ok(count)
}

/// An order with another `created_at`, where it has one.
fn created_now(order: &Bytes, now: &str) -> Bytes {
    let found = order.windows(CREATED_AT.len()).position(|window| window == CREATED_AT);
    let Some((head, rest)) = found.and_then(|at| order.split_at_checked(at + CREATED_AT.len())) else {
        return order.clone();
    };
    let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return order.clone() };
    let (_, tail) = rest.split_at(end);
    Bytes::from([head, now.as_bytes(), tail].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_moved_to_now_and_nothing_else_of_it_changes() {
        let order =
            Bytes::from_static(br#"{"order_id":"a","created_at":"2017-01-01T00:00:00Z","quantity":1}"#);
        assert_eq!(created_now(&order, "N"), br#"{"order_id":"a","created_at":"N","quantity":1}"#.as_slice());
        let without = Bytes::from_static(br#"{"order_id":"a"}"#);
        assert_eq!(created_now(&without, "N"), without);
    }
}
