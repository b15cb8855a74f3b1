//! The reply to a request with orders: one outcome each, never better than the truth.

use super::refusal::Refusal;
use crate::outcomes::Outcome;
use crate::publish::Published;
use crate::validate::Checked;
use bytes::Bytes;
use hyper::StatusCode;

/// How many orders a reply lists whatever became of them; of more, those that were not accepted.
const LIST_ALL: usize = 100;
/// No listed order is longer, whatever became of it.
const RESULT_BYTES: usize = 256;

/// The reason of an order that failed.
pub const NOT_PERSISTED: &str = "not_persisted";
/// The reason of an order whose outcome is unknown.
pub const NO_ANSWER: &str = "no_answer";

/// Counts of orders by outcome, in the order of [`Outcome::ALL`].
pub(super) type Counts = [u64; 4];

/// A reply that is not yet HTTP.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: String,
    pub(super) counts: Counts,
}

/// The room that a reply needs at most, once it is known which orders are valid. A few bytes of a hostile batch make
/// a hundred bytes of reply each, so that replies count as in flight until they are sent.
pub(super) fn room(checked: &[Checked], list_all: bool) -> usize {
    let listed = if list_all || checked.len() <= LIST_ALL {
        checked.len()
    } else {
        checked.iter().filter(|order| order.rejection.is_some()).count()
    };
    listed * RESULT_BYTES
}

/// The reply to a request that was refused whole.
pub(super) fn refused(refusal: Refusal) -> Reply {
    let body = format!(
        r#"{{"accepted":0,"rejected":0,"failed":0,"unknown":0,"results":[],"reason":"{}","detail":"{}","retry":{}}}"#,
        refusal.tag(),
        refusal.detail(),
        refusal.retry()
    );
    Reply { status: refusal.status(), body, counts: [0; 4] }
}

/// The reply to a request whose orders were looked at. `created` is the status where all are accepted: 202, or the 201
/// of the tutorial's route.
pub(super) fn reply(
    checked: &[Checked],
    published: &Published,
    created: StatusCode,
    list_all: bool,
) -> Reply {
    let mut counts: Counts = [0; 4];
    // Room for the counts, and for a result with its reason; a list of many grows.
    let mut results = String::with_capacity(256);
    let mut record = 0;
    for (index, order) in checked.iter().enumerate() {
        let (outcome, why) = match order.rejection {
            Some(rejection) => (Outcome::Rejected, Some((rejection.reason.tag(), rejection.to_string()))),
            None => {
                let (outcome, why) = published.outcome(record);
                record += 1;
                (outcome, not_accepted(outcome).map(|reason| (reason, why.to_owned())))
            }
        };
        if let Some(count) = counts.get_mut(outcome as usize) {
            *count += 1;
        }
        if outcome != Outcome::Accepted || list_all || checked.len() <= LIST_ALL {
            write_result(&mut results, index, order.order_id.as_ref(), outcome, why);
        }
    }
    let mut body = String::with_capacity(80 + results.len());
    let mut digits = itoa::Buffer::new();
    for (outcome, count) in Outcome::ALL.into_iter().zip(counts) {
        let begin = if body.is_empty() { "{\"" } else { ",\"" };
        for text in [begin, outcome.tag(), "\":", digits.format(count)] {
            body.push_str(text);
        }
    }
    for text in [",\"results\":[", &results, "]}"] {
        body.push_str(text);
    }
    Reply { status: status(counts, created), body, counts }
}

/// The reason of an outcome that the log gave.
const fn not_accepted(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Accepted => None,
        Outcome::Unknown => Some(NO_ANSWER),
        Outcome::Failed | Outcome::Rejected => Some(NOT_PERSISTED),
    }
}

/// All alike have a status of their own; else the reply is 207, and each order says its own.
fn status(counts: Counts, created: StatusCode) -> StatusCode {
    match counts {
        [_, 0, 0, 0] => created,
        [0, _, 0, 0] => StatusCode::UNPROCESSABLE_ENTITY,
        [0, 0, _, 0] => StatusCode::SERVICE_UNAVAILABLE,
        [0, 0, 0, _] => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::MULTI_STATUS,
    }
}

