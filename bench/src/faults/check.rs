//! The verdict on an injection: what the senders were told against what the log and both stores hold, by id.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::TryStreamExt;
use pipeline::ledger::Ledger;
use pipeline::outcomes::{Outcome, OutcomeWriter};
use serde::{Deserialize, Serialize};

use super::clients::Senders;
use super::place::Place;

/// A soak's millions of orders are read again, too.
const PATIENCE: Duration = Duration::from_secs(900);

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Found {
    /// Orders that were acknowledged.
    pub acknowledged: u64,
    /// Orders in the orders store.
    pub stored: u64,
    /// Orders in the rollups.
    pub rolled_up: u64,
    /// Orders that were acknowledged and are not in the log, or not in one of the stores.
    pub lost: u64,
    /// Orders that one of the stores has more than once.
    pub doubled: u64,
    /// Orders that were reported as failed or rejected and not sent again, and are in the log or a store.
    pub ghosts: u64,
    /// Orders whose outcome nobody knows.
    pub unknown: u64,
    /// Orders that were reported as failed.
    pub failed: u64,
    /// Orders that were rejected.
    pub rejected: u64,
    /// Records that were duplicates.
    pub duplicates: u64,
    /// Records that were refused.
    pub dead: u64,
    /// What else does not balance, as the ledger or this check says it.
    pub differences: Vec<String>,
}

/// What a foreign producer wrote beside the senders: acknowledged orders, and what they come to.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    /// Ids with quantity and total.
    pub orders: Vec<(String, i64, i64)>,
}

/// The ledger of a place against the outcomes so far, written beside its logs under a name.
///
/// # Errors
/// Where something cannot be read.
pub fn ledger(place: &Place, senders: &Senders, foreign: &Foreign, name: &str) -> Result<Ledger> {
    let path = place.folder.join(format!("{name}.outcomes.zst"));
    write_outcomes(&path, senders, foreign).context("failed to write the outcome file")?;
    let drawn = place.runtime.block_on(async {
        tokio::time::timeout(PATIENCE, pipeline::wire::ledger(&place.config, Some(&path))).await
    });
    let ledger = drawn.map_err(|_| anyhow!("the ledger was not drawn up within {PATIENCE:?}"))??;
    std::fs::write(place.folder.join(format!("{name}.ledger.json")), format!("{:#}", ledger.to_json()))?;
    Ok(ledger)
}

fn write_outcomes(path: &Path, senders: &Senders, foreign: &Foreign) -> std::io::Result<()> {
    let mut writer = OutcomeWriter::create(path)?;
    for (order, outcome) in senders.orders().flat_map(|orders| orders.told()) {
        writer.write(&order.id, outcome)?;
    }
    for (id, _, _) in &foreign.orders {
        writer.write(id, Outcome::Accepted)?;
    }
    writer.finish()
}

/// Compares all. With `settled`, everything unknown has been sent again, and the books must balance to the cent.
///
/// # Errors
/// Where something cannot be read.
pub fn check(place: &Place, senders: &Senders, foreign: &Foreign, settled: bool) -> Result<Found> {
    let ledger = ledger(place, senders, foreign, if settled { "settled" } else { "unsettled" })?;
    let mut found = Found { rolled_up: ledger.rollup_orders, ..Found::default() };
    found.differences = ledger.differences.iter().map(ToString::to_string).collect();
    let total = ledger.total();
    (found.duplicates, found.dead) = (total.duplicates, total.dead);
    if settled && total.pending > 0 {
        found.differences.push(format!("{} records are not stored", total.pending));
    }
    let in_log = ledger.ids.clone().unwrap_or_default();

    let rows = stored(place).context("failed to read the orders store")?;
    found.stored = rows.len() as u64;
    let mut times: HashMap<&str, (u64, i64, i64)> = HashMap::new();
    for (id, quantity, total_minor) in &rows {
        let seen = times.entry(id).or_insert((0, *quantity, *total_minor));
        seen.0 += 1;
        found.doubled += u64::from(seen.0 > 1);
    }
    let (mut lost, mut ghosts) = (0, 0);
    let (mut quantity, mut total_minor) = (0_i64, 0_i64);
    let mut accept = |id: &str, order: (i64, i64), found: &mut Found| {
        found.acknowledged += 1;
        (quantity, total_minor) = (quantity + order.0, total_minor + order.1);
        match times.get(id) {
            None => lost += 1,
            Some((_, quantity, total)) if (*quantity, *total) != order => {
                found.differences.push(format!("{id} is stored with another quantity or total"));
            }
            Some(_) => {}
        }
    };
    for (order, outcome) in senders.orders().flat_map(|orders| orders.told()) {
        match outcome {
            Outcome::Accepted => accept(&order.id, (order.quantity, order.total_minor), &mut found),
            Outcome::Unknown => found.unknown += 1,
            Outcome::Failed | Outcome::Rejected => {
                let count = if outcome == Outcome::Failed { &mut found.failed } else { &mut found.rejected };
                *count += 1;
                ghosts += u64::from(times.contains_key(order.id.as_str()));
            }
        }
    }
    for (id, quantity, total_minor) in &foreign.orders {
        accept(id, (*quantity, *total_minor), &mut found);
    }
    found.ghosts = in_log.ghosts.max(ghosts);
    found.lost = in_log.lost;
    if settled {
        found.lost = found.lost.max(lost).max(found.acknowledged.saturating_sub(found.rolled_up));
        found.doubled += found.rolled_up.saturating_sub(found.acknowledged);
        let rollup = (i128::from(ledger.rollup_quantity), ledger.rollup_total_minor);
        let expected = (i128::from(quantity), i128::from(total_minor));
        if rollup != expected {
            found
                .differences
                .push(format!("the rollups hold {rollup:?}, the senders' sums are {expected:?}"));
        }
        if found.unknown > 0 {
            found.differences.push(format!("{} orders are still unknown", found.unknown));
        }
    }
    found.differences.extend(senders.counts().wrong.iter().map(|wrong| format!("a wrong answer: {wrong}")));
    found.differences.truncate(20);
    Ok(found)
}

/// Every row of the orders store, read past the product: id, quantity and total.
fn stored(place: &Place) -> Result<Vec<(String, i64, i64)>> {
    let columns = "SELECT order_id, quantity, total_minor FROM";
    let Some(addresses) = &place.addresses else {
        let file = rusqlite::Connection::open(pipeline::wire::stores_file(&place.config.embedded.data_dir))?;
        let mut statement = file.prepare(&format!("{columns} orders"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        return Ok(rows.collect::<Result<_, _>>()?);
    };
    let cql = format!("{columns} {}.orders", place.config.cassandra.keyspace);
    let node = addresses.cassandra.to_string();
    let read = async {
        let builder = scylla::client::session_builder::SessionBuilder::new().known_node(node);
        let session = builder.build().await?;
        let rows = session.query_iter(cql, ()).await?.rows_stream::<(String, i32, i64)>()?;
        let rows = rows.map_ok(|(id, quantity, total_minor)| (id, i64::from(quantity), total_minor));
        anyhow::Ok(rows.try_collect::<Vec<_>>().await?)
    };
    let read = place.runtime.block_on(async { tokio::time::timeout(PATIENCE, read).await });
    read.map_err(|_| anyhow!("Cassandra does not answer"))?
}
