//! Tillflow's pipeline: sales orders over HTTP into a durable log, and from there into orders and sales per minute.

pub mod block;
pub mod config;
pub mod enrich;
pub mod log;
pub mod money;
mod numbers;
pub mod order;
pub mod outcomes;
pub mod parse;
pub mod rollup;
pub mod store;
pub mod time;
pub mod window;
