//! The load generator against servers of its own making. Needs nothing but loopback. The stall has a program of its own, so
//! that cargo runs it alone.
// Each is marked as a test so that the lints that allow more in tests see their helpers, too.
#[cfg(test)]
mod binary;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod server;
