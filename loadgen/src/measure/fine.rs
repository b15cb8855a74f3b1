//! The latencies of each second of the schedule with all their digits, for an interval log by the due instant.

use hdrhistogram::Histogram;

use super::{DIGITS, Instants, NANOS_PER_MICRO, add};

/// The latencies of the orders that were due in one second, in nanoseconds and with three digits.
#[derive(Clone, Debug)]
pub struct Fine {
    /// Due -> sent.
    pub delay: Histogram<u32>,
    /// Sent -> reply fully read.
    pub service: Histogram<u32>,
    /// Due -> reply fully read.
    pub response: Histogram<u32>,
}

impl Fine {
    pub(super) fn new() -> Self {
        Self { delay: fine_histogram(), service: fine_histogram(), response: fine_histogram() }
    }

    pub(super) fn record(&mut self, at: Instants, orders: usize) {
        let orders = u32::try_from(orders).unwrap_or(u32::MAX);
        for (histogram, from, to) in [
            (&mut self.delay, at.due_ns, at.sent_ns),
            (&mut self.service, at.sent_ns, at.reply_ns),
            (&mut self.response, at.due_ns, at.reply_ns),
        ] {
            // It grows as needed, which a saturating record would not make it do.
            let recorded = histogram.record_n(to.saturating_sub(from), orders);
            debug_assert!(recorded.is_ok());
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.delay, &other.delay);
        add(&mut self.service, &other.service);
        add(&mut self.response, &other.response);
    }
}

/// Nanoseconds, told apart from a microsecond on, which makes a third of a histogram that tells each apart. It grows as
/// needed: some 30 KB where the slowest takes a tenth of a second.
#[expect(clippy::unwrap_used, reason = "constant bounds")]
fn fine_histogram() -> Histogram<u32> {
    let mut histogram = Histogram::new_with_bounds(NANOS_PER_MICRO, 2 * NANOS_PER_MICRO, DIGITS).unwrap();
    histogram.auto(true);
    histogram
}

#[cfg(test)]
mod tests {
    use super::super::{Measures, NANOS_PER_SECOND};
    use super::*;

    #[test]
    fn each_second_has_its_own_latencies_with_all_digits_where_they_are_asked_for() {
        let mut all = Measures::new(true);
        for second in 0..2_u64 {
            let mut one = Measures::new(true);
            let due_ns = second * NANOS_PER_SECOND;
            let (sent_ns, reply_ns) = (due_ns + 2_000_000, due_ns + 7_000_000 * (second + 1));
            one.record_latencies(Instants { due_ns, sent_ns, reply_ns }, 3);
            all.add(&one);
        }
        let fine = all.seconds[1].fine.as_ref().unwrap();
        let ms = |histogram: &Histogram<u32>| (histogram.len(), histogram.max() / 1_000_000);
        assert_eq!((ms(&fine.delay), ms(&fine.service), ms(&fine.response)), ((3, 2), (3, 12), (3, 14)));
        assert!(Measures::new(false).second(0).fine.is_none());
    }
}
