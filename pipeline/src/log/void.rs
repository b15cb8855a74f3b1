//! A log that keeps nothing and acknowledges at once: the floor that benches measure `receive` and `validate` against.

use super::{Completion, DeadLetter, Deliveries, Delivery, Publish, Record};

/// Acknowledges everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct VoidLog;

impl Publish for VoidLog {
    fn publish(&self, records: Vec<Record>) -> Completion {
        drop(records);
        Completion::ready(Deliveries::All(Delivery::Durable))
    }

    fn publish_dead(&self, letters: Vec<DeadLetter>) -> Completion {
        drop(letters);
        Completion::ready(Deliveries::All(Delivery::Durable))
    }
}
