//! The tests of the whole way, from HTTP to what the stores say, written once. They run over the embedded way in
//! `tests/it` and over Kafka, Cassandra and ClickHouse in `tests/stack`: both include this folder, and each says by its
//! macro `over_this_way` what a test's place is.

pub mod crash;
pub mod http;
pub mod place;
pub mod process;
pub mod running;
pub mod wait;

mod checkpoint;
mod dead;
mod dimension;
mod lost;
mod orders;
mod rebuild;
mod records;
mod retries;
mod whereabouts;
