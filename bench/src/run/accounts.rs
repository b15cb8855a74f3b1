//! The books of a run: what the sender was told, what log and stores hold, and what it should add up to.

use std::collections::HashSet;

use anyhow::{Context, Result};
use loadgen::run::RunResult;
use pipeline::ledger::Ledger;
use pipeline::outcomes::Outcome;
use pipeline::store::SalesKey;

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

/// Quantity and total of what was accepted, each id once, read from the bodies that were sent and by a parser that is
/// not the pipeline's.
pub(super) fn accepted_sums(data: &Data, result: &RunResult) -> Result<(i128, i128)> {
    #[derive(serde::Deserialize)]
    struct Sent {
        quantity: i64,
        total: f64,
    }
    let mut ids = HashSet::new();
    let (mut quantity, mut total) = (0, 0);
    for (index, outcome) in result.outcomes.iter().enumerate() {
        if *outcome != Some(Outcome::Accepted) {
            continue;
        }
        let (Some(body), Some(id)) = (data.payload.order(index), data.payload.order_id(index)) else {
            continue;
        };
        if !ids.insert(id) {
            continue;
        }
        let sent: Sent =
            serde_json::from_slice(&body).context("failed to read an order that was accepted")?;
        quantity += i128::from(sent.quantity);
        // Both sources of orders write cents, which a double holds exactly enough to round back to.
        total += (sent.total * 100.0).round() as i128;
    }
    Ok((quantity, total))
}

pub(super) fn accounts(result: &RunResult, ledger: &Ledger, (quantity, total): (i128, i128)) -> Accounts {
    let books = ledger.total();
    let counts = &result.counts;
    let stored_quantity = i128::from(books.quantity);
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
        quantity: Some(Across {
            accepted: quantity,
            orders: stored_quantity,
            rollup: ledger.rollup_quantity.into(),
        }),
        total_minor: Across {
            accepted: total,
            orders: books.stored_total_minor,
            rollup: ledger.rollup_total_minor,
        },
        balanced: false,
        differences: ledger.differences.iter().map(ToString::to_string).collect(),
    }
}
