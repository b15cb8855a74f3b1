//! An open-loop load generator: each request is due at an instant that does not depend on the server, and its latency
//! counts from that instant, never from the moment at which it could be sent.
//!
//! [`run::run`] takes a [`plan::Plan`] and a payload, and returns what it measured and what became of each order.
//! Modules in reading order: the schedule is pure; a timer keeps it; connections send; outcomes are read from replies;
//! latencies are measured; one shard a thread puts these together; unsettled orders are sent again; a run joins all of
//! it and judges whether it can be trusted; reports are for people and programs.

pub mod schedule;
pub mod timer;

pub mod payload;
pub mod plan;
pub mod target;

mod connection;
mod outcome;

pub mod gauges;
pub mod measure;

mod retry;
mod shard;

pub mod run;
mod validity;

pub mod report;
mod text;
pub mod void;
