//! Tillflow's pipeline: sales orders over HTTP into a durable log, and from there into orders and sales per minute.

mod backoff;
pub mod block;
pub mod cli;
pub mod config;
pub mod consume;
pub mod dead;
mod deadline;
pub mod enrich;
pub mod ledger;
pub mod log;
pub mod money;
mod numbers;
pub mod observe;
pub mod order;
pub mod outcomes;
pub mod parse;
pub mod position;
pub mod publish;
pub mod rebuild;
pub mod receive;
pub mod rollup;
pub mod store;
pub mod time;
pub mod validate;
pub mod whereabouts;
pub mod window;
pub mod wire;
