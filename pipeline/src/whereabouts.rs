//! Where one order is: in the log, in the orders store, among the dead letters; and how far it was looked for.

use crate::block::identify;
use crate::dead::{self, Filter, Line};
use crate::log::dead::{DeadLetters, DeadPlace};
use crate::log::{LogError, ReadPartition, partitioner, scan};
use crate::order::Rules;
use crate::parse::Parser;
use crate::store::{Found, Lookup, StoreError};
use serde::Serialize;

/// How far around an instant the log is looked through, in nanoseconds: clients retry, and clocks differ.
const AROUND: i64 = 3_600 * crate::time::SECOND;

/// Why an order's whereabouts cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum WhereError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The stores cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record of an order in the log.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Seen {
    /// The offset.
    pub offset: i64,
    /// When it was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

/// Where an order is.
#[derive(Clone, Debug, Serialize)]
pub struct Whereabouts {
    /// Its id.
    pub order_id: String,
    /// The partition that its id belongs to, which was looked through.
    pub partition: u32,
    /// The offsets that were looked at, from the first up to, not including, the last.
    pub looked: (i64, i64),
    /// The offsets that the log holds.
    pub log: (i64, i64),
    /// The offset up to which the partition is stored, not including it.
    pub stored_to: i64,
    /// The order as it is stored.
    pub stored: Option<Found>,
    /// Its records in what was looked at.
    pub records: Vec<Seen>,
    /// Dead letters with its id as their key that lie elsewhere.
    pub dead: Vec<Line>,
}

/// Looks for an order; `around` is about when it was created or received.
///
/// # Errors
/// Where something cannot be read.
pub async fn find<R: ReadPartition>(
    readers: Vec<R>,
    stores: &impl Lookup,
    dead: &impl DeadLetters,
    rules: &Rules,
    order_id: &str,
    around: Option<i64>,
) -> Result<Option<Whereabouts>, WhereError> {
    let partitions = u32::try_from(readers.len()).unwrap_or(u32::MAX);
    let topic_id = readers.first().map(|reader| reader.topic_id().to_owned()).unwrap_or_default();
    // A record without id and key is known by its place.
    let by_place = order_id.strip_prefix(&format!("{topic_id}-")).and_then(|rest| rest.split_once('-'));
    let by_place = by_place.and_then(|(at, offset)| Some((at.parse().ok()?, offset.parse::<i64>().ok()?)));
    let partition = by_place.map_or(partitioner::partition(order_id.as_bytes(), partitions), |(at, _)| at);
    let Some(mut reader) = readers.into_iter().find(|reader| reader.partition() == partition) else {
        return Ok(None);
    };
    let bounds = reader.bounds().await?;
    let (mut from, mut end) = (bounds.first, bounds.end);
    if let Some((_, offset)) = by_place {
        (from, end) = (offset.max(from), (offset + 1).min(end));
    } else if let Some(around) = around {
        from = reader.offset_at(around.saturating_sub(AROUND)).await?.unwrap_or(end).max(from);
        end = reader.offset_at(around.saturating_add(AROUND)).await?.unwrap_or(end).min(end);
    }
    let (mut records, mut parser) = (Vec::new(), Parser::default());
    scan(&mut reader, from, end, |record| {
        let own = parser.parse(&record.value, record.received_at, rules).ok();
        let is_it = match own {
            Some(order) => {
                identify(&order, record.key.as_deref(), (&topic_id, partition, record.offset)) == order_id
            }
            None => record.key.as_deref() == Some(order_id.as_bytes()),
        };
        if is_it {
            records.push(Seen { offset: record.offset, received_at: record.received_at, refused: None });
        }
    })
    .await?;
    let stored_to = stores.ends().await?.get(&partition).map_or(0, |last| last + 1);
    // Asked behind the log's end, so that what is not stored now was not when its partition's end was told.
    let stored = stores.order(order_id, around).await?;
    let letters = {
        let dead = dead.clone();
        let listed = tokio::task::spawn_blocking(move || dead::list(&dead, &Filter::default()));
        listed.await.map_err(|error| LogError::Unavailable(error.to_string()))??.letters
    };
    let mut elsewhere = Vec::new();
    for letter in letters {
        let place: Option<DeadPlace> = letter.place.parse().ok();
        let same_topic = letter.topic_id.is_empty() || letter.topic_id == topic_id;
        let own = place.filter(|place| same_topic && place.partition == partition);
        let record = own.and_then(|place| records.iter_mut().find(|record| record.offset == place.offset));
        match record {
            Some(record) => record.refused = Some(format!("{}, {}", letter.reason, letter.detail)),
            None if letter.key.as_deref() == Some(order_id) => elsewhere.push(letter),
            None => {}
        }
    }
    Ok(Some(Whereabouts {
        order_id: order_id.to_owned(),
        partition,
        looked: (from, end),
        log: (bounds.first, bounds.end),
        stored_to,
        stored,
        records,
        dead: elsewhere,
    }))
}

impl Whereabouts {
    /// Whether the order is stored, or on its way to be.
    pub fn is_accepted(&self) -> bool {
        self.stored.is_some()
            || self.records.iter().any(|record| record.refused.is_none() && record.offset >= self.stored_to)
    }

    /// Where it is, in a sentence.
    pub fn sentence(&self) -> String {
        let (partition, behind) = (self.partition, (self.log.1 - self.stored_to).max(0));
        if let Some(stored) = &self.stored {
            let column = |name: &str| {
                let found = stored.iter().find(|(column, _)| column == name);
                found.map_or("?", |(_, value)| value.as_str())
            };
            return format!("stored, from the log at {}:{}", column("partition"), column("offset"));
        }
        if let Some(waits) = self.records.iter().find(|record| record.offset >= self.stored_to) {
            return format!(
                "accepted, in the log at {partition}:{}, not stored yet: the processor is {behind} records behind",
                waits.offset
            );
        }
        match self.records.last() {
            Some(Seen { offset, refused: Some(why), .. }) => {
                format!("refused by the processor, in the log at {partition}:{offset}: {why}")
            }
            Some(Seen { offset, .. }) => format!(
                "in the log at {partition}:{offset}, which the processor has passed, and neither stored nor refused: \
                 `pipeline ledger` tells more"
            ),
            None if !self.dead.is_empty() => {
                "refused by the processor, and not in what was looked at".to_owned()
            }
            None => {
                "nowhere: not stored, not refused, and not in the log as far as it was looked at".to_owned()
            }
        }
    }
}
