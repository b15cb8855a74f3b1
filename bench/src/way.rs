//! The way that a run goes: embedded, in one process, or over the servers of a stack, with ingest and processor apart.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use pipeline::config::Config;
use pipeline::observe::hops::seconds::Taken;
use serde::{Deserialize, Serialize};

use crate::child::{self, Pipeline};
use crate::floors::cassandra::drop_keyspace;
use crate::floors::clickhouse::drop_database;
use crate::floors::kafka::delete_topics;

/// Names a server of the log, if it is set: then a stack is there already, whoever brought it up.
const BROKERS: &str = "PIPELINE_KAFKA_BROKERS";
/// What brings the native stack up, and says where it is.
pub const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/native/stack");
/// The versions that all ways of bringing a stack up install.
const VERSIONS: &str = include_str!("../../deploy/versions.env");

/// Where log and stores are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Two SQLite files.
    Embedded,
    /// Kafka, Cassandra and ClickHouse, as `deploy/native/stack` or the environment says.
    Native,
}

impl Way {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Native => "native",
        }
    }

    /// The names of the pipeline's own processes.
    pub const fn processes(self) -> &'static [&'static str] {
        match self {
            Self::Embedded => &["embedded"],
            Self::Native => &["ingest", "process"],
        }
    }

    /// The settings that give a run a place of its own: a folder, or a topic, a keyspace and a database.
    ///
    /// # Errors
    /// Where the stack is not up.
    pub fn place(self, data_dir: &Path, run: &str) -> Result<Vec<String>> {
        match self {
            Self::Embedded => {
                let data_dir = format!("embedded.data_dir={}", data_dir.display());
                Ok(vec!["mode=embedded".to_owned(), data_dir])
            }
            Self::Native => {
                let mut settings =
                    if std::env::var_os(BROKERS).is_some() { Vec::new() } else { addresses()? };
                settings.extend([
                    "mode=servers".to_owned(),
                    format!("kafka.topic={run}"),
                    format!("kafka.dead_topic={run}.dead"),
                    format!("kafka.group={run}"),
                    format!("cassandra.keyspace={run}"),
                    format!("clickhouse.database={run}"),
                ]);
                Ok(settings)
            }
        }
    }

    /// The versions of what a run goes through.
    pub fn services(self) -> BTreeMap<String, String> {
        let mut services = BTreeMap::from([("tillflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        if self == Self::Native {
            let known = [("kafka", "KAFKA_VERSION"), ("cassandra", "CASSANDRA_VERSION")];
            for (service, key) in known.into_iter().chain([("clickhouse", "CLICKHOUSE_VERSION")]) {
                let value = VERSIONS.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
                services.insert(service.to_owned(), value.unwrap_or("unknown").to_owned());
            }
        }
        services
    }

    /// Starts what a run needs, with settings as `key=value`.
    ///
    /// # Errors
    /// Where something does not start.
    pub fn start(self, settings: &[String]) -> Result<Running> {
        match self {
            Self::Embedded => {
                Ok(Running { parts: vec![("embedded", Pipeline::start("embedded", settings)?)] })
            }
            Self::Native => {
                child::complete("schema apply", settings)?;
                let ingest = Pipeline::start("ingest", settings)?;
                let process = Pipeline::start("process", settings)?;
                Ok(Running { parts: vec![("ingest", ingest), ("process", process)] })
            }
        }
    }

    /// Deletes the topics, the keyspace and the database that [`Way::place`] gave a run, so that the next one does not find
    /// fuller servers. What cannot be deleted is told and stays. An embedded run's folder belongs to whoever named it.
    #[expect(clippy::print_stderr, reason = "what was measured is not given up for what was left behind")]
    pub async fn drop_data(self, config: &Config, run: &str) {
        if self == Self::Embedded || !is_own(config, run) {
            return;
        }
        let dropped = [
            delete_topics(config).await,
            drop_keyspace(&config.cassandra).await,
            drop_database(&config.clickhouse).await,
        ];
        for error in dropped.into_iter().filter_map(Result::err) {
            eprintln!("left behind on the servers: {error:#}");
        }
    }
}

/// Whether all places are the run's own: a setting may have named others, which are somebody's.
fn is_own(config: &Config, run: &str) -> bool {
    let named = [&config.kafka.topic, &config.cassandra.keyspace, &config.clickhouse.database];
    named.iter().all(|name| *name == run) && config.kafka.dead_topic == format!("{run}.dead")
}

/// Where the native stack's servers are, as settings.
fn addresses() -> Result<Vec<String>> {
    let output = Command::new(STACK)
        .arg("env")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run deploy/native/stack")?;
    if !output.status.success() {
        bail!("there is no stack: `deploy/native/stack up` brings one up");
    }
    let setting = |line: &str| {
        let (name, value) = line.strip_prefix("export PIPELINE_")?.split_once('=')?;
        Some(format!("{}={}", name.to_lowercase().replacen('_', ".", 1), value.trim_matches('\'')))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(setting).collect())
}

/// The processes of the native stack's servers, by name; none if the stack is another.
///
/// # Errors
/// Where the stack cannot be asked.
pub fn servers() -> Result<Vec<(String, u32)>> {
    let output = Command::new(STACK)
        .arg("status")
        .stdin(Stdio::null())
        .output()
        .context("failed to run deploy/native/stack")?;
    let server = |line: &str| {
        let mut fields = line.split_whitespace();
        let (name, _state, pid) = (fields.next()?, fields.next()?, fields.next()?);
        Some((name.to_owned(), pid.parse().ok()?))
    };
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(server).collect())
}

