//! The configuration: defaults compiled in, then a file, then the environment, then flags; every error listed at once.

mod access;
mod authorities;
mod kafka;
mod layers;
mod mode;
mod reader;
mod retention;
mod secret;
mod stores;

pub use access::{Access, TlsFiles};
pub use authorities::Authorities;
pub use kafka::Kafka;
pub use layers::{Layers, Source};
pub use mode::Mode;
pub use secret::{Secret, Settings, is_secret};
pub use stores::{Cassandra, ClickHouse, Consistency};

use crate::money::Currency;
use crate::order::Rules;
use reader::Reader;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the configuration has {} error(s):", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(out, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The typed configuration. Each field is the key of the same name in `default.toml`, which says what it means.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where log and stores are.
    pub mode: Mode,
    /// What decides verdicts.
    pub rules: Rules,
    /// The categories that are counted under their own name; `None` takes any.
    pub categories: Option<Vec<String>>,
    /// The customers dimension's file; `None` is the one compiled in.
    pub customers: Option<PathBuf>,
    /// How often that file is looked at.
    pub customers_reload: Duration,
    /// Taking orders.
    pub receive: Receive,
    /// The management port.
    pub manage: Option<SocketAddr>,
    /// The log.
    pub log: Log,
    /// Kafka, where the log is there.
    pub kafka: Kafka,
    /// The processor.
    pub process: Process,
    /// The orders store's server.
    pub cassandra: Cassandra,
    /// The rollups' server.
    pub clickhouse: ClickHouse,
    /// The embedded files.
    pub embedded: Embedded,
    /// How long a stop may take.
    pub drain_timeout: Duration,
    /// Log directives.
    pub log_directives: String,
    /// Whether logs are JSON.
    pub log_json: bool,
}

/// `[receive]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Receive {
    pub listen: SocketAddr,
    pub access: Access,
    pub threads: usize,
    pub max_connections: usize,
    pub max_body_bytes: usize,
    pub max_orders_per_request: usize,
    pub max_in_flight_bytes: usize,
    pub max_in_flight_requests: usize,
    pub max_head_bytes: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub write_timeout: Duration,
    pub reply_timeout: Duration,
}

/// `[log]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Log {
    pub partitions: u32,
    pub delivery_timeout: Duration,
    pub max_queue_bytes: usize,
}

/// `[process]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Process {
    pub block_records: usize,
    pub block_bytes: usize,
    pub block_interval: Duration,
    pub window: usize,
    pub retry_pause: Duration,
    pub retry_pause_max: Duration,
}

/// `[embedded]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Embedded {
    pub data_dir: PathBuf,
    pub commit_records: usize,
    pub commit_interval: Duration,
    pub cache_bytes: usize,
}

