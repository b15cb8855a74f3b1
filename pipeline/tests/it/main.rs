//! The integration tests of the pipeline. They need nothing but this machine: the embedded log and stores live in
//! folders of their own, one a test, and every server listens on a port of loopback that the system chooses.

#![cfg(test)]

mod corpus;
mod embedded;
mod hostile;
mod invariants;
mod linear;
mod mutations;
mod openapi;
mod support;
