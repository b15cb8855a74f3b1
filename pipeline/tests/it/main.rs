//! The integration tests of the pipeline. They need nothing but this machine: the embedded log and stores live in
//! folders of their own, one a test, and every server listens on a port of loopback that the system chooses.
//!
//! One test needs more and is ignored unless asked for: `disk_full` mounts a small file system.

// So that the lints see the helpers as tests, too.
#![cfg(test)]

/// Makes a test of each function that takes a place: here a folder of the embedded way.
macro_rules! over_this_way {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            use crate::embedded::Embedded;
            use crate::ways::place::Place;
            $(#[test]
            fn $test() {
                super::$test(&Place::on(Embedded::new()));
            })*
        }
    };
}

mod access;
mod answers;
mod corpus;
mod disk_full;
mod doubled;
mod embedded;
mod hostile;
mod invariants;
mod kafka;
mod linear;
mod log;
mod mutations;
mod one_process;
mod openapi;
mod outcomes;
mod positions;
mod secrets;
mod stores;
mod support;
#[path = "../ways/mod.rs"]
mod ways;