impl Config {
    /// Reads the typed configuration out of its layers.
    ///
    /// # Errors
    /// All that is wrong, each with its key, its source and what is wanted.
    pub fn read(layers: &Layers) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(layers);
        let currency = read.parsed("order.currency", "a code of ISO 4217", Currency::from_code);
        let currency = currency.or_else(|| Currency::from_code("USD"));
        let Some(currency) = currency else { return Err(ConfigErrors(vec!["USD is no currency".into()])) };
        let categories = read.list("order.categories");
        let mode = read.parsed("mode", "embedded or servers", Mode::from_name);
        let config = Self {
            mode: mode.unwrap_or(Mode::Embedded),
            rules: Rules {
                sources: read.list("order.sources").into_iter().collect(),
                currency,
                default_price: read.text("order.default_price"),
                max_order_bytes: read.bytes("order.max_bytes"),
            },
            categories: (!categories.iter().any(|name| name == "*")).then_some(categories),
            customers: Some(PathBuf::from(read.text("order.customers")))
                .filter(|path| !path.as_os_str().is_empty()),
            customers_reload: read.duration("order.customers_reload"),
            receive: Receive {
                listen: read.address("receive.listen"),
                access: Access::read(&mut read),
                threads: read.count("receive.threads"),
                max_connections: read.count("receive.max_connections"),
                max_body_bytes: read.bytes("receive.max_body_bytes"),
                max_orders_per_request: read.count("receive.max_orders_per_request"),
                max_in_flight_bytes: read.bytes("receive.max_in_flight_bytes"),
                max_in_flight_requests: read.count("receive.max_in_flight_requests"),
                max_head_bytes: read.bytes("receive.max_head_bytes"),
                head_timeout: read.duration("receive.head_timeout"),
                body_timeout: read.duration("receive.body_timeout"),
                write_timeout: read.duration("receive.write_timeout"),
                reply_timeout: read.duration("receive.reply_timeout"),
            },
            manage: if read.text("manage.listen").is_empty() {
                None
            } else {
                Some(read.address("manage.listen"))
            },
            log: Log {
                partitions: u32::try_from(read.count("log.partitions")).unwrap_or(u32::MAX),
                delivery_timeout: read.duration("log.delivery_timeout"),
                max_queue_bytes: read.bytes("log.max_queue_bytes"),
            },
            kafka: Kafka::read(&mut read),
            process: Process {
                block_records: read.count("process.block_records"),
                block_bytes: read.bytes("process.block_bytes"),
                block_interval: read.duration("process.block_interval"),
                window: read.count("process.window"),
                retry_pause: read.duration("process.retry_pause"),
                retry_pause_max: read.duration("process.retry_pause_max"),
            },
            cassandra: Cassandra::read(&mut read),
            clickhouse: ClickHouse::read(&mut read),
            embedded: Embedded {
                data_dir: PathBuf::from(read.text("embedded.data_dir")),
                commit_records: read.count("embedded.commit_records"),
                commit_interval: read.duration("embedded.commit_interval"),
                cache_bytes: read.bytes("embedded.cache_bytes"),
            },
            drain_timeout: read.duration("shutdown.drain_timeout"),
            log_directives: read.text("observe.log"),
            log_json: match read.text("observe.log_format").as_str() {
                "json" => true,
                "text" => false,
                _ => {
                    read.wrong("observe.log_format", "text or json");
                    false
                }
            },
        };
        config.check(&mut read);
        read.finish(config)
    }

    /// What no single value can show: ranges, and values that must fit each other.
    fn check(&self, read: &mut Reader<'_>) {
        let receive = &self.receive;
        read.require("order.sources", !self.rules.sources.is_empty(), "at least one source");
        let priced = self.rules.currency.parse(&self.rules.default_price).is_ok();
        read.require("order.default_price", priced, "a decimal that order.currency can express");
        // The topic takes batches of 1048588 bytes, and an order has a key, headers and a frame beside it.
        let length = (64..=1_000_000).contains(&self.rules.max_order_bytes);
        read.require("order.max_bytes", length, "64 to 1000000 bytes");
        for (key, count) in [
            ("receive.max_connections", receive.max_connections),
            ("receive.max_orders_per_request", receive.max_orders_per_request),
            ("receive.max_in_flight_requests", receive.max_in_flight_requests),
            ("process.block_records", self.process.block_records),
            ("process.block_bytes", self.process.block_bytes),
            ("process.window", self.process.window),
            ("embedded.commit_records", self.embedded.commit_records),
        ] {
            read.require(key, count > 0, "more than 0");
        }
        read.require("log.partitions", (1..=1024).contains(&self.log.partitions), "1 to 1024");
        read.require("process.window", self.process.window <= 1 << 26, "at most 67108864");
        // ClickHouse makes one part of an insert up to about as many rows, and a block must be one part.
        read.require("process.block_records", self.process.block_records <= 1_000_000, "at most 1000000");
        read.require("receive.max_head_bytes", receive.max_head_bytes >= 8192, "at least 8KiB");
        let body = receive.max_body_bytes;
        read.require(
            "receive.max_body_bytes",
            body >= self.rules.max_order_bytes,
            "at least order.max_bytes",
        );
        let room = receive.max_in_flight_bytes >= body && self.log.max_queue_bytes >= body;
        read.require(
            "receive.max_body_bytes",
            room,
            "at most receive.max_in_flight_bytes and log.max_queue_bytes",
        );
        let longer = receive.reply_timeout > self.log.delivery_timeout;
        read.require("receive.reply_timeout", longer, "longer than log.delivery_timeout");
        self.kafka.check(read);
        self.check_retention(read);
        let prompt = self.embedded.commit_interval < self.log.delivery_timeout;
        read.require("embedded.commit_interval", prompt, "shorter than log.delivery_timeout");
        let pauses = self.process.retry_pause <= self.process.retry_pause_max;
        read.require("process.retry_pause", pauses, "at most process.retry_pause_max");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn flags(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Layers::load(None, None, [], &pairs).and_then(|layers| Config::read(&layers))
    }

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        let config = flags(&[]).unwrap();
        assert_eq!(config.process.block_interval, Duration::from_secs(1));
        assert_eq!(config.rules.max_order_bytes, 65_536);
    }

    #[test]
    fn every_error_is_listed_at_once() {
        let errors = flags(&[
            ("receive.listen", "nowhere"),
            ("log.partitions", "0"),
            ("order.currency", "ZZZ"),
            ("receive.reply_timeout", "5s"),
            ("process.block_interval", "soon"),
            ("receive.max_body_bytes", "1TB"),
            ("log.paritions", "3"),
        ]);
        let text = errors.unwrap_err().to_string();
        for part in [
            "receive.listen",
            "log.partitions",
            "order.currency",
            "receive.reply_timeout",
            "process.block_interval",
            "receive.max_body_bytes",
            "log.paritions",
            "did you mean log.partitions?",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
}
