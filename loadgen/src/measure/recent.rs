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
        for (to, from) in [
            (&mut self.delay, &mut from.delay),
            (&mut self.service, &mut from.service),
            (&mut self.response, &mut from.response),
        ] {
            // Most are empty most of the time, and going through thousands of empty places is not free.
            if !from.is_empty() {
                add(to, from);
                from.reset();
            }
        }
    }
}
