//! The load generator against servers of its own making. Needs nothing but loopback; the stall test takes 11 s.

// Each is marked as a test so that the lints that allow more in tests see their helpers, too.
#[cfg(test)]
mod binary;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stall;