/// Written piece by piece, since formatting it took a tenth of the instructions of a request.
fn write_result(
    results: &mut String,
    index: usize,
    order_id: Option<&Bytes>,
    outcome: Outcome,
    why: Option<(&str, String)>,
) {
    let begin = if results.is_empty() { "{\"index\":" } else { ",{\"index\":" };
    for text in [begin, itoa::Buffer::new().format(index), ","] {
        results.push_str(text);
    }
    // An order id is visible ASCII, of which JSON escapes two.
    if let Some(id) = order_id.and_then(|id| std::str::from_utf8(id).ok()) {
        results.push_str("\"order_id\":\"");
        for part in id.split_inclusive(['"', '\\']) {
            match part.as_bytes().last() {
                Some(last @ (b'"' | b'\\')) => {
                    results.push_str(part.get(..part.len() - 1).unwrap_or_default());
                    results.push('\\');
                    results.push(char::from(*last));
                }
                _ => results.push_str(part),
            }
        }
        results.push_str("\",");
    }
    for text in ["\"outcome\":\"", outcome.tag(), "\""] {
        results.push_str(text);
    }
    if let Some((reason, detail)) = why {
        let retry = matches!(outcome, Outcome::Failed | Outcome::Unknown);
        // Reasons and details are texts of this program without anything that JSON escapes.
        for text in [",\"reason\":\"", reason, "\",\"detail\":\"", &detail, "\",\"retry\":"] {
            results.push_str(text);
        }
        results.push_str(if retry { "true" } else { "false" });
    }
    results.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Field, Reason, Rejection};

    fn valid(id: &'static str) -> Checked {
        Checked { order_id: Some(Bytes::from_static(id.as_bytes())), rejection: None }
    }

    fn invalid() -> Checked {
        Checked { order_id: None, rejection: Some(Rejection::of(Field::Quantity, Reason::OutOfRange)) }
    }

    fn parsed(reply: &Reply) -> serde_json::Value {
        serde_json::from_str(&reply.body).unwrap()
    }

    #[test]
    fn each_order_has_its_own_outcome() {
        let published = Published::Each(vec![
            (Outcome::Accepted, ""),
            (Outcome::Failed, "the disk is full"),
            (Outcome::Unknown, "no answer came"),
        ]);
        let orders = [valid("a"), invalid(), valid("b"), valid(r#"c"\"#)];
        let reply = reply(&orders, &published, StatusCode::ACCEPTED, false);
        assert_eq!((reply.status, reply.counts), (StatusCode::MULTI_STATUS, [1, 1, 1, 1]));
        let body = parsed(&reply);
        assert_eq!(body["results"][0], serde_json::json!({"index":0,"order_id":"a","outcome":"accepted"}));
        assert_eq!(body["results"][1]["reason"], "out_of_range");
        assert_eq!(body["results"][1]["retry"], false);
        assert_eq!(body["results"][2]["detail"], "the disk is full");
        assert_eq!(body["results"][3]["order_id"], r#"c"\"#);
        assert_eq!(body["results"][3]["retry"], true);
    }

    #[test]
    fn one_kind_of_outcome_alone_has_its_own_status() {
        let all =
            |outcome| reply(&[valid("a")], &Published::All(outcome, ""), StatusCode::CREATED, false).status;
        assert_eq!(all(Outcome::Accepted), StatusCode::CREATED);
        assert_eq!(all(Outcome::Failed), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(all(Outcome::Unknown), StatusCode::GATEWAY_TIMEOUT);
        let none = reply(&[invalid()], &Published::Each(vec![]), StatusCode::ACCEPTED, false);
        assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn a_large_batch_lists_only_what_was_not_accepted_unless_told() {
        let mut orders = vec![valid("a"); 200];
        orders[150] = invalid();
        let published = Published::All(Outcome::Accepted, "");
        let short = parsed(&reply(&orders, &published, StatusCode::ACCEPTED, false));
        assert_eq!(
            (short["results"].as_array().unwrap().len(), &short["results"][0]["index"]),
            (1, &150.into())
        );
        let long = parsed(&reply(&orders, &published, StatusCode::ACCEPTED, true));
        assert_eq!(long["results"].as_array().unwrap().len(), 200);
    }

    #[test]
    fn no_listed_order_needs_more_room_than_was_reserved_for_it() {
        let longest_id = Checked { order_id: Some(Bytes::from("\"".repeat(64))), rejection: None };
        let whys = ["the log did not answer in time", "the log gave no answer for it"];
        for why in whys {
            let reply = reply(
                std::slice::from_ref(&longest_id),
                &Published::All(Outcome::Unknown, why),
                StatusCode::OK,
                true,
            );
            assert!(reply.body.len() < RESULT_BYTES + 80, "{}", reply.body);
        }
        for rejection in
            Field::ALL.into_iter().flat_map(|field| Reason::ALL.map(|reason| Rejection::of(field, reason)))
        {
            let order = Checked { order_id: None, rejection: Some(rejection) };
            let reply = reply(&[order], &Published::Each(vec![]), StatusCode::OK, true);
            assert!(reply.body.len() < RESULT_BYTES + 40, "{}", reply.body);
        }
        assert_eq!(room(&vec![valid("a"); 200], false), 0);
        assert_eq!(room(&vec![valid("a"); 200], true), 200 * RESULT_BYTES);
        assert_eq!(room(&vec![invalid(); 200], false), 200 * RESULT_BYTES);
    }

    #[test]
    fn every_refusal_is_json() {
        let tags: std::collections::BTreeSet<_> = Refusal::ALL.map(Refusal::tag).into_iter().collect();
        assert_eq!(tags.len(), Refusal::ALL.len(), "each is listed once, under a tag of its own");
        for refusal in Refusal::ALL {
            assert_eq!(parsed(&refused(refusal))["reason"], refusal.tag());
        }
        for reason in Reason::ALL {
            assert!(!reason.meaning().contains(['"', '\\']), "{}", reason.meaning());
        }
    }
}
