//! Observing: metrics under one list of names, latency by hop, health, and the management port that shows them.

pub mod access;
pub mod books;
mod copied;
pub mod counters;
pub mod enrich;
pub mod health;
pub mod hops;
pub mod kafka;
pub mod manage;
pub mod metrics;
pub mod process;
pub mod stores;
pub mod window;
