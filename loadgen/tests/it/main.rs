//! The generator against servers of each kind: HTTP/1.1 and HTTP/2, TLS, a Unix socket; open and closed; with limits,
//! workloads and reports; and what becomes of orders, whatever a server does. Servers are in this process, ports are free
//! ones, and nothing is timed.
#![cfg(test)]

mod binary;
mod cli;
mod limits;
mod outcomes;
mod report;
mod server;
mod servers;
mod targets;
mod workloads;