/// The processes of a run, in the order of the way.
#[derive(Debug)]
pub struct Running {
    parts: Vec<(&'static str, Pipeline)>,
}

impl Running {
    /// Where orders are posted.
    ///
    /// # Errors
    /// Where none of them takes any.
    pub fn url(&self) -> Result<String> {
        self.parts.first().context("nothing was started")?.1.url()
    }

    /// Orders that have come to an end in the stores: stored, found to be duplicates, or dead.
    ///
    /// # Errors
    /// Where a process does not answer.
    pub fn ended_orders(&self) -> Result<f64> {
        let names =
            ["tillflow_store_orders_total", "tillflow_parse_duplicates_total", "tillflow_parse_dead_total"];
        self.parts.iter().map(|(_, part)| part.metrics(&names)).sum()
    }

    /// Takes the latencies to each hop that were recorded since they were last taken, each from the process that
    /// knows it.
    ///
    /// # Errors
    /// Where a process does not answer.
    pub fn take_hops(&self) -> Result<Taken> {
        let mut all = Taken::default();
        for (_, part) in &self.parts {
            all.add(Taken::decode(&part.post("/hops/seconds")?).map_err(anyhow::Error::msg)?);
        }
        Ok(all)
    }

    /// The id of each process.
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        self.parts.iter().map(|(name, part)| (*name, part.pid())).collect()
    }

    /// Stops them in the order of the way, each draining.
    ///
    /// # Errors
    /// Where one does not end in time, or not well.
    pub fn stop(self) -> Result<()> {
        for (name, part) in self.parts {
            let status: ExitStatus = part.stop()?;
            if !status.success() {
                bail!("the pipeline's {name} ended with {status}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::config::Layers;

    #[test]
    fn places_that_a_setting_names_are_not_the_run_s_to_delete() {
        let mut config = Config::read(&Layers::load(None, None, [], &[]).unwrap()).unwrap();
        assert!(!is_own(&config, "run_7"));
        (config.kafka.topic, config.kafka.dead_topic) = ("run_7".to_owned(), "run_7.dead".to_owned());
        (config.cassandra.keyspace, config.clickhouse.database) = ("run_7".to_owned(), "run_7".to_owned());
        assert!(is_own(&config, "run_7"));
        config.clickhouse.database = "sales".to_owned();
        assert!(!is_own(&config, "run_7"));
    }
}
