//! Probes: orders of the run that the harness itself looks for in the stores, as a reader would, until it sees them.
//!
//! What the pipeline records is the instant at which a store acknowledged an order. That this is when a reader sees
//! it is a claim, and here it is tried: a few times a second an order is taken from the schedule, and from its due
//! instant on it is looked up in the orders store; when it is there, its offset is awaited in the rollups' blocks, which
//! are visible together with their sums. [`agree`] holds both against each other.

pub mod agree;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use loadgen::payload::Payload;
use loadgen::schedule::Schedule;
use pipeline::config::Config;
use pipeline::observe::hops::seconds::PART;
use pipeline::store::Found;
use pipeline::time::{self, SECOND};
use pipeline::wire::Reader;
use tokio::task::{JoinSet, LocalSet};

use agree::{Hop, Seen};

/// How to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// Orders a second that are looked for, at most ten.
    pub per_second: u32,
    /// How long to wait between two looks for one of them.
    pub step: Duration,
}

/// What is known of a run under way.
#[derive(Clone, Debug)]
pub struct Started {
    /// When its schedule started, in nanoseconds of Unix time.
    pub at: i64,
    /// The schedule.
    pub schedule: Schedule,
}

/// An order to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    order_id: String,
    due_at: i64,
    created_at: i64,
}

/// Looks for orders of the run until `ended`, and hands back what was seen when. Orders that are not to be seen, as
/// those that were rejected, are left out.
///
/// # Errors
/// Where a store cannot be read.
pub fn run(
    probes: Probes,
    config: &Config,
    payload: &Payload,
    started: &Started,
    ended: &Arc<AtomicBool>,
) -> Result<Vec<Seen>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let reader = Rc::new(Reader::open(config).await?);
        let mut looking = JoinSet::new();
        let mut next = time::now();
        while !ended.load(Ordering::Relaxed) {
            let Some(wanted) = wanted(payload, started, next) else { break };
            next = (wanted.due_at.div_euclid(PART) + parts_between(probes.per_second)) * PART;
            sleep_until(wanted.due_at, ended).await;
            looking.spawn_local(look(Rc::clone(&reader), wanted, probes.step, Arc::clone(ended)));
        }
        let mut seen = Vec::new();
        while let Some(found) = looking.join_next().await {
            seen.extend(found.context("a probe ended early")??);
        }
        Ok(seen)
    })
}

/// Parts of a second from one probe to the next.
fn parts_between(per_second: u32) -> i64 {
    SECOND / PART / i64::from(per_second.clamp(1, 10))
}

/// The first order of a part of a second, of the first part that begins at or after an instant and has any. Nothing
/// behind the schedule's end.
fn wanted(payload: &Payload, started: &Started, from: i64) -> Option<Wanted> {
    let from = from.max(started.at);
    let part = from.div_euclid(PART) + i64::from(from.rem_euclid(PART) > 0);
    let schedule = &started.schedule;
    let since_start = u64::try_from(part * PART - started.at).ok()?;
    let request = schedule.requests_before(since_start);
    if request >= schedule.requests() {
        return None;
    }
    let (order, _) = schedule.orders_of(request);
    let due_at = started.at.checked_add_unsigned(schedule.due_ns(request))?;
    let created_at = created_at(&payload.order(order)?).unwrap_or(due_at);
    Some(Wanted { order_id: payload.order_id(order)?.to_owned(), due_at, created_at })
}

/// When an order says that it was created: Cassandra keeps orders by that hour.
fn created_at(order: &[u8]) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Dated {
        created_at: String,
    }
    time::parse(&serde_json::from_slice::<Dated>(order).ok()?.created_at)
}

async fn sleep_until(instant: i64, ended: &AtomicBool) {
    const LOOK_UP: i64 = SECOND / 10;
    while let Ok(left) = u64::try_from(instant.saturating_sub(time::now()).min(LOOK_UP))
        && left > 0
        && !ended.load(Ordering::Relaxed)
    {
        tokio::time::sleep(Duration::from_nanos(left)).await;
    }
}

/// Looks for one order in the orders store and then in the rollups.
async fn look(
    reader: Rc<Reader>,
    wanted: Wanted,
    step: Duration,
    ended: Arc<AtomicBool>,
) -> Result<Vec<Seen>> {
    let due_at = wanted.due_at;
    let order = async || reader.order_at(&wanted.order_id, wanted.created_at).await;
    let Some((orders, found)) = until_seen(Hop::Orders, due_at, step, &ended, order).await? else {
        return Ok(Vec::new());
    };
    let (partition, offset) =
        place(&found).context("an order stands in the store without its place in the log")?;
    let counted = async || {
        let ends: BTreeMap<u32, i64> = reader.ends().await?;
        Ok(ends.get(&partition).filter(|last| **last >= offset).copied())
    };
    let rollup = until_seen(Hop::Rollup, due_at, step, &ended, counted).await?;
    Ok([Some(orders), rollup.map(|(seen, _)| seen)].into_iter().flatten().collect())
}

/// Looks again and again until something is there. After the end of the run it looks a last time.
async fn until_seen<T>(
    hop: Hop,
    due_at: i64,
    step: Duration,
    ended: &AtomicBool,
    look: impl AsyncFn() -> Result<Option<T>>,
) -> Result<Option<(Seen, T)>> {
    let mut unseen_at = None;
    loop {
        let last = ended.load(Ordering::Relaxed);
        let asked_at = time::now();
        if let Some(found) = look().await? {
            return Ok(Some((Seen { hop, due_at, unseen_at, seen_at: time::now() }, found)));
        }
        if last {
            return Ok(None);
        }
        unseen_at = Some(asked_at);
        tokio::time::sleep(step).await;
    }
}

fn place(found: &Found) -> Option<(u32, i64)> {
    let column = |wanted: &str| found.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    Some((column("partition")?.parse().ok()?, column("offset")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_order_of_each_part_is_wanted_until_the_schedule_ends() {
        let data = crate::data::Data::generated(100, 7, true).unwrap();
        let schedule = Schedule::new(100.0, Duration::from_secs(1), 1, 100).unwrap();
        let started = Started { at: 5 * SECOND, schedule };
        let at = |from: i64| wanted(&data.payload, &started, from).map(|wanted| wanted.due_at);
        assert_eq!(at(0), Some(5 * SECOND));
        assert_eq!(at(5 * SECOND + 1), Some(5 * SECOND + PART));
        assert_eq!(at(5 * SECOND + 9 * PART), Some(5 * SECOND + 9 * PART));
        assert_eq!(at(5 * SECOND + 9 * PART + 1), None);
        let first = wanted(&data.payload, &started, 0).unwrap();
        assert_eq!(Some(first.order_id.as_str()), data.payload.order_id(0));
        assert_eq!(first.created_at, first.due_at);
    }

    #[test]
    fn an_order_that_says_when_it_was_created_is_looked_for_there() {
        assert_eq!(created_at(br#"{"created_at":"1970-01-01T00:00:07Z"}"#), Some(7 * SECOND));
        assert_eq!(created_at(br#"{"quantity":1}"#), None);
    }

    #[test]
    fn a_place_is_read_from_the_columns_of_an_order() {
        let columns = |names: [(&str, &str); 2]| -> Found {
            names.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        assert_eq!(place(&columns([("offset", "12"), ("partition", "3")])), Some((3, 12)));
        assert_eq!(place(&columns([("offset", "12"), ("topic", "3")])), None);
    }
}
