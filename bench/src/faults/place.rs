//! A topic, a keyspace and a database of an injection's own, or a folder, and the processes that work on them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pipeline::config::{Config, Layers};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::runtime::Runtime;

use super::catalogue::Part;
use super::slot::Slot;
use super::stack::Addresses;
use crate::child;
use crate::machine::Usage;

/// Time-outs of a suite that has many faults to try. What they are by default holds for the same reasons: a reply waits
/// for longer than a delivery, an answer of ClickHouse's for longer than its own limit.
pub const SHORT: [&str; 17] = [
    "observe.log=info",
    "log.delivery_timeout=3s",
    "receive.reply_timeout=5s",
    "kafka.timeout=3s",
    "kafka.client.reconnect.backoff.max.ms=1000",
    "kafka.client.socket.timeout.ms=10000",
    "process.block_interval=200ms",
    "process.retry_pause_max=1s",
    "cassandra.connect_timeout=2s",
    "cassandra.request_timeout=2s",
    "cassandra.retry_pause_max=500ms",
    "cassandra.retry_for=5s",
    "clickhouse.connect_timeout=2s",
    "clickhouse.send_timeout=3s",
    "clickhouse.answer_timeout=6s",
    "clickhouse.max_execution_time=4s",
    "shutdown.drain_timeout=20s",
];

/// Time-outs of whoever looks at the data afterwards: a machine that is busy is no difference in the books.
const PATIENT: [&str; 4] = [
    "kafka.timeout=60s",
    "cassandra.connect_timeout=60s",
    "cassandra.request_timeout=120s",
    "clickhouse.answer_timeout=120s",
];

/// Where an injection's data are, and its processes.
pub struct Place {
    /// The folder for its logs and outcomes.
    pub folder: PathBuf,
    /// The configuration with which it is looked at past all proxies.
    pub config: Config,
    /// Where its servers are; none where it is embedded.
    pub addresses: Option<Addresses>,
    /// Its processes, ingests first.
    pub slots: Vec<Slot>,
    /// What runs the clients with which it is looked at.
    pub runtime: Runtime,
    settings: Vec<String>,
    mark: String,
}

