//! The one thread that writes the embedded log.

use super::SqliteLogLimits;
use super::file::{Opened, read_ends};
use crate::log::dead::Replayed;
use crate::log::{DeadLetter, Deliveries, Delivery, Record, partitioner};
use rusqlite::{Connection, Statement, params};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

/// What the writer is asked to write.
#[derive(Debug)]
pub(super) enum Command {
    Publish { records: Vec<Record>, bytes: usize, since: Instant, done: oneshot::Sender<Deliveries> },
    Dead { letters: Vec<DeadLetter>, bytes: usize, done: oneshot::Sender<Deliveries> },
    Mark { notes: Vec<Replayed>, done: oneshot::Sender<Deliveries> },
    Commit { partition: u32, next: i64, done: oneshot::Sender<Deliveries> },
}

impl Command {
    fn rows(&self) -> usize {
        match self {
            Self::Publish { records, .. } => records.len(),
            Self::Dead { letters, .. } => letters.len(),
            Self::Mark { notes, .. } => notes.len(),
            Self::Commit { .. } => 1,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Publish { bytes, .. } | Self::Dead { bytes, .. } => *bytes,
            Self::Mark { .. } | Self::Commit { .. } => 0,
        }
    }

    fn answer(self, delivery: Delivery) {
        let (Self::Publish { done, .. }
        | Self::Dead { done, .. }
        | Self::Mark { done, .. }
        | Self::Commit { done, .. }) = self;
        // Who does not wait any more has answered its client already: unknown.
        let _ = done.send(Deliveries::All(delivery));
    }
}

