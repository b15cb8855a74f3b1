//! What a reply says of each order: pure functions of its status and body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use pipeline::outcomes::Outcome;
use serde::Deserialize;

use crate::connection::Trouble;
use crate::gauges::Counts;

/// What a reply says: one outcome for all orders of the request, but for the exceptions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) exceptions: Vec<Exception>,
}

/// The outcome of one order that differs from the outcome of its request, or has a reason of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) index: usize,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

impl Verdict {
    /// The same outcome for all orders of a request.
    pub(crate) fn all(outcome: Outcome, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome, reason: reason.into(), exceptions: Vec::new() }
    }

    /// What a request without a reply says of its orders.
    pub(crate) fn of_trouble(trouble: &Trouble) -> Self {
        let outcome = if trouble.may_have_arrived() { Outcome::Unknown } else { Outcome::Failed };
        Self::all(outcome, trouble.reason())
    }

    /// Writes the outcomes into the places of the request's orders, counts the reasons, and returns the counts.
    pub(crate) fn settle<'o>(
        &self,
        places: impl ExactSizeIterator<Item = &'o mut Option<Outcome>>,
        reasons: &mut Reasons,
    ) -> Counts {
        let mut counts = Counts::default();
        if self.exceptions.is_empty() {
            // The common case by far: one outcome for all, counted at once.
            let orders = places.len() as u64;
            reasons.count(self.outcome, &self.reason, orders);
            for place in places {
                let outcome = after(*place, self.outcome);
                *place = Some(outcome);
                counts.count(outcome);
            }
            return counts;
        }
        let mut exceptions: Vec<Option<&Exception>> = vec![None; places.len()];
        for exception in &self.exceptions {
            if let Some(of_order) = exceptions.get_mut(exception.index) {
                *of_order = Some(exception);
            }
        }
        for (place, exception) in places.zip(exceptions) {
            let (outcome, reason) = exception
                .map_or((self.outcome, self.reason.as_ref()), |found| (found.outcome, found.reason.as_str()));
            reasons.count(outcome, reason, 1);
            let outcome = after(*place, outcome);
            *place = Some(outcome);
            counts.count(outcome);
        }
        counts
    }

    /// What a reply of this status and body says of a request with `orders` orders.
    ///
    /// A body is read only where the status leaves a question open. An order that it does not name has the outcome
    /// that the status stands for.
    ///
    /// `expect` says which statuses count as accepted, whatever they mean to the order contract; where it is empty the
    /// contract says it.
    pub(crate) fn of_reply(status: u16, body: &[u8], orders: usize, expect: &[RangeInclusive<u16>]) -> Self {
        let mut outcome = of_status(status);
        if !expect.is_empty() {
            let expected = expect.iter().any(|range| range.contains(&status));
            if expected {
                return Self::all(Outcome::Accepted, "");
            }
            // A success that was not expected is none.
            outcome = if outcome == Outcome::Accepted { Outcome::Rejected } else { outcome };
            return Self::all(outcome, format!("status_{status}"));
        }
        if outcome == Outcome::Accepted && status != 207 {
            return Self::all(outcome, "");
        }
        let by_status = || Cow::Owned(format!("status_{status}"));
        match serde_json::from_slice::<Body>(body) {
            Ok(body) => {
                let exceptions = body.results.into_iter().filter(|result| result.index < orders);
                Self {
                    outcome,
                    reason: body.reason.map_or_else(by_status, Cow::Owned),
                    exceptions: exceptions
                        .map(|result| Exception {
                            index: result.index,
                            outcome: result.outcome.into(),
                            reason: result.reason.unwrap_or_else(|| by_status().into_owned()),
                        })
                        .collect(),
                }
            }
            // Mixed, but nobody can say which: all of them may be in the log.
            Err(_) if status == 207 => Self::all(Outcome::Unknown, "unreadable_reply"),
            Err(_) => Self::all(outcome, by_status()),
        }
    }
}

/// What a status says of orders that the body does not name. In a mixed reply those were accepted.
fn of_status(status: u16) -> Outcome {
    match status {
        200..=299 => Outcome::Accepted,
        // Asked to come back later, or the request did not arrive whole: certainly not in the log.
        408 | 425 | 429 | 503 => Outcome::Failed,
        // Any other fault of a server may have happened after it wrote.
        500..=599 => Outcome::Unknown,
        _ => Outcome::Rejected,
    }
}

/// Why orders were not accepted, with how many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reasons {
    pub(crate) rejected: BTreeMap<String, u64>,
    /// Of failed and unknown orders.
    pub(crate) unsettled: BTreeMap<String, u64>,
}

