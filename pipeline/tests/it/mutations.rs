//! Orders that chance has damaged. The corpus' orders are mutated some ten thousand times, and for each result the
//! invariants hold that the fuzz targets check at greater length; here no nightly toolchain is needed.

use crate::corpus;
use crate::invariants::{check_body, check_order};
use pipeline::parse::Parser;
use pipeline::receive::Form;
use proptest::prelude::*;
use proptest::sample::Index;
use std::cell::RefCell;
use std::sync::LazyLock;

/// The corpus' orders but for the few that are long, whose length is their only point.
static ORDERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    corpus::cases().into_iter().map(|(_, order)| order).filter(|order| order.len() < 1_000).collect()
});

/// What JSON, numbers, text and the contract turn on.
const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"null",
    b"true",
    b"0",
    b"-",
    b".5",
    b"e9",
    b"1e400",
    b"\xff",
    b"\xc3",
    b"\0",
    b"\n",
    b"\"total\":0.07,",
    b"\"x\":1,",
    b"[[[[[[[[[[[[[[[[",
];

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Insert(Index, u8),
    Token(Index, Index),
    Delete(Index, usize),
    Repeat(Index, usize),
    /// The end of another order behind the beginning of this one.
    Splice(Index, Index, Index),
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        (place(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        (place(), place()).prop_map(|(at, token)| Mutation::Token(at, token)),
        (place(), 1_usize..20).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (place(), 1_usize..60).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        (place(), place(), place()).prop_map(|(at, other, from)| Mutation::Splice(at, other, from)),
    ]
}

fn any_damaged_order() -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), proptest::collection::vec(any_mutation(), 0..4)).prop_map(|(order, mutations)| {
        mutations.iter().fold(order.get(&ORDERS).clone(), |order, mutation| mutation.apply(order))
    })
}

impl Mutation {
    fn apply(&self, mut order: Vec<u8>) -> Vec<u8> {
        let length = order.len();
        match self {
            Self::Flip(at, bit) if length > 0 => order[at.index(length)] ^= 1 << bit,
            Self::Flip(..) => {}
            Self::Insert(at, byte) => order.insert(at.index(length + 1), *byte),
            Self::Token(at, token) => {
                let at = at.index(length + 1);
                order.splice(at..at, token.get(&TOKENS).iter().copied());
            }
            Self::Delete(at, count) => {
                let at = at.index(length + 1);
                order.drain(at..length.min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(length + 1);
                let again = order[at..length.min(at + count)].to_vec();
                order.splice(at..at, again);
            }
            Self::Splice(at, other, from) => {
                let other = other.get(&ORDERS);
                order.truncate(at.index(length + 1));
                order.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
        order
    }
}

thread_local! {
    static PARSER: RefCell<Parser> = RefCell::default();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(15_000))]

    #[test]
    fn a_damaged_order_gets_a_verdict_that_serde_json_confirms(order in any_damaged_order()) {
        PARSER.with_borrow_mut(|parser| check_order(parser, &order, &corpus::rules()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn a_body_of_damaged_orders_is_framed_into_what_serde_json_finds(
        orders in proptest::collection::vec(any_damaged_order(), 0..5),
        lines in any::<bool>(),
        tight in any::<bool>(),
        key in any::<bool>(),
    ) {
        let (form, body) = if lines {
            (Form::Ndjson, orders.join(&b"\n"[..]))
        } else {
            (Form::Json, [&b"["[..], &orders.join(&b","[..]), b"]"].concat())
        };
        let most = if tight { 3 } else { 50_000 };
        PARSER.with_borrow_mut(|parser| {
            check_body(parser, &body, form, most, key.then_some("key"), &corpus::rules());
        });
    }
}
