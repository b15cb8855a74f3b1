//! How long sums are kept: a time to live by their minute. Block rows have the minute 0 and are left out.

use super::{SERVER, all, judged, within};
use crate::config;
use crate::store::StoreError;
use crate::store::schema::{Report, kept_for};
use clickhouse::Client;

/// What the TTL begins with, before the seconds.
const TTL: &str = "TTL minute + toIntervalSecond(";

async fn kept(client: &Client, config: &config::ClickHouse) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT engine_full FROM system.tables WHERE database = '{}' AND name = 'sales_by_minute'",
        config.database
    );
    let engine: Vec<String> = all(client, config, &sql).await?;
    let seconds =
        engine.first().and_then(|text| text.split_once(TTL)).and_then(|(_, rest)| rest.split_once(')'));
    Ok(seconds.and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or(0))
}

/// Compares what the table has with the configuration.
pub(super) async fn check(
    client: &Client,
    config: &config::ClickHouse,
    report: &mut Report,
) -> Result<(), StoreError> {
    report.kept(SERVER, "sums", kept(client, config).await?, config.retention.as_secs());
    Ok(())
}

/// Sets it, where it is another.
pub(super) async fn apply(
    client: &Client,
    config: &config::ClickHouse,
    report: &mut Report,
) -> Result<(), StoreError> {
    let (kept, wanted) = (kept(client, config).await?, config.retention.as_secs());
    if kept == wanted {
        report.kept(SERVER, "sums", kept, wanted);
        return Ok(());
    }
    let change = match wanted {
        0 => "REMOVE TTL".to_owned(),
        seconds => format!("MODIFY {TTL}{seconds}) DELETE WHERE block = ''"),
    };
    let sql = format!("ALTER TABLE {}.sales_by_minute {change}", config.database);
    within(config, client.query(&sql).execute()).await.map_err(judged)?;
    report.lines.push(format!("{SERVER}: sums are kept {} from now on", kept_for(wanted)));
    Ok(())
}
