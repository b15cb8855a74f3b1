//! The calls to librdkafka that rdkafka does not wrap, and all of the pipeline's code that the compiler cannot check:
//! producing without a copy, reading a partition's queue in batches, the topic's id, and the log of a client that nobody polls.
//!
//! What holds for all of it: librdkafka's handles may be used from any thread (its INTRODUCTION.md, "Threads and
//! callbacks"), each handle is owned by one Rust value whose `Drop` gives it back, and memory that librdkafka borrows is
//! owned by an `Arc` of which librdkafka holds a count.
#![expect(unsafe_code, reason = "librdkafka is C; each block says why it is sound")]

mod callbacks;
mod describe;
mod producer;
mod queue;
mod said;

pub(super) use describe::{Description, describe};
pub(super) use producer::{Header, Producer, Report, Shipment, Status, Told, Topic};
pub(super) use queue::{Message, PartitionQueue, known_end};
pub(super) use said::last_error;

use std::ffi::c_int;
use std::time::Duration;

/// A duration as librdkafka takes it.
fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}
