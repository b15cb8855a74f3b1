//! Sending dead letters again, each once, however often it is asked for and wherever it was interrupted.
//!
//! What a letter was sent as is noted beside it when the log has acknowledged it, and a noted letter is left alone. A
//! replay that died between the two leaves no note, so before anything is sent it is looked for, by the id of its order:
//! among the records that are in the log and not stored yet, and then in the orders store. Both looks are exact, since a
//! record is stored before its partition's end moves over it. What the broker still had in flight when a replay died is
//! the window's to find, as for any client that sends twice.

use super::noted;
use super::step::{Act, Ask, Report, Step};
use crate::block::identify;
use crate::log::dead::{DeadLetters, DeadPlace, DeadRecord, Letter, MarkReplayed, Replayed};
use crate::log::{
    Completion, Deliveries, Delivery, LogError, Publish, ReadPartition, Record, partitioner, scan,
};
use crate::parse::Parser;
use crate::store::{Lookup, StoreError};
use crate::time;
use bytes::Bytes;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::sync::mpsc;

/// Letters that are sent at once.
const BATCH: usize = 500;

/// Why a replay ended early. What was sent by then is noted, or is found by the next one.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log or the dead letters cannot be read or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stores cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A place that was named has no letter.
    #[error("there is no dead letter at {0}")]
    Absent(DeadPlace),
}

/// A thread's work that did not come to its end.
#[expect(clippy::needless_pass_by_value, reason = "so that it can stand in map_err")]
fn ended(error: tokio::task::JoinError) -> LogError {
    LogError::Unavailable(error.to_string())
}

/// Sends the letters that are meant, and returns when the log has them.
///
/// # Errors
/// Where something cannot be read, or the log takes nothing.
pub async fn replay<R: ReadPartition>(
    dead: &impl DeadLetters,
    log: &(impl Publish + MarkReplayed),
    readers: Vec<R>,
    stores: &impl Lookup,
    ask: &Ask,
) -> Result<Report, ReplayError> {
    let partitions = u32::try_from(readers.len()).unwrap_or(u32::MAX);
    let planned = {
        let (dead, ask) = (dead.clone(), ask.clone());
        tokio::task::spawn_blocking(move || plan(&dead, &ask)).await.map_err(ended)??
    };
    let mut report = Report { steps: planned };
    let is_there = |place: &&DeadPlace| report.steps.keys().any(|found| place.means(found));
    if let Some(absent) = ask.filter.places.iter().find(|place| !is_there(place)) {
        return Err(ReplayError::Absent(absent.clone()));
    }
    let sendable = report.steps.values().filter(|step| step.act == Act::Send);
    let wanted: BTreeSet<String> = sendable.map(|step| step.order_id.clone()).collect();
    let in_log = pending(readers, stores, ask, wanted, partitions).await?;
    for step in report.steps.values_mut().filter(|step| step.act == Act::Send) {
        step.act = match in_log.get(&step.order_id) {
            Some((partition, offset)) => Act::InLog(*partition, *offset),
            None => match stores.order_at(&step.order_id, step.created_at).await? {
                Some(_) => Act::Stored,
                None => Act::Send,
            },
        };
    }
    // Of letters with the same id the first one counts, as in the window, also where that is short.
    let mut first: HashMap<String, DeadPlace> = HashMap::new();
    for step in report.steps.values_mut().filter(|step| step.act == Act::Send) {
        match first.entry(step.order_id.clone()) {
            Entry::Occupied(entry) => step.act = Act::After(entry.get().clone()),
            Entry::Vacant(entry) => drop(entry.insert(step.place.clone())),
        }
    }
    if !ask.dry_run {
        send(dead, log, ask, &mut report).await?;
    }
    Ok(report)
}

/// What would be done with each letter, as far as the letter itself and the notes tell.
fn plan(dead: &impl DeadLetters, ask: &Ask) -> Result<BTreeMap<DeadPlace, Step>, LogError> {
    let notes = noted(dead)?;
    let (mut steps, mut parser) = (BTreeMap::new(), Parser::default());
    dead.read(&mut |record| {
        if let DeadRecord::Letter(letter) = record
            && ask.filter.takes(&letter)
        {
            let value = ask.with.as_ref().unwrap_or(&letter.value);
            let (id, created_at, refused) = match parser.parse(value, letter.received_at, &ask.rules) {
                Ok(order) => (identify_letter(Some(&order), &letter), order.created_at, None),
                Err(rejection) => {
                    let why = format!("{}: {rejection}", rejection.reason.tag());
                    (identify_letter(None, &letter), letter.received_at, Some(why))
                }
            };
            let act = match refused {
                _ if notes.contains(&letter.place) => Act::Noted,
                Some(why) if !ask.refused_too => Act::Refused(why),
                _ => Act::Send,
            };
            let place = letter.place.clone();
            let step = Step { place: place.clone(), order_id: id, act, created_at };
            steps.entry(place).or_insert(step);
        }
        ControlFlow::Continue(())
    })?;
    Ok(steps)
}

/// The id under which a letter is sent: what the processor would have known the record by in its first place.
fn identify_letter(order: Option<&crate::order::Order<'_>>, letter: &Letter) -> String {
    let place = &letter.place;
    let place = (place.topic_id.as_str(), place.partition, place.offset);
    match order {
        Some(order) => identify(order, letter.key.as_deref(), place).into_owned(),
        None => match letter.key.as_deref().map(std::str::from_utf8) {
            Some(Ok(key)) if crate::order::is_order_id(key) => key.to_owned(),
            _ => format!("{}-{}-{}", place.0, place.1, place.2),
        },
    }
}

