//! The latency harness: what a run is reported as, the pages that show it, and the statistics that compare two.
//!
//! [`demo`] runs the embedded pipeline under load and fills in a [`report::Report`]. From there on all is pure, but for
//! [`machine`] and [`doctor::facts`], which read `/proc`, `/sys` and git.

pub mod ab;
pub mod child;
pub mod compare;
pub mod data;
pub mod demo;
pub mod doctor;
pub mod faults;
pub mod floors;
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
pub mod way;
