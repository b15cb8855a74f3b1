//! What the tests run on: a keyspace and a database of their own, and blocks to put there.

use pipeline::block::{Block, Builder};
use pipeline::config::{Config, Layers};
use pipeline::enrich::Customers;
use pipeline::log::LogRecord;
use pipeline::observe::metrics::Metrics;
use pipeline::store::StoreError;
use pipeline::store::server::{self, ServerBooks, ServerStores};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A day in 2026, in nanoseconds of Unix time.
pub const NOON: i64 = 1_795_348_800_000_000_000;
/// One test's keyspace and database.
pub struct Servers {
    pub config: Config,
    pub runtime: Runtime,
    pub metrics: Metrics,
}

impl Servers {
    /// A keyspace and a database with the schema applied.
    pub fn new(test: &str) -> Self {
        let servers = Self::bare(test, &[]);
        servers.run(server::apply(&servers.config)).unwrap().verdict().unwrap();
        servers
    }

    /// The names of a keyspace and a database that are not there, with more settings.
    pub fn bare(test: &str, settings: &[(&str, &str)]) -> Self {
        for name in ["PIPELINE_KAFKA_BROKERS", "PIPELINE_CASSANDRA_NODES", "PIPELINE_CLICKHOUSE_URL"] {
            assert!(
                std::env::var(name).is_ok(),
                "{name} must name a server: these tests check nothing without one"
            );
        }
        let name = format!("test_{test}_{}", std::process::id());
        let own = [
            ("cassandra.keyspace", name.as_str()),
            ("clickhouse.database", &name),
            // A server whose insert takes longer than four seconds would fail the test and not spoil it.
            ("clickhouse.max_execution_time", "4s"),
            ("clickhouse.answer_timeout", "10s"),
        ];
        let flags: Vec<_> =
            own.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::of(Config::read(&Layers::load(None, None, std::env::vars(), &flags).unwrap()).unwrap())
    }

    /// Those of a configuration.
    pub fn of(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self { config, runtime: runtime.unwrap(), metrics: Metrics::default() }
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub fn stores(&self) -> ServerStores {
        self.connect(&self.config).unwrap()
    }

    pub fn connect(&self, config: &Config) -> Result<ServerStores, StoreError> {
        let recipe = pipeline::wire::recipe(config);
        self.run(server::connect(config, &recipe, &self.metrics))
    }

    pub fn books(&self) -> ServerBooks {
        self.run(ServerBooks::connect(&self.config)).unwrap()
    }

    /// A session of the driver, to look past the product.
    pub fn session(&self) -> scylla::client::session::Session {
        let builder =
            scylla::client::session_builder::SessionBuilder::new().known_nodes(&self.config.cassandra.nodes);
        self.run(builder.build()).unwrap()
    }

    /// A client of the driver, to look past the product.
    pub fn client(&self) -> clickhouse::Client {
        let config = &self.config.clickhouse;
        clickhouse::Client::default()
            .with_url(&config.url)
            .with_user(&config.user)
            .with_password(config.password.expose())
            .with_database(&config.database)
    }

    /// One number that ClickHouse answers with.
    pub fn number(&self, sql: &str) -> u64 {
        self.run(self.client().query(sql).fetch_one::<u64>()).unwrap()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let keyspace = format!("DROP KEYSPACE IF EXISTS {}", self.config.cassandra.keyspace);
        let database = format!("DROP DATABASE IF EXISTS {} SYNC", self.config.clickhouse.database);
        let (session, client) = (self.session(), self.client().with_database("default"));
        let dropped = self.run(session.query_unpaged(keyspace, ()));
        let also = self.run(client.query(&database).execute());
        if !std::thread::panicking() {
            dropped.unwrap();
            also.unwrap();
        }
    }
}

/// The topic's id: one for each test, since tokens are query ids, and those are of a whole server.
pub fn topic(config: &Config) -> &str {
    &config.clickhouse.database
}

/// The body of an order of 10.00, two pieces, at noon.
pub fn order(id: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","customer_id":3,"source":"Online","quantity":2,"total":10,"created_at":"2026-11-22T12:00:00Z"}}"#
    )
}

/// A block of partition 3 of these bodies, the first one at offset `first`, all received at once.
pub fn block(config: &Config, first: i64, bodies: &[String]) -> Arc<Block> {
    block_received(config, first, bodies, NOON)
}

/// A block whose records were received at an instant.
pub fn block_received(config: &Config, first: i64, bodies: &[String], received_at: i64) -> Arc<Block> {
    let mut builder = Builder::new(pipeline::wire::recipe(config), topic(config), 3, first);
    let mut growing = builder.begin(first);
    for (body, offset) in bodies.iter().zip(first..) {
        let record = LogRecord { offset, key: None, value: body.clone().into(), received_at, due_at: None };
        builder.add(&mut growing, &record, &Customers::default());
    }
    Arc::new(growing.finish())
}

/// A block of orders with these ids.
pub fn block_of(config: &Config, first: i64, ids: &[&str]) -> Arc<Block> {
    block(config, first, &ids.iter().map(|id| order(id)).collect::<Vec<_>>())
}