impl Place {
    /// A new place on servers, with the schema applied, or an embedded one, with more settings.
    ///
    /// # Errors
    /// Where the schema cannot be applied.
    pub fn new(
        folder: &Path,
        name: &str,
        mark: &str,
        addresses: Option<&Addresses>,
        more: &[&str],
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        let mut settings: Vec<String> = more.iter().map(|setting| (*setting).to_owned()).collect();
        let mut direct = Vec::new();
        match addresses {
            None => {
                let data_dir = folder.join("data");
                settings.extend([
                    "mode=embedded".to_owned(),
                    format!("embedded.data_dir={}", data_dir.display()),
                ]);
            }
            Some(addresses) => {
                settings.extend([
                    "mode=servers".to_owned(),
                    format!("kafka.topic={name}"),
                    format!("kafka.dead_topic={name}.dead"),
                    format!("kafka.group={name}"),
                    format!("cassandra.keyspace={name}"),
                    format!("clickhouse.database={name}"),
                ]);
                if addresses.kafka.len() > 1 {
                    let copies = ["kafka.replication_factor=3", "kafka.min_insync_replicas=2"];
                    settings.extend(copies.map(str::to_owned));
                }
                let brokers: Vec<_> = addresses.kafka.iter().map(ToString::to_string).collect();
                direct.extend([
                    format!("kafka.brokers={}", brokers.join(",")),
                    format!("cassandra.nodes={}", addresses.cassandra),
                    format!("clickhouse.url=http://{}", addresses.clickhouse),
                ]);
            }
        }
        direct.extend(PATIENT.map(str::to_owned));
        let all: Vec<String> = settings.iter().chain(&direct).cloned().collect();
        if addresses.is_some() {
            child::complete("schema apply", &all)?;
        }
        let flag =
            |setting: &String| setting.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let flags: Vec<_> = all.iter().filter_map(flag).collect();
        let profile = addresses.is_none().then_some("embedded");
        let config = Config::read(&Layers::load(profile, None, std::iter::empty(), &flags)?)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            addresses: addresses.cloned(),
            slots: Vec::new(),
            runtime,
            settings,
            mark: mark.to_owned(),
        })
    }

    /// Adds a process, which is not started yet, and returns its place.
    ///
    /// # Errors
    /// Where its proxies cannot be started.
    pub fn add(&mut self, part: Part) -> Result<usize> {
        let name = format!("{part:?}-{}", self.slots.len()).to_lowercase();
        let slot = Slot::new(part, &name, &self.folder, &self.settings, self.addresses.as_ref())?;
        self.slots.push(slot);
        Ok(self.slots.len() - 1)
    }

    /// A process.
    ///
    /// # Errors
    /// Where there is none of that place.
    pub fn slot(&mut self, at: usize) -> Result<&mut Slot> {
        self.slots.get_mut(at).with_context(|| format!("there is no process {at}"))
    }

    /// The place of the first process of a part.
    ///
    /// # Errors
    /// Where there is none.
    pub fn first(&self, part: Part) -> Result<usize> {
        self.slots.iter().position(|slot| slot.part == part).with_context(|| format!("there is no {part:?}"))
    }

    /// Starts a process.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(&mut self, at: usize) -> Result<()> {
        let mark = self.mark.clone();
        self.slot(at)?.start(&mark)
    }

    /// Starts again what has ended by itself.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn supervise(&mut self) -> Result<()> {
        self.slots.iter_mut().try_for_each(|slot| slot.supervise(&self.mark))
    }

    /// Where orders are posted.
    pub fn fronts(&self) -> Vec<std::net::SocketAddr> {
        self.slots.iter().filter_map(Slot::front).collect()
    }

    /// The sum of a metric over all processes that answer.
    pub fn metric(&self, name: &str) -> f64 {
        self.slots.iter().filter_map(|slot| slot.process()?.metric(name).ok()).sum()
    }

    /// What each process has used.
    pub fn usage(&self) -> Vec<Usage> {
        self.slots.iter().filter_map(|slot| slot.process()?.usage().ok()).collect()
    }

    /// Stops all processes in an orderly way, ingests first.
    ///
    /// # Errors
    /// Where one does not end well.
    pub fn stop(&mut self) -> Result<()> {
        self.slots.iter_mut().try_for_each(Slot::stop)
    }

    /// Deletes the topics, the keyspace and the database. That something is left harms no later injection.
    pub fn drop_data(&mut self) {
        let Some(addresses) = &self.addresses else { return };
        let config = &self.config;
        let sql = format!("DROP DATABASE IF EXISTS {} SYNC", config.clickhouse.database);
        let cql = format!("DROP KEYSPACE IF EXISTS {}", config.cassandra.keyspace);
        let url = format!("http://{}", addresses.clickhouse);
        let node = addresses.cassandra.to_string();
        let (topic, dead) = (config.kafka.topic.clone(), config.kafka.dead_topic.clone());
        let client = ClientConfig::new().set("bootstrap.servers", &config.kafka.brokers).create();
        let drop = async move {
            let clickhouse = clickhouse::Client::default().with_url(url);
            let _ = clickhouse.query(&sql).execute().await;
            let builder = scylla::client::session_builder::SessionBuilder::new().known_node(node);
            if let Ok(session) = builder.build().await {
                let _ = session.query_unpaged(cql, ()).await;
            }
            let admin: Result<AdminClient<DefaultClientContext>, _> = client;
            if let Ok(admin) = admin {
                let _ = admin.delete_topics(&[&topic, &dead], &AdminOptions::new()).await;
            }
        };
        let within = std::time::Duration::from_secs(30);
        let _ = self.runtime.block_on(async { tokio::time::timeout(within, drop).await });
    }
}
