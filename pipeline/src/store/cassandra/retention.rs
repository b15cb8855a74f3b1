//! How long orders are kept: a table's default time to live, which Cassandra counts from the writing of a row on.

use super::SERVER;
use super::rebuild::table_in_force;
use super::schema::unavailable;
use crate::config;
use crate::store::StoreError;
use crate::store::schema::{Report, kept_for};
use scylla::client::session::Session;

/// Compares what the table in force has with the configuration.
pub(super) async fn check(
    session: &Session,
    config: &config::Cassandra,
    report: &mut Report,
) -> Result<(), StoreError> {
    let table = table_in_force(session, &config.keyspace).await?;
    let cql =
        "SELECT default_time_to_live FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
    let found = session.query_unpaged(cql, (&config.keyspace, table)).await.map_err(unavailable)?;
    let found = found.into_rows_result().map_err(unavailable)?;
    let Some((seconds,)) = found.maybe_first_row::<(i32,)>().map_err(unavailable)? else {
        report.wrong.push(format!("{SERVER}: the table {table} is not there"));
        return Ok(());
    };
    let (kept, wanted) = (u64::from(seconds.cast_unsigned()), config.retention.as_secs());
    report.kept(SERVER, "orders", kept, wanted);
    Ok(())
}

/// Sets it, where it is another.
pub(super) async fn apply(
    session: &Session,
    config: &config::Cassandra,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut found = Report::default();
    check(session, config, &mut found).await?;
    if found.wrong.is_empty() {
        report.merge(found);
        return Ok(());
    }
    let table = table_in_force(session, &config.keyspace).await?;
    set(session, config, table).await?;
    let kept = kept_for(config.retention.as_secs());
    report.lines.push(format!("{SERVER}: orders that are written from now on are kept {kept}"));
    Ok(())
}

/// Sets it for a table.
pub(super) async fn set(
    session: &Session,
    config: &config::Cassandra,
    table: &str,
) -> Result<(), StoreError> {
    let (keyspace, seconds) = (&config.keyspace, config.retention.as_secs());
    let cql = format!("ALTER TABLE {keyspace}.{table} WITH default_time_to_live = {seconds}");
    session.query_unpaged(cql, ()).await.map(drop).map_err(unavailable)
}
