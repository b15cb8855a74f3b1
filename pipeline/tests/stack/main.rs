//! The stores of the two servers, on real servers. Every test has a keyspace and a database of its own, and drops them.
//!
//! They are ignored unless asked for, and fail where the servers are not named:
//! `PIPELINE_CASSANDRA_NODES=127.0.0.1:9042 PIPELINE_CLICKHOUSE_URL=http://127.0.0.1:8123 cargo test -p pipeline --test
//! stack -- --ignored`

// So that the lints see the helpers as tests, too.
#![cfg(test)]

mod cassandra;
mod clickhouse;
mod exactly_once;
mod proxy;
mod schema;
mod servers;
