//! The books of a run: what the sender was told, what log and stores hold, and what it should add up to.

use std::collections::HashSet;

use bytes::Bytes;
use loadgen::run::RunResult;
use pipeline::ledger::Ledger;
use pipeline::money::Currency;
use pipeline::outcomes::Outcome;
use pipeline::store::SalesKey;
use serde_json::Value;

use crate::data::Data;
use crate::report::{Across, Ledger as Accounts, Sale, Sums};

pub(super) fn sale(key: &SalesKey, sums: &pipeline::rollup::Sums) -> Sale {
    Sale {
        source: key.source.clone(),
        state: key.state.clone(),
        currency: key.currency.code().to_owned(),
        orders: sums.orders,
        quantity: sums.quantity.into(),
        total_minor: sums.total_minor,
    }
}

pub(super) fn found(ledger: &Ledger) -> Sums {
    Sums {
        count: ledger.rollup_orders,
        quantity: ledger.rollup_quantity.into(),
        total_minor: ledger.rollup_total_minor,
    }
}

/// What accepted orders add up to, as far as each of them says it itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    quantity: Option<i128>,
    total_minor: Option<i128>,
}

/// An order as it was sent, read by a parser that is not the pipeline's.
#[derive(serde::Deserialize)]
struct Sent {
    quantity: f64,
    total: Option<Value>,
    currency: Option<String>,
}

impl Sent {
    /// The total in minor units; nothing where the order leaves it to a price, which the pipeline knows.
    fn total_minor(&self, default: Currency) -> Option<i128> {
        let total = match self.total.as_ref()? {
            Value::String(text) => text.parse().ok()?,
            total => total.as_f64()?,
        };
        let currency = self.currency.as_deref().map_or(Some(default), Currency::from_code)?;
        // A double holds an amount exactly enough to round back to its minor units.
        Some((total * currency.scale() as f64).round() as i128)
    }
}

/// Quantity and total of what was accepted, each id once, read from the bodies that were sent. Orders that name no
/// currency have the default.
pub(super) fn accepted_sums(data: &Data, result: &RunResult, default: Currency) -> Accepted {
    let mut ids = HashSet::new();
    let accepted =
        result.outcomes.iter().enumerate().filter(|(_, outcome)| **outcome == Some(Outcome::Accepted));
    let bodies = accepted.filter_map(|(index, _)| {
        let (body, id) = (data.payload.order(index)?, data.payload.order_id(index)?);
        ids.insert(id).then_some(body)
    });
    sums(bodies, default)
}

fn sums(bodies: impl Iterator<Item = Bytes>, default: Currency) -> Accepted {
    let none = Accepted { quantity: Some(0), total_minor: Some(0) };
    let add = |sum: Option<i128>, more: Option<i128>| Some(sum? + more?);
    bodies.map(|body| serde_json::from_slice::<Sent>(&body).ok()).fold(none, |sums, sent| Accepted {
        quantity: add(sums.quantity, sent.as_ref().map(|sent| sent.quantity as i128)),
        total_minor: add(sums.total_minor, sent.and_then(|sent| sent.total_minor(default))),
    })
}

pub(super) fn accounts(result: &RunResult, ledger: &Ledger, accepted: Accepted) -> Accounts {
    let books = ledger.total();
    let counts = &result.counts;
    Accounts {
        sent: counts.sent,
        accepted: counts.accepted,
        rejected: counts.rejected,
        failed: counts.failed,
        unknown: counts.unknown,
        retried: result.retried,
        log: books.log,
        orders: books.stored_orders,
        duplicates: books.duplicates,
        dead: books.dead,
        rollup_orders: ledger.rollup_orders,
        quantity: accepted.quantity.map(|accepted| Across {
            accepted,
            orders: books.quantity.into(),
            rollup: ledger.rollup_quantity.into(),
        }),
        total_minor: accepted.total_minor.map(|accepted| Across {
            accepted,
            orders: books.stored_total_minor,
            rollup: ledger.rollup_total_minor,
        }),
        balanced: false,
        differences: ledger.differences.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(orders: &[&'static str]) -> (Option<i128>, Option<i128>) {
        let bodies = orders.iter().map(|order| Bytes::from_static(order.as_bytes()));
        let Accepted { quantity, total_minor } = sums(bodies, Currency::from_code("USD").unwrap());
        (quantity, total_minor)
    }

    #[test]
    fn totals_are_numbers_or_decimals_in_quotes_in_the_minor_units_of_their_currency() {
        assert_eq!(of(&[]), (Some(0), Some(0)));
        assert_eq!(
            of(&[r#"{"quantity":2,"total":0.29}"#, r#"{"quantity":1.0,"total":"4.5"}"#]),
            (Some(3), Some(479))
        );
        assert_eq!(of(&[r#"{"quantity":1,"total":700,"currency":"JPY"}"#]), (Some(1), Some(700)));
        assert_eq!(of(&[r#"{"quantity":1,"total":"1.234","currency":"KWD"}"#]), (Some(1), Some(1_234)));
    }

    #[test]
    fn there_is_no_sum_of_what_one_order_does_not_say() {
        let whole = r#"{"quantity":2,"total":3}"#;
        assert_eq!(of(&[whole, r#"{"quantity":4,"unit_price":2.5}"#, whole]), (Some(8), None));
        assert_eq!(of(&[whole, r#"{"quantity":4,"total":true}"#]), (Some(6), None));
        assert_eq!(of(&[whole, "?"]), (None, None));
    }
}
