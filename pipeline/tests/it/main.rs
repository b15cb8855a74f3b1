//! The integration tests of the pipeline. They need nothing but this machine: the embedded log and stores live in
//! folders of their own, one a test, and every server listens on a port of loopback that the system chooses.
//!
//! One test needs more and is ignored unless asked for: `disk_full` mounts a small file system.

// So that the lints see the helpers as tests, too.
#![cfg(test)]

mod corpus;
mod crash;
mod dimension;
mod disk_full;
mod doubled;
mod embedded;
mod foreign;
mod hostile;
mod invariants;
mod kafka;
mod linear;
mod log;
mod mutations;
mod openapi;
mod positions;
mod stores;
mod support;
