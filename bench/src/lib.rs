//! The latency harness: what a run is reported as, the pages that show it, and the statistics that compare two.
//!
//! Nothing here sends an order or reads a store; the demo and the load generator do, and fill in a
//! [`report::Report`]. From there on all is pure, but for [`machine`], which reads `/proc`, `/sys` and git.

pub mod machine;
pub mod pairs;
pub mod report;
pub mod verdict;

pub mod figures;
pub mod html;
mod plots;
mod sales;
mod summary;
pub mod text;
