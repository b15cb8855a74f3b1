//! The records of one read, as they come off the queue.

use crate::log::kafka::native::Message;
use crate::log::{LogRecord, ReadLimit};
use crate::order;
use bytes::Bytes;
use rdkafka::error::RDKafkaErrorCode;
use std::ops::Range;

/// When a record can have been received, in nanoseconds of Unix time: from 2000 up to 2100. A foreign producer may have
/// written anything; outside of it, its header is not believed.
const RECEIVED: Range<i64> = order::MIN_CREATED_AT..4_102_444_800_000_000_000;

/// Records as they are read: keys and values lie in one buffer, so that a batch is one allocation, and librdkafka's own
/// buffer, which a single message pins whole, is let go at once.
pub(super) struct Batch {
    buffer: Vec<u8>,
    pub(super) rows: Vec<Row>,
    /// The offset that comes next.
    next: i64,
    /// A hole that was sought once already.
    known_hole: Option<Range<i64>>,
    /// A hole that was found, before which the batch ends.
    pub(super) hole: Option<Range<i64>>,
    pub(super) failed: Option<RDKafkaErrorCode>,
    /// Whether the partition's end came, behind all rows.
    pub(super) at_end: bool,
}

pub(super) struct Row {
    pub(super) offset: i64,
    key: Option<Range<usize>>,
    value: Range<usize>,
    received_at: i64,
    due_at: Option<i64>,
}

impl Batch {
    pub(super) fn from(next: i64, known_hole: Option<Range<i64>>) -> Self {
        Self {
            buffer: Vec::new(),
            rows: Vec::new(),
            next,
            known_hole,
            hole: None,
            failed: None,
            at_end: false,
        }
    }

    pub(super) fn has_room(&self, limit: ReadLimit) -> bool {
        self.failed.is_none()
            && self.hole.is_none()
            && self.rows.len() < limit.records
            && self.buffer.len() < limit.bytes
    }

    pub(super) fn add(&mut self, message: &Message<'_>) {
        if self.failed.is_some() || self.hole.is_some() {
            return;
        }
        if message.error() == Some(RDKafkaErrorCode::PartitionEOF) {
            self.at_end = true;
            return;
        }
        if let Some(code) = message.error() {
            self.failed = Some(code);
            return;
        }
        if message.offset() < self.next {
            return;
        }
        let passed_over = self.next..message.offset();
        if !passed_over.is_empty() && self.known_hole.as_ref() != Some(&passed_over) {
            self.hole = Some(passed_over);
            return;
        }
        (self.next, self.at_end) = (message.offset() + 1, false);
        let instant = |name| std::str::from_utf8(message.header(name)?).ok()?.parse().ok();
        let own_time = || message.timestamp().unwrap_or_default().saturating_mul(1_000_000);
        let received_at = instant(c"received_at").filter(|at| RECEIVED.contains(at));
        let row = Row {
            offset: message.offset(),
            key: message.key().map(|key| self.keep(key)),
            value: self.keep(message.value()),
            received_at: received_at.unwrap_or_else(|| own_time().clamp(RECEIVED.start, RECEIVED.end - 1)),
            due_at: instant(c"due_at"),
        };
        self.rows.push(row);
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len()
    }

    pub(super) fn finish(self) -> Vec<LogRecord> {
        let buffer = Bytes::from(self.buffer);
        let record = |row: Row| LogRecord {
            offset: row.offset,
            key: row.key.map(|range| buffer.slice(range)),
            value: buffer.slice(row.value),
            received_at: row.received_at,
            due_at: row.due_at,
        };
        self.rows.into_iter().map(record).collect()
    }
}
