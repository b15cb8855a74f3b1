//! The fault suite: each fault is injected under load on a stack of its own, healed, and judged by the ledger and by the
//! id of every order.
//!
//! The catalogue and the plan are pure. Senders, proxies, the stack and the processes are what a plan is carried out
//! with; an injection puts them together, and the journal and the report keep what came of it.

pub mod catalogue;
pub mod plan;
pub mod random;

pub mod clients;
mod http;
pub mod orders;

pub mod mounts;
pub mod place;
pub mod processes;
pub mod proxy;
pub mod slot;
pub mod stack;
pub mod watch;

pub mod check;
pub mod inject;
pub mod injection;
pub mod journal;
pub mod report;
pub mod scene;
pub mod suite;

pub mod outage;
pub mod sample;
pub mod soak;
pub mod steady;
