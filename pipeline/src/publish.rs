//! Publishing: the valid records of a request go to the log, and each order gets its outcome from the log's answer.

use crate::deadline::within;
use crate::log::{Deliveries, Delivery, Publish, Record};
use crate::observe::hops::{Hop, Hops};
use crate::observe::metrics::Metrics;
use crate::outcomes::Outcome;
use crate::time;
use std::time::{Duration, Instant};

/// What became of the records of a request, in their order.
#[derive(Clone, Debug)]
pub enum Published {
    /// All of them the same.
    All(Outcome, &'static str),
    /// Each its own.
    Each(Vec<(Outcome, &'static str)>),
}

impl Published {
    /// The outcome of one record, and why where it is not accepted.
    pub fn outcome(&self, index: usize) -> (Outcome, &'static str) {
        match self {
            Self::All(outcome, why) => (*outcome, why),
            Self::Each(each) => {
                each.get(index).copied().unwrap_or((Outcome::Unknown, "the log gave no answer for it"))
            }
        }
    }
}

/// Hands records to the log and waits for its answer, at most for `timeout`.
pub async fn publish<P: Publish>(
    log: &P,
    records: Vec<Record>,
    timeout: Duration,
    metrics: &Metrics,
    hops: &Hops,
) -> Published {
    if records.is_empty() {
        return Published::Each(Vec::new());
    }
    let due_at = records.first().and_then(|record| record.due_at);
    let count = records.len();
    let sent = Instant::now();
    let deliveries = match within(timeout, log.publish(records).wait()).await {
        Ok(deliveries) => deliveries,
        Err(_) => Deliveries::All(Delivery::Unknown("the log did not answer in time")),
    };
    metrics.publish_seconds.observe(sent.elapsed().as_secs_f64());
    if deliveries == Deliveries::All(Delivery::Durable) {
        hops.record(
            Hop::Log,
            time::now(),
            due_at.into_iter().flat_map(|due| std::iter::repeat_n(due, count)),
        );
    }
    match deliveries {
        Deliveries::All(delivery) => {
            let (outcome, why) = outcome(&delivery);
            Published::All(outcome, why)
        }
        Deliveries::Each(each) => Published::Each(each.iter().map(outcome).collect()),
    }
}

const fn outcome(delivery: &Delivery) -> (Outcome, &'static str) {
    match delivery {
        Delivery::Durable => (Outcome::Accepted, ""),
        Delivery::Failed(why) => (Outcome::Failed, why),
        Delivery::Unknown(why) => (Outcome::Unknown, why),
    }
}
