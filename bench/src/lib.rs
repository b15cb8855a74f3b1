//! The latency harness: what a run is reported as, the pages that show it, and the statistics that compare two.
//!
//! [`demo`] runs the embedded pipeline under load and fills in a [`report::Report`]. From there on all is pure, but for
//! [`machine`], which reads `/proc`, `/sys` and git.

pub mod child;
pub mod counts;
pub mod data;
pub mod demo;
pub mod faults;
pub mod floors;
pub mod machine;
pub mod pairs;
pub mod report;
pub mod stages;
pub mod verdict;

pub mod figures;
pub mod html;
mod plots;
mod sales;
mod summary;
pub mod text;
pub mod way;
