//! The latency harness: what a run is reported as, the pages that show it, and the statistics that compare two.
//!
//! A [`case`] says what to run; [`latency`] runs it, [`capacity`] searches with it. [`run`] is one measured run: it drives
//! the pipeline under load and fills in a [`report::Report`]; several make a [`measurement::Measurement`] in a result
//! [`folder`]. From the runs on all is pure, but for [`machine`], [`used`] and [`doctor::facts`], which read
//! `/proc`, `/sys` and git.

pub mod capacity;
pub mod case;
pub mod latency;
pub mod run;

pub mod ab;
pub mod child;
pub mod compare;
pub mod counts;
pub mod data;
pub mod doctor;
pub mod machine;
pub mod probe;
pub mod used;
pub mod way;

pub mod faults;
pub mod floors;
pub mod pairs;

pub mod folder;
pub mod lag;
pub mod logs;
pub mod measurement;
pub mod objective;
pub mod report;
pub mod saturation;
pub mod stages;
pub mod verdict;
pub mod warm_up;

pub mod figures;
pub mod html;
mod plots;
mod sales;
mod summary;
pub mod text;