/// Writes until every sender is gone and the inbox is empty.
pub(super) fn run(
    opened: Opened,
    limits: SqliteLogLimits,
    inbox: &Receiver<Command>,
    waiting: &AtomicUsize,
    seen: &[watch::Sender<i64>],
) {
    let Opened { connection, place, mut ends } = opened;
    // A prepared statement for each table; a file that was opened has its tables.
    let mut statements = match Statements::prepare(&connection, ends.len()) {
        Ok(statements) => statements,
        Err(error) => return tracing::error!(%error, "the log cannot be written"),
    };
    let mut begun: Option<Instant> = None;
    while let Ok(first) = inbox.recv() {
        // Each commit writes the last page of every table that it adds to and flushes the disk, however few its rows:
        // after a pause an order is committed at once, in a stream of them some wait for each other.
        if let Some(begun) = begun {
            std::thread::sleep(limits.commit_interval.saturating_sub(begun.elapsed()));
        }
        begun = Some(Instant::now());
        let (group, late) = gather(first, limits, inbox);
        let bytes: usize = group.iter().chain(&late).map(Command::bytes).sum();
        let mut next = ends.clone();
        let delivery = write(&connection, &mut statements, &group, &mut next);
        let next = match &delivery {
            Delivery::Durable => Some(next),
            Delivery::Failed(_) => None,
            // The file alone knows whether it has them; offsets go on behind what it has.
            Delivery::Unknown(_) => read_ends(&connection, place.partitions).ok(),
        };
        if let Some(next) = next {
            ends = next;
            for (end, seen) in ends.iter().zip(seen) {
                seen.send_if_modified(|known| std::mem::replace(known, *end) != *end);
            }
        }
        for command in group {
            command.answer(delivery.clone());
        }
        for command in late {
            command.answer(Delivery::Failed("the log did not take it within log.delivery_timeout"));
        }
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Takes what waits, up to one transaction's rows, and apart from it what has waited too long to be written.
fn gather(
    first: Command,
    limits: SqliteLogLimits,
    inbox: &Receiver<Command>,
) -> (Vec<Command>, Vec<Command>) {
    let (mut group, mut late, mut rows, mut next) = (Vec::new(), Vec::new(), 0, Some(first));
    while let Some(command) = next {
        rows += command.rows();
        if matches!(&command, Command::Publish { since, .. } if since.elapsed() > limits.delivery_timeout) {
            late.push(command);
        } else {
            group.push(command);
        }
        next = if rows < limits.commit_records { inbox.try_recv().ok() } else { None };
    }
    (group, late)
}

/// Writes a group in one transaction.
fn write(
    connection: &Connection,
    statements: &mut Statements<'_>,
    group: &[Command],
    ends: &mut [i64],
) -> Delivery {
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    let inserted = begun.and_then(|()| group.iter().try_for_each(|command| statements.insert(command, ends)));
    let committing = inserted.is_ok();
    let Err(error) = inserted.and_then(|()| connection.execute_batch("COMMIT")) else {
        return Delivery::Durable;
    };
    tracing::error!(%error, records = group.len(), "the log could not be written");
    let open = !connection.is_autocommit();
    let rolled_back = open && connection.execute_batch("ROLLBACK").is_ok();
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    // What was never committed is not in the file, nor what could be rolled back. A commit that failed and left nothing
    // to roll back was undone by SQLite itself, unless it failed after the file had it; a full disk shows before that.
    match (!committing || rolled_back || (full && !open), full) {
        (true, true) => Delivery::Failed("the log's disk is full"),
        (true, false) => Delivery::Failed("the log could not be written"),
        (false, _) => Delivery::Unknown("the log could not be written"),
    }
}

struct Statements<'c> {
    orders: Vec<Statement<'c>>,
    dead: Statement<'c>,
    mark: Statement<'c>,
    commit: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection, partitions: usize) -> rusqlite::Result<Self> {
        let orders = (0..partitions)
            .map(|n| connection.prepare(&format!("INSERT INTO orders_{n} VALUES (?1, ?2, ?3, ?4, ?5)")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            orders,
            dead: connection.prepare("INSERT OR IGNORE INTO dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?,
            mark: connection.prepare("INSERT OR IGNORE INTO replayed VALUES (?1, ?2, ?3, ?4, ?5)")?,
            commit: connection.prepare(
                "INSERT INTO positions VALUES (?1, ?2) ON CONFLICT (partition) DO UPDATE SET next = excluded.next",
            )?,
        })
    }

    fn insert(&mut self, command: &Command, ends: &mut [i64]) -> rusqlite::Result<()> {
        match command {
            Command::Publish { records, .. } => {
                let partitions = u32::try_from(self.orders.len()).unwrap_or(u32::MAX);
                for record in records {
                    let partition = partitioner::partition(&record.key, partitions) as usize;
                    let (Some(statement), Some(end)) =
                        (self.orders.get_mut(partition), ends.get_mut(partition))
                    else {
                        return Err(rusqlite::Error::InvalidQuery);
                    };
                    let key = std::str::from_utf8(&record.key).ok();
                    let value: &[u8] = &record.value;
                    statement.execute(params![*end, key, value, record.received_at, record.due_at])?;
                    *end += 1;
                }
            }
            Command::Dead { letters, .. } => {
                for letter in letters {
                    let key = letter.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                    let value: &[u8] = &letter.value;
                    self.dead.execute(params![
                        letter.partition,
                        letter.offset,
                        key,
                        value,
                        letter.received_at,
                        letter.reason,
                        letter.detail
                    ])?;
                }
            }
            Command::Mark { notes, .. } => {
                for note in notes {
                    let place = &note.place;
                    self.mark.execute(params![
                        place.partition,
                        place.offset,
                        note.at,
                        note.order_id,
                        note.outcome
                    ])?;
                }
            }
            Command::Commit { partition, next, .. } => {
                self.commit.execute(params![partition, next])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sqlite::open;
    use std::time::Duration;

    #[test]
    fn what_was_never_committed_has_failed_and_is_not_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.db");
        let opened = open(&path, 2, 1 << 20).unwrap();
        opened.connection.busy_timeout(Duration::ZERO).unwrap();
        let mut statements = Statements::prepare(&opened.connection, 2).unwrap();
        let (done, _) = oneshot::channel();
        let record = Record { key: "k".into(), value: "v".into(), received_at: 1, due_at: None };
        let group = [Command::Publish { records: vec![record], bytes: 2, since: Instant::now(), done }];
        let mut write = || write(&opened.connection, &mut statements, &group, &mut [0, 0]);
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(write(), Delivery::Failed("the log could not be written"), "somebody else is writing");
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(write(), Delivery::Durable);
        assert_eq!(write(), Delivery::Failed("the log could not be written"), "the offset is taken");
        assert!(opened.connection.is_autocommit(), "the next transaction can begin");
    }
}
