//! A request's body of any bytes, behind a byte that selects its form, the limit of orders and an idempotency key.
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
use pipeline::receive::Form;
use std::cell::RefCell;
use std::sync::LazyLock;

static RULES: LazyLock<Rules> = LazyLock::new(corpus::rules);

thread_local! {
    static PARSER: RefCell<Parser> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let Some((selector, body)) = input.split_first() else { return };
    let form = if selector & 1 == 0 { Form::Json } else { Form::Ndjson };
    let most = if selector & 2 == 0 { 50_000 } else { 3 };
    let key = (selector & 4 != 0).then_some("key");
    PARSER.with_borrow_mut(|parser| invariants::check_body(parser, body, form, most, key, &RULES));
});
