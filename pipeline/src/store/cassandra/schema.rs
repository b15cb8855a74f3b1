//! Cassandra's part of the schema: applying it, and checking it.

use super::{SERVER, connect, retention};
use crate::config;
use crate::store::StoreError;
use crate::store::schema::{CASSANDRA, Remembered, Report, SchemaFile, Values};
use scylla::client::session::Session;
use std::fmt::Display;

/// What must not change under the data.
fn values(config: &config::Cassandra, partitions: u32) -> Values {
    vec![
        ("partitions", partitions.to_string()),
        ("buckets_per_partition", config.buckets_per_partition.to_string()),
    ]
}

/// Applies what is not applied yet. Applying twice changes nothing.
///
/// # Errors
/// What the nodes say. What does not fit the data is no error but wrong in the report.
pub async fn apply(config: &config::Cassandra, partitions: u32) -> Result<Report, StoreError> {
    let session = connect(config).await?;
    let mut report = Report::default();
    if let Some(base) = CASSANDRA.first() {
        run(&session, config, base).await?;
    }
    let remembered = remembered(&session, &config.keyspace).await?;
    for file in remembered.compare_files(SERVER, CASSANDRA, &mut report) {
        if file.version > 0 {
            run(&session, config, file).await?;
        }
        let insert = format!(
            "INSERT INTO {}.schema_files (version, name, checksum, applied_at) VALUES (?, ?, ?, toTimestamp(now()))",
            config.keyspace
        );
        let row = (file.version.cast_signed(), file.name, file.checksum());
        session.query_unpaged(insert, row).await.map_err(unavailable)?;
        report.lines.push(format!("{SERVER}: {} applied", file.name));
    }
    let values = values(config, partitions);
    for (name, value) in remembered.compare_values(SERVER, &values, &mut report) {
        // The condition, for two that apply at once: both then see the first one's value.
        let insert = format!(
            "INSERT INTO {}.schema_values (name, value) VALUES (?, ?) IF NOT EXISTS",
            config.keyspace
        );
        session.query_unpaged(insert, (name, value)).await.map_err(unavailable)?;
        report.lines.push(format!("{SERVER}: {name} = {value} from now on"));
    }
    retention::apply(&session, config, &mut report).await?;
    Ok(report)
}

/// Compares what is applied with what this build and this configuration want.
///
/// # Errors
/// Where no node answers.
pub async fn check(config: &config::Cassandra, partitions: u32) -> Result<Report, StoreError> {
    check_with(&connect(config).await?, config, partitions).await
}

pub(super) async fn check_with(
    session: &Session,
    config: &config::Cassandra,
    partitions: u32,
) -> Result<Report, StoreError> {
    let cql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
    let found = session.query_unpaged(cql, (&config.keyspace,)).await.map_err(unavailable)?;
    let found = found.into_rows_result().map_err(unavailable)?;
    let tables: Vec<_> =
        found.rows::<(String,)>().map_err(unavailable)?.collect::<Result<_, _>>().map_err(unavailable)?;
    let has = |name: &str| tables.iter().any(|(table,)| table == name);
    if !has("schema_files") || !has("schema_values") {
        let wrong =
            format!("{SERVER}: keyspace {} has no schema; run `pipeline schema apply`", config.keyspace);
        return Ok(Report { lines: Vec::new(), wrong: vec![wrong] });
    }
    let remembered = remembered(session, &config.keyspace).await?;
    let mut report = remembered.check(SERVER, CASSANDRA, &values(config, partitions));
    retention::check(session, config, &mut report).await?;
    Ok(report)
}

async fn run(session: &Session, config: &config::Cassandra, file: &SchemaFile) -> Result<(), StoreError> {
    let replication = format!(
        "{{'class': 'NetworkTopologyStrategy', 'replication_factor': {}}}",
        config.replication_factor
    );
    for statement in file.statements(&[("keyspace", &config.keyspace), ("replication", &replication)]) {
        session
            .query_unpaged(statement, ())
            .await
            .map_err(|error| StoreError::Unavailable(format!("{SERVER}: {}: {error}", file.name)))?;
    }
    Ok(())
}

async fn remembered(session: &Session, keyspace: &str) -> Result<Remembered, StoreError> {
    let select = async |columns: &str, table: &str| {
        let found = session.query_unpaged(format!("SELECT {columns} FROM {keyspace}.{table}"), ()).await;
        found.map_err(unavailable)?.into_rows_result().map_err(unavailable)
    };
    let files = select("version, checksum", "schema_files").await?;
    let values = select("name, value", "schema_values").await?;
    let files = files.rows::<(i32, String)>().map_err(unavailable)?;
    let files = files.map(|row| row.map(|(version, checksum)| (version.cast_unsigned(), checksum)));
    Ok(Remembered {
        files: files.collect::<Result<_, _>>().map_err(unavailable)?,
        values: values
            .rows::<(String, String)>()
            .map_err(unavailable)?
            .collect::<Result<_, _>>()
            .map_err(unavailable)?,
    })
}

pub(super) fn unavailable(error: impl Display) -> StoreError {
    StoreError::Unavailable(format!("{SERVER}: {error}"))
}
