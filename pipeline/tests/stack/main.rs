//! The pipeline over real servers: the tests of the whole way, and those of the two stores. Every test has a topic, a
//! keyspace and a database of its own, and drops them.
//!
//! They are ignored unless asked for, and fail where the servers are not named. On the native stack:
//! `eval "$(deploy/native/stack env)" && cargo test -p pipeline --test stack -- --ignored --test-threads=3`

// So that the lints see the helpers as tests, too.
#![cfg(test)]

/// Makes a test of each function that takes a place: here one on Kafka, Cassandra and ClickHouse.
macro_rules! over_this_way {
    ($($test:ident),* $(,)?) => {
        mod over_servers {
            use crate::separate::Separate;
            use crate::ways::place::Place;
            $(#[test]
            #[ignore = "needs the servers"]
            fn $test() {
                super::$test(&Place::on(Separate::new(stringify!($test))));
            })*
        }
    };
}

mod cassandra;
mod clickhouse;
mod exactly_once;
mod neighbours;
mod proxy;
mod schema;
mod separate;
mod servers;
#[path = "../ways/mod.rs"]
mod ways;
