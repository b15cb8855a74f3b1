//! The latencies of a short time, which those who look on add up: the view, the log and the metrics.

use hdrhistogram::Histogram;

use super::{DIGITS, Instants, LONGEST_NS, NANOS_PER_MICRO, add};

/// A microsecond is fine enough for a log, and makes it half as large.
#[expect(clippy::unwrap_used, reason = "constant bounds")]
fn recent() -> Histogram<u32> {
    Histogram::new_with_bounds(NANOS_PER_MICRO, LONGEST_NS, DIGITS).unwrap()
}

/// The latencies recorded in some short time, in nanoseconds, as an interval log and metrics need them.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Due -> sent.
    pub delay: Histogram<u32>,
    /// Sent -> reply fully read.
    pub service: Histogram<u32>,
    /// Due -> reply fully read.
    pub response: Histogram<u32>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self { delay: recent(), service: recent(), response: recent() }
    }

    pub(crate) fn record(&mut self, at: Instants, orders: usize) {
        let orders = u32::try_from(orders).unwrap_or(u32::MAX);
        self.delay.saturating_record_n(at.sent_ns.saturating_sub(at.due_ns), orders);
        self.service.saturating_record_n(at.reply_ns.saturating_sub(at.sent_ns), orders);
        self.response.saturating_record_n(at.reply_ns.saturating_sub(at.due_ns), orders);
    }

    /// Of a closed loop, which knows no other latency.
    pub(crate) fn record_service(&mut self, at: Instants, orders: usize) {
        let orders = u32::try_from(orders).unwrap_or(u32::MAX);
        self.service.saturating_record_n(at.reply_ns.saturating_sub(at.sent_ns), orders);
    }

    /// Moves the latencies of another over.
    pub(crate) fn take(&mut self, from: &mut Self) {
        for (to, from) in self.all_mut().into_iter().zip(from.all_mut()) {
            // Mostly one of them is empty, and to go through thousands of places would hold requests up.
            if to.is_empty() {
                std::mem::swap(to, from);
            } else if !from.is_empty() {
                add(to, from);
                from.reset();
            }
        }
    }

    /// Adds the latencies of another.
    pub(crate) fn add(&mut self, from: &Self) {
        let Self { delay, service, response } = from;
        for (to, from) in self.all_mut().into_iter().zip([delay, service, response]) {
            if !from.is_empty() {
                add(to, from);
            }
        }
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.all_mut().into_iter().filter(|latencies| !latencies.is_empty()).for_each(Histogram::reset);
    }

    const fn all_mut(&mut self) -> [&mut Histogram<u32>; 3] {
        [&mut self.delay, &mut self.service, &mut self.response]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(orders: usize) -> Recent {
        let mut recent = Recent::new();
        recent.record(Instants { due_ns: 0, sent_ns: 10_000, reply_ns: 30_000 }, orders);
        recent
    }

    fn counts(recent: &Recent) -> [u64; 3] {
        [recent.delay.len(), recent.service.len(), recent.response.len()]
    }

    #[test]
    fn what_is_taken_is_moved_and_what_is_added_is_copied() {
        let (mut to, mut from) = (Recent::new(), of(2));
        to.take(&mut from);
        assert_eq!((counts(&to), counts(&from)), ([2; 3], [0; 3]));
        to.take(&mut of(3));
        to.take(&mut Recent::new());
        assert_eq!(counts(&to), [5; 3]);
        let more = of(4);
        to.add(&more);
        assert_eq!((counts(&to), counts(&more)), ([9; 3], [4; 3]));
        to.clear();
        assert_eq!(counts(&to), [0; 3]);
    }
}
