//! The generator against servers of each kind: HTTP/1.1 and HTTP/2, TLS, a Unix socket; open and closed; with limits,
//! workloads and reports. Servers are in this process, ports are free ones, and nothing is timed.
#![cfg(test)]

mod cli;
mod limits;
mod report;
mod servers;
mod targets;
mod workloads;
