//! The attacks, and how one is sent and its answer judged: the sources of the pipeline's own tests, which end in a panic
//! where an answer is not as it must be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unused_imports,
    reason = "tests' own, of which not all is wanted"
)]

#[path = "../../../../pipeline/tests/it/hostile/attacks.rs"]
pub mod attacks;
#[path = "../../../../pipeline/tests/it/hostile/bytes.rs"]
pub mod bytes;
#[path = "../../../../pipeline/tests/it/corpus.rs"]
pub mod corpus;
#[path = "../../../../pipeline/tests/ways/http.rs"]
pub mod http;
#[path = "../../../../pipeline/tests/it/hostile/orders.rs"]
pub mod orders;
#[path = "../../../../pipeline/tests/it/hostile/requests.rs"]
pub mod requests;
#[path = "../../../../pipeline/tests/it/hostile/send.rs"]
pub mod send;
#[path = "../../../../pipeline/tests/ways/wait.rs"]
pub mod wait;

/// What the tests' own `support` has of these.
pub mod support {
    pub use super::http::Reply;
    pub use super::wait::DEADLINE;
}
