//! An open-loop load generator: each request is due at an instant that does not depend on the server, and its latency
//! counts from that instant, never from the moment at which it could be sent.
//!
//! [`run::run`] takes a [`plan::Plan`] and a payload, and returns what it measured and what became of each order.
//! Modules in reading order: the schedule is pure; a timer keeps it; a workload is a file that says what to send;
//! connections send; outcomes are read from replies; latencies are measured; one shard a thread puts these together;
//! unsettled orders are sent again; a run joins all of it and judges whether it can be trusted; reports, logs and
//! metrics are for people and programs; and the generator measures and tests itself.
//!
//! # What the figures mean
//! - Delay is due -> sent, service is sent -> reply fully read, response is due -> reply fully read. All three hold the
//!   same requests: each that was handed to a connection at its first sending, whatever the reply said, and a request
//!   without a reply until it was given up. Requests that found no connection to the server have no latency; they are
//!   failed, and such a run is not valid. Orders that were refused at first are counted beside the latencies.
//! - A batch counts once for each of its orders, so `count` is orders. They share one due instant and one reply: a
//!   batched run has fewer independent observations than its count suggests.
//! - No request is skipped. When all connections are busy a request waits, and its delay says how long. What could not
//!   be sent within the time limit of one request after the schedule's end is due and not sent, and the run not valid.
//! - `sent = accepted + rejected + failed + unknown`, always.

pub mod schedule;
pub mod timer;

mod bodies;
pub mod payload;
pub mod plan;
pub mod target;
mod tls;
pub mod workload;

mod connection;
mod outcome;

pub mod gauges;
pub mod measure;

mod retry;
mod shard;

mod result;
pub mod run;
mod validity;

pub mod live;
pub mod log;
pub mod metrics;
pub mod report;
mod text;

pub mod calibrate;
pub mod stall;
pub mod void;