/// The orders among these that are in the log and not stored yet, each with its place.
async fn pending<R: ReadPartition>(
    readers: Vec<R>,
    stores: &impl Lookup,
    ask: &Ask,
    wanted: BTreeSet<String>,
    partitions: u32,
) -> Result<HashMap<String, (u32, i64)>, ReplayError> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let ends = stores.ends().await?;
    let mut parser = Parser::default();
    for mut reader in readers {
        let (partition, topic_id) = (reader.partition(), reader.topic_id().to_owned());
        if !wanted.iter().any(|id| partitioner::partition(id.as_bytes(), partitions) == partition) {
            continue;
        }
        let bounds = reader.bounds().await?;
        let from = ends.get(&partition).map_or(0, |last| last + 1).max(bounds.first);
        scan(&mut reader, from, bounds.end, |record| {
            if let Ok(order) = parser.parse(&record.value, record.received_at, &ask.rules) {
                let place = (topic_id.as_str(), partition, record.offset);
                let id = identify(&order, record.key.as_deref(), place);
                if wanted.contains(&*id) {
                    found.entry(id.into_owned()).or_insert((partition, record.offset));
                }
            }
        })
        .await?;
    }
    Ok(found)
}

/// Sends what is to be sent, some at once, and notes what is done for certain.
async fn send(
    dead: &impl DeadLetters,
    log: &(impl Publish + MarkReplayed),
    ask: &Ask,
    report: &mut Report,
) -> Result<(), ReplayError> {
    let found = report.steps.values().filter_map(|step| match &step.act {
        Act::InLog(partition, offset) => Some((step, format!("was in the log at {partition}:{offset}"))),
        Act::Stored => Some((step, "was stored".to_owned())),
        _ => None,
    });
    let found: Vec<_> = found.map(|(step, outcome)| note(step, outcome)).collect();
    for notes in found.chunks(BATCH) {
        mark(log, notes.to_vec(), ask.timeout).await?;
    }
    let (letters, mut inbox) = mpsc::channel(BATCH);
    let chosen = report.steps.values().filter(|step| step.act == Act::Send);
    let mut chosen: BTreeSet<_> = chosen.map(|step| step.place.clone()).collect();
    let dead = dead.clone();
    let reading = tokio::task::spawn_blocking(move || {
        dead.read(&mut |record| {
            if let DeadRecord::Letter(letter) = record
                && chosen.remove(&letter.place)
                && (letters.blocking_send(letter).is_err() || chosen.is_empty())
            {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
    });
    let mut batch = Vec::with_capacity(BATCH);
    while inbox.recv_many(&mut batch, BATCH).await > 0 {
        send_batch(log, ask, std::mem::take(&mut batch), report).await?;
    }
    reading.await.map_err(ended)??;
    Ok(())
}

async fn send_batch(
    log: &(impl Publish + MarkReplayed),
    ask: &Ask,
    letters: Vec<Letter>,
    report: &mut Report,
) -> Result<(), ReplayError> {
    let records = letters.iter().filter_map(|letter| {
        let step = report.steps.get(&letter.place)?;
        let value = ask.with.as_ref().unwrap_or(&letter.value).clone();
        let key = Bytes::copy_from_slice(step.order_id.as_bytes());
        Some(Record { key, value, received_at: letter.received_at, due_at: None })
    });
    let deliveries = answer(log.publish(records.collect()), ask.timeout).await;
    let mut notes = Vec::new();
    for (at, letter) in letters.iter().enumerate() {
        let Some(step) = report.steps.get_mut(&letter.place) else { continue };
        let delivery = match &deliveries {
            Deliveries::All(delivery) => Some(delivery),
            Deliveries::Each(each) => each.get(at),
        };
        match delivery {
            Some(Delivery::Durable) => {
                let how = if ask.with.is_some() { "sent again with another body" } else { "sent again" };
                notes.push(note(step, how.to_owned()));
            }
            Some(Delivery::Failed(why)) => step.act = Act::Failed(why),
            Some(Delivery::Unknown(why)) => step.act = Act::Unknown(why),
            None => step.act = Act::Unknown("the log gave no answer for it"),
        }
    }
    mark(log, notes, ask.timeout).await
}

fn note(step: &Step, outcome: String) -> Replayed {
    Replayed { place: step.place.clone(), at: time::now(), order_id: step.order_id.clone(), outcome }
}

async fn mark(log: &impl MarkReplayed, notes: Vec<Replayed>, timeout: Duration) -> Result<(), ReplayError> {
    if notes.is_empty() {
        return Ok(());
    }
    match answer(log.mark_replayed(notes), timeout).await {
        Deliveries::All(Delivery::Durable) => Ok(()),
        other => Err(LogError::Unavailable(format!(
            "letters were sent and the notes of it were not taken ({other:?}); a next replay finds that out"
        ))
        .into()),
    }
}

async fn answer(completion: Completion, timeout: Duration) -> Deliveries {
    let unknown = Deliveries::All(Delivery::Unknown("the log did not answer in time"));
    tokio::time::timeout(timeout, completion.wait()).await.unwrap_or(unknown)
}
