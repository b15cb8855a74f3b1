//! ClickHouse's part of the schema: applying it, and checking it.

use super::{SERVER, all, client_without_database, judged, retention, within};
use crate::config;
use crate::store::StoreError;
use crate::store::schema::{CLICKHOUSE, Remembered, Report, SchemaFile, Values};
use clickhouse::Client;

/// What must not change under the data.
fn values(partitions: u32) -> Values {
    vec![("partitions", partitions.to_string())]
}

/// Applies what is not applied yet. Applying twice changes nothing.
///
/// # Errors
/// What the server says. What does not fit the data is no error but wrong in the report.
pub async fn apply(config: &config::ClickHouse, partitions: u32) -> Result<Report, StoreError> {
    let client = client_without_database(config);
    let mut report = Report::default();
    if let Some(base) = CLICKHOUSE.first() {
        run(&client, config, base).await?;
    }
    let database = &config.database;
    let remembered = remembered(&client, config).await?;
    for file in remembered.compare_files(SERVER, CLICKHOUSE, &mut report) {
        if file.version > 0 {
            run(&client, config, file).await?;
        }
        let sql = format!("INSERT INTO {database}.schema_files VALUES (?, ?, ?, now())");
        let query = client.query(&sql).bind(file.version).bind(file.name).bind(file.checksum());
        within(config, query.execute()).await.map_err(judged)?;
        report.lines.push(format!("{SERVER}: {} applied", file.name));
    }
    let values = values(partitions);
    for (name, value) in remembered.compare_values(SERVER, &values, &mut report) {
        let sql = format!("INSERT INTO {database}.schema_values VALUES (?, ?)");
        within(config, client.query(&sql).bind(name).bind(value).execute()).await.map_err(judged)?;
        report.lines.push(format!("{SERVER}: {name} = {value} from now on"));
    }
    retention::apply(&client, config, &mut report).await?;
    Ok(report)
}

/// Compares what is applied with what this build and this configuration want.
///
/// # Errors
/// Where the server does not answer.
pub async fn check(config: &config::ClickHouse, partitions: u32) -> Result<Report, StoreError> {
    let client = client_without_database(config);
    let sql = format!(
        "SELECT count() FROM system.tables WHERE database = '{}' AND name IN ('schema_files', 'schema_values')",
        config.database
    );
    let tables: Vec<u64> = all(&client, config, &sql).await?;
    if tables != [2] {
        let wrong =
            format!("{SERVER}: database {} has no schema; run `pipeline schema apply`", config.database);
        return Ok(Report { lines: Vec::new(), wrong: vec![wrong] });
    }
    let mut report = remembered(&client, config).await?.check(SERVER, CLICKHOUSE, &values(partitions));
    retention::check(&client, config, &mut report).await?;
    Ok(report)
}

async fn run(client: &Client, config: &config::ClickHouse, file: &SchemaFile) -> Result<(), StoreError> {
    for statement in file.statements(&[("database", &config.database)]) {
        within(config, client.query_raw(&statement).execute())
            .await
            .map_err(|error| StoreError::Unavailable(format!("{SERVER}: {}: {error}", file.name)))?;
    }
    Ok(())
}

async fn remembered(client: &Client, config: &config::ClickHouse) -> Result<Remembered, StoreError> {
    let database = &config.database;
    let files = format!("SELECT version, checksum FROM {database}.schema_files ORDER BY applied_at");
    let files: Vec<(u32, String)> = all(client, config, &files).await?;
    // Of two who applied at once and wrote different values, both see the lesser one.
    let values = format!("SELECT name, min(value) FROM {database}.schema_values GROUP BY name");
    let values: Vec<(String, String)> = all(client, config, &values).await?;
    Ok(Remembered { files: files.into_iter().collect(), values: values.into_iter().collect() })
}