impl Reasons {
    pub(crate) fn count(&mut self, outcome: Outcome, reason: &str, orders: u64) {
        let reasons = match outcome {
            Outcome::Accepted => return,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Failed | Outcome::Unknown => &mut self.unsettled,
        };
        // The reason is copied when it is new, not each time.
        if let Some(count) = reasons.get_mut(reason) {
            *count += orders;
        } else {
            reasons.insert(reason.to_owned(), orders);
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (ours, theirs) in [(&mut self.rejected, other.rejected), (&mut self.unsettled, other.unsettled)] {
            for (reason, orders) in theirs {
                *ours.entry(reason).or_default() += orders;
            }
        }
    }
}

/// The outcome of an order that was sent before.
///
/// An order that may be in the log stays unknown when a repeat of it fails: the failure speaks of the repeat alone.
pub(crate) const fn after(earlier: Option<Outcome>, now: Outcome) -> Outcome {
    match (earlier, now) {
        (Some(Outcome::Unknown), Outcome::Failed) => Outcome::Unknown,
        _ => now,
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    results: Vec<OrderResult>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct OrderResult {
    index: usize,
    outcome: Word,
    reason: Option<String>,
}

/// The outcome as replies spell it.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Accepted,
    Rejected,
    Failed,
    Unknown,
}

impl From<Word> for Outcome {
    fn from(word: Word) -> Self {
        match word {
            Word::Accepted => Self::Accepted,
            Word::Rejected => Self::Rejected,
            Word::Failed => Self::Failed,
            Word::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_202_needs_no_body() {
        assert_eq!(Verdict::of_reply(202, b"", 3, &[]), Verdict::all(Outcome::Accepted, ""));
        assert_eq!(Verdict::of_reply(201, b"not JSON", 1, &[]), Verdict::all(Outcome::Accepted, ""));
    }

    #[test]
    fn an_expected_status_is_accepted_and_no_other() {
        let outcome = |status| Verdict::of_reply(status, b"", 1, &[200..=200, 404..=404]).outcome;
        assert_eq!([200, 404].map(outcome), [Outcome::Accepted; 2]);
        assert_eq!([201, 403].map(outcome), [Outcome::Rejected; 2]);
        assert_eq!([503, 500].map(outcome), [Outcome::Failed, Outcome::Unknown]);
    }

    #[test]
    fn in_a_mixed_reply_what_is_not_named_was_accepted() {
        let body = br#"{"accepted":2,"rejected":1,"failed":0,"unknown":0,"results":
            [{"index":1,"order_id":"o-1","outcome":"rejected","reason":"bad_total","detail":"\"x\"","retry":false}]}"#;
        let verdict = Verdict::of_reply(207, body, 3, &[]);
        assert_eq!(verdict.outcome, Outcome::Accepted);
        let exception = Exception { index: 1, outcome: Outcome::Rejected, reason: "bad_total".to_owned() };
        assert_eq!(verdict.exceptions, [exception]);
    }

    #[test]
    fn a_mixed_reply_that_cannot_be_read_leaves_all_orders_unknown() {
        assert_eq!(Verdict::of_reply(207, b"{", 2, &[]).outcome, Outcome::Unknown);
    }

    #[test]
    fn an_index_beyond_the_request_is_ignored() {
        let body = br#"{"results":[{"index":2,"outcome":"rejected"}]}"#;
        assert_eq!(Verdict::of_reply(422, body, 2, &[]).exceptions, []);
    }

    #[test]
    fn the_status_stands_for_all_orders_where_the_body_says_nothing() {
        for (status, outcome) in [
            (400, Outcome::Rejected),
            (413, Outcome::Rejected),
            (415, Outcome::Rejected),
            (422, Outcome::Rejected),
            (429, Outcome::Failed),
            (503, Outcome::Failed),
            (500, Outcome::Unknown),
            (504, Outcome::Unknown),
        ] {
            let verdict = Verdict::of_reply(status, b"", 1, &[]);
            assert_eq!((verdict.outcome, verdict.reason.as_ref()), (outcome, &*format!("status_{status}")));
        }
    }

    #[test]
    fn a_refusal_of_the_whole_request_may_name_its_reason() {
        assert_eq!(Verdict::of_reply(400, br#"{"reason":"not_json"}"#, 1, &[]).reason, "not_json");
    }

    #[test]
    fn only_a_definite_answer_ends_an_unknown() {
        assert_eq!(after(Some(Outcome::Unknown), Outcome::Failed), Outcome::Unknown);
        assert_eq!(after(Some(Outcome::Unknown), Outcome::Accepted), Outcome::Accepted);
        assert_eq!(after(Some(Outcome::Failed), Outcome::Unknown), Outcome::Unknown);
        assert_eq!(after(None, Outcome::Failed), Outcome::Failed);
    }
}
