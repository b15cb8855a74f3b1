//! The rules that the sources keep and no lint knows: what may import what, who may name a driver, what is pure, how
//! long a file may be, and what its names may be. It reads text and runs nothing.
//!
//! A rule that does not suit is changed here, in the same commit as the code that it does not suit.

// Each is marked as a test so that the lints that allow more in tests see their helpers, too.
#[cfg(test)]
mod files;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod sources;
