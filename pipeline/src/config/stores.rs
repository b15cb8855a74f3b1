//! The sections of the two servers that the pipeline stores in.

use super::reader::Reader;
use super::{Authorities, Secret};
use std::time::Duration;

/// `[cassandra]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Cassandra {
    pub nodes: Vec<String>,
    pub keyspace: String,
    pub user: String,
    pub password: Secret,
    pub authorities: Option<Authorities>,
    pub datacenter: String,
    pub replication_factor: usize,
    pub retention: Duration,
    pub consistency: Consistency,
    pub compression: bool,
    pub buckets_per_partition: u32,
    pub batch_rows: usize,
    pub batch_bytes: usize,
    pub in_flight: usize,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    pub retry_pause: Duration,
    pub retry_pause_max: Duration,
    pub retry_for: Duration,
}

/// `[clickhouse]`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct ClickHouse {
    pub url: String,
    pub database: String,
    pub user: String,
    pub password: Secret,
    pub authorities: Option<Authorities>,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub answer_timeout: Duration,
    pub max_execution_time: Duration,
    pub keep_blocks: Duration,
    pub retention: Duration,
}

/// How many replicas must have acknowledged a write, or answered a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "Cassandra's own names")]
pub enum Consistency {
    One,
    Quorum,
    All,
    LocalOne,
    #[default]
    LocalQuorum,
    EachQuorum,
}

impl Consistency {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "one" => Self::One,
            "quorum" => Self::Quorum,
            "all" => Self::All,
            "local_one" => Self::LocalOne,
            "local_quorum" => Self::LocalQuorum,
            "each_quorum" => Self::EachQuorum,
            _ => return None,
        })
    }
}

impl Cassandra {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let names = "one, quorum, all, local_one, local_quorum or each_quorum";
        let config = Self {
            nodes: read.list("cassandra.nodes"),
            keyspace: read.text("cassandra.keyspace"),
            user: read.text("cassandra.user"),
            password: read.secret("cassandra.password"),
            authorities: read.authorities("cassandra.authorities"),
            datacenter: read.text("cassandra.datacenter"),
            replication_factor: read.count("cassandra.replication_factor"),
            retention: read.duration("cassandra.retention"),
            consistency: read
                .parsed("cassandra.consistency", names, Consistency::from_name)
                .unwrap_or_default(),
            compression: read.flag("cassandra.compression"),
            buckets_per_partition: u32::try_from(read.count("cassandra.buckets_per_partition"))
                .unwrap_or(u32::MAX),
            batch_rows: read.count("cassandra.batch_rows"),
            batch_bytes: read.bytes("cassandra.batch_bytes"),
            in_flight: read.count("cassandra.in_flight"),
            connect_timeout: read.duration("cassandra.connect_timeout"),
            request_timeout: read.duration("cassandra.request_timeout"),
            retry_pause: read.duration("cassandra.retry_pause"),
            retry_pause_max: read.duration("cassandra.retry_pause_max"),
            retry_for: read.duration("cassandra.retry_for"),
        };
        let built = config.authorities.is_none() || cfg!(feature = "cassandra-tls");
        read.require("cassandra.authorities", built, "a build with the feature cassandra-tls");
        let has_node = config.nodes.iter().any(|node| !node.is_empty());
        read.require("cassandra.nodes", has_node, "at least one node");
        read.require("cassandra.keyspace", is_name(&config.keyspace), NAME);
        read.require("cassandra.replication_factor", config.replication_factor > 0, "more than 0");
        // Cassandra's own limit is twenty years.
        let lives = config.retention.subsec_nanos() == 0 && config.retention.as_secs() <= 630_720_000;
        read.require("cassandra.retention", lives, "whole seconds, at most twenty years,");
        let buckets = (1..=1024).contains(&config.buckets_per_partition);
        read.require("cassandra.buckets_per_partition", buckets, "1 to 1024");
        // The protocol counts a batch's statements in 16 bits.
        read.require("cassandra.batch_rows", (1..=65_535).contains(&config.batch_rows), "1 to 65535");
        read.require("cassandra.batch_bytes", config.batch_bytes >= 1024, "at least 1KiB");
        // A connection has 32768 streams.
        read.require("cassandra.in_flight", (1..=16_384).contains(&config.in_flight), "1 to 16384");
        let pauses = config.retry_pause <= config.retry_pause_max && !config.retry_pause.is_zero();
        read.require("cassandra.retry_pause", pauses, "more than 0, and at most cassandra.retry_pause_max");
        config
    }
}

impl ClickHouse {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let config = Self {
            url: read.text("clickhouse.url"),
            database: read.text("clickhouse.database"),
            user: read.text("clickhouse.user"),
            password: read.secret("clickhouse.password"),
            authorities: read.authorities("clickhouse.authorities"),
            connect_timeout: read.duration("clickhouse.connect_timeout"),
            send_timeout: read.duration("clickhouse.send_timeout"),
            answer_timeout: read.duration("clickhouse.answer_timeout"),
            max_execution_time: read.duration("clickhouse.max_execution_time"),
            keep_blocks: read.duration("clickhouse.keep_blocks"),
            retention: read.duration("clickhouse.retention"),
        };
        let (scheme, other) =
            if config.authorities.is_some() { ("https", "without") } else { ("http", "with") };
        let is_url = config.url.starts_with(&format!("{scheme}://"));
        let wanted = format!("a URL that begins with {scheme}:// (the other {other} clickhouse.authorities)");
        read.require("clickhouse.url", is_url, &wanted);
        let open = !config.url.contains('@');
        read.require(
            "clickhouse.url",
            open,
            "clickhouse.user and clickhouse.password instead of a login in it",
        );
        read.require("clickhouse.database", is_name(&config.database), NAME);
        let whole = config.max_execution_time.subsec_nanos() == 0 && config.max_execution_time.as_secs() > 0;
        read.require("clickhouse.max_execution_time", whole, "whole seconds, at least one,");
        let lives = config.retention.subsec_nanos() == 0;
        read.require("clickhouse.retention", lives, "whole seconds");
        let later = config.answer_timeout > config.max_execution_time;
        read.require("clickhouse.answer_timeout", later, "longer than clickhouse.max_execution_time");
        config
    }
}

const NAME: &str = "a name of small letters, digits and _, which begins with a letter and has at most 48,";

/// Whether a name needs no quotes in either store.
fn is_name(name: &str) -> bool {
    name.len() <= 48
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quotes_are_none() {
        for name in ["sales", "test_1"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Sales", "1sales", "sales;", "sales orders", "_x", &"x".repeat(49)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
