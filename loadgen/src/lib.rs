//! Placeholder.

pub mod payload;
