//! The shape of librdkafka's statistics.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The part of librdkafka's statistics that is shown (its STATISTICS.md says what each means).
#[derive(Deserialize)]
pub(super) struct Statistics {
    pub(super) msg_cnt: i64,
    pub(super) msg_size: i64,
    #[serde(default)]
    pub(super) brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) cgrp: Option<Coordinator>,
}

/// What a member of a group knows of the group's coordinator.
#[derive(Deserialize)]
pub(super) struct Coordinator {
    pub(super) state: String,
    /// Milliseconds since the state changed.
    #[serde(default)]
    pub(super) stateage: u64,
}

#[derive(Deserialize)]
pub(super) struct Broker {
    pub(super) nodeid: i64,
    pub(super) state: String,
    #[serde(default)]
    pub(super) outbuf_cnt: i64,
    #[serde(default)]
    pub(super) waitresp_cnt: i64,
    #[serde(default)]
    pub(super) txretries: i64,
    #[serde(default)]
    pub(super) req_timeouts: i64,
    #[serde(default)]
    pub(super) txbytes: i64,
    #[serde(default)]
    pub(super) rxbytes: i64,
    #[serde(default)]
    pub(super) rtt: Window,
    #[serde(default)]
    pub(super) throttle: Window,
}

/// Microseconds for `rtt`, milliseconds for `throttle`.
#[derive(Deserialize, Default)]
pub(super) struct Window {
    pub(super) p99: i64,
}

#[derive(Deserialize)]
pub(super) struct Topic {
    #[serde(default)]
    pub(super) partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
pub(super) struct Partition {
    pub(super) partition: i32,
    #[serde(default)]
    pub(super) fetchq_cnt: i64,
    #[serde(default)]
    pub(super) fetchq_size: i64,
    #[serde(default)]
    pub(super) desired: bool,
}
