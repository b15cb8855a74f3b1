//! Tillflow's pipeline: sales orders over HTTP into a durable log, and from there into orders and sales per minute.

pub mod outcomes;
