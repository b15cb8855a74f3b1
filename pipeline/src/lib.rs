//! Tillflow's pipeline: sales orders over HTTP into a durable log, and from there into orders and sales per minute.

pub mod config;
pub mod money;
mod numbers;
pub mod order;
pub mod outcomes;
pub mod parse;
pub mod time;
