//! The report from end to end: JSON, page and text of sample runs; results compared, commands compared and machines judged,
//! by the library and by the program; and the floors as processes. Needs nothing but a free
//! port; writes the pages that it makes to `target/tmp`, to be looked at.

// The lints let tests unwrap, and know tests by this attribute.
#[cfg(test)]
mod ab;
#[cfg(test)]
mod capacity;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod floor;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod page;
#[cfg(test)]
mod results;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod stages;
