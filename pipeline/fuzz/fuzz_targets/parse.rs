//! One order of any bytes: the parser never panics, and its verdict keeps the invariants.
#![no_main]

#[expect(dead_code, unused_imports, reason = "only its rules are wanted")]
#[path = "../../tests/it/corpus.rs"]
mod corpus;
#[expect(dead_code, reason = "the other target's half")]
#[path = "../../tests/it/invariants.rs"]
mod invariants;

use libfuzzer_sys::fuzz_target;
use pipeline::order::Rules;
use pipeline::parse::Parser;
use std::cell::RefCell;
use std::sync::LazyLock;

static RULES: LazyLock<Rules> = LazyLock::new(corpus::rules);

thread_local! {
    /// The same parser for all inputs, as on a server's thread.
    static PARSER: RefCell<Parser> = RefCell::default();
}

fuzz_target!(|value: &[u8]| {
    PARSER.with_borrow_mut(|parser| invariants::check_order(parser, value, &RULES));
});
