//! The API's description against what the server really answers: every answer is one that the document describes, and
//! everything that the document describes is really answered. No part of the document is taken on trust but its prose.

mod answers;
mod counts;
mod document;
mod scripted;
mod witness;

use crate::corpus;
use crate::support::Pipeline;
use document::Document;
use pipeline::money::Currency;
use pipeline::order::{self, Field, Reason};
use pipeline::outcomes::Outcome;
use pipeline::receive::{NO_ANSWER, NOT_PERSISTED, Refusal, document as served};
use serde_json::Value;
use std::collections::BTreeSet;

/// Verdicts on orders that the schema of an order lets pass, each with the reason why a schema cannot tell.
const BEYOND_A_SCHEMA: [(&str, &str); 13] = [
    ("too_deep", "no keyword looks at the depth"),
    ("too_large", "no keyword looks at the text's length, and the limit is configured"),
    ("duplicate_key", "a schema sees an object whose keys are told apart already"),
    ("duplicate_key customer_id", "a schema sees an object whose keys are told apart already"),
    ("duplicate_key total", "a schema sees an object whose keys are told apart already"),
    ("unknown_source source", "the sources are configured"),
    ("out_of_range customer_id", "a schema does not tell 100000000000000000 from 1e17, which is a double"),
    ("out_of_range total", "the limit is one of minor units, so that it depends on the currency"),
    ("out_of_range unit_price", "the limit is one of the product with quantity"),
    ("bad_money total", "how many fraction digits there may be depends on the currency"),
    ("bad_money unit_price", "how many fraction digits there may be depends on the currency"),
    ("missing_field total", "whether the default price serves depends on the configuration"),
    ("bad_time created_at", "a pattern does not know how long each month is"),
];

/// The same for the one verdict that depends on the clock.
const BY_THE_CLOCK: &str = "time_out_of_range created_at";

#[test]
fn the_document_is_served_as_it_stands_and_holds_together() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::start(dir.path(), &[]);
    let get = b"GET /openapi.json HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    let reply = crate::support::exchange(pipeline.orders, get).unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, served()));

    let document = Document::read(served());
    assert!(document.at("/openapi").as_str().unwrap().starts_with("3.1."));
    assert_eq!(document.at("/info/version"), env!("CARGO_PKG_VERSION"));
    let mut used = BTreeSet::new();
    document::walk(document.root(), &mut |pointer, value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let target =
                target.strip_prefix('#').unwrap_or_else(|| panic!("{pointer}: {target} is elsewhere"));
            assert!(document.root().pointer(target).is_some(), "{pointer}: {target} does not resolve");
            used.insert(target.to_owned());
        }
        if let Some(schema) = value.get("schema") {
            let validator = document.validator(schema);
            let named =
                value.get("examples").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
            for example in named.map(|named| &named["value"]).chain(value.get("example")) {
                assert!(validator.is_valid(example), "{pointer}: {example} does not fit its schema");
            }
        }
    });
    for (name, schema) in document.at("/components/schemas").as_object().unwrap() {
        let validator = document.validator(schema);
        for example in schema.get("examples").and_then(Value::as_array).into_iter().flatten() {
            assert!(validator.is_valid(example), "{name}: {example} does not fit it");
        }
    }
    // A scheme is used by its bare name.
    let named = document.operations().into_iter().flat_map(|(_, _, it)| it["security"].as_array().cloned());
    for scheme in named.flatten().filter_map(|one| one.as_object()?.keys().next().cloned()) {
        used.insert(format!("/components/securitySchemes/{scheme}"));
    }
    for (kind, components) in document.at("/components").as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "nothing uses {kind}/{name}");
        }
    }
    let operations = document.operations();
    let ids: BTreeSet<_> = operations.iter().map(|(_, _, it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    for (method, path, operation) in operations {
        assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path} has no responses");
    }
}

#[test]
fn the_words_and_limits_of_the_document_are_those_of_the_code() {
    let document = Document::read(served());
    let schema = |name: &str| document.at(&format!("/components/schemas/{name}"));
    let words = |name: &str| -> Vec<&str> {
        schema(name)["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
    };
    let description = |value: &Value| value["description"].as_str().unwrap().to_owned();

    let reasons: Vec<_> =
        Reason::ALL.map(Reason::tag).into_iter().chain([NOT_PERSISTED, NO_ANSWER]).collect();
    assert_eq!(words("Reason"), reasons);
    for reason in Reason::ALL {
        let line = format!("- `{}`: {}\n", reason.tag(), reason.meaning());
        assert!(description(schema("Reason")).contains(&line), "{line}");
    }
    assert_eq!(words("RefusalReason"), Refusal::ALL.map(Refusal::tag));
    for refusal in Refusal::ALL {
        let line = format!("- `{}`: {}", refusal.tag(), refusal.detail());
        assert!(description(schema("RefusalReason")).contains(&line), "{line}");
        let told = document.at("/components/responses").as_object().unwrap().values();
        let told =
            told.filter(|response| description(response).contains(&format!("`{}`", refusal.tag()))).count();
        assert_eq!(told, 1, "{} belongs to one status", refusal.tag());
    }
    assert_eq!(words("Outcome"), Outcome::ALL.map(Outcome::tag));
    let letters = || 'A'..='Z';
    let codes = letters().flat_map(|a| letters().map(move |b| (a, b)));
    let codes = codes.flat_map(|(a, b)| letters().map(move |c| format!("{a}{b}{c}")));
    let codes: Vec<_> = codes.filter(|code| Currency::from_code(code).is_some()).collect();
    assert_eq!(words("Currency"), codes);

    let fields = &schema("Order")["properties"];
    let keys: Vec<_> =
        fields.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let known: BTreeSet<_> = Field::ALL.iter().map(|field| field.key().to_owned()).collect();
    assert_eq!(keys, known.into_iter().collect::<Vec<_>>());
    assert_eq!(fields["quantity"]["maximum"], order::MAX_QUANTITY);
    assert_eq!(fields["customer_id"]["maximum"], i64::MAX);
    assert_eq!(fields["store_id"]["minimum"], i64::MIN);
    assert_eq!(fields["state"]["maxLength"], order::MAX_STATE);
    assert_eq!(fields["category"]["maxLength"], order::MAX_CATEGORY);
    assert_eq!(schema("Money")["anyOf"][0]["maximum"], pipeline::money::MAX_MINOR);
}

#[test]
fn the_schema_of_an_order_and_the_parser_agree_but_where_a_schema_cannot_tell() {
    let document = Document::read(served());
    let schema = document.validator(document.at("/components/schemas/Order"));
    let mut let_pass = BTreeSet::new();
    for (verdict, bytes) in corpus::cases() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(150)]).into_owned();
        match (verdict.as_str(), as_json(&bytes)) {
            ("ok", value) => {
                let value = value.unwrap_or_else(|| panic!("not JSON: {shown}"));
                let wrong: Vec<_> = schema.iter_errors(&value).map(|error| error.to_string()).collect();
                assert!(wrong.is_empty(), "{wrong:?}: {shown}");
            }
            ("not_json" | "invalid_utf8", value) => assert_eq!(value, None, "{shown}"),
            // The reader of this test gives up at 128 levels.
            ("too_deep", None) => {}
            (_, None) => panic!("{verdict}, but this reader cannot read it: {shown}"),
            (_, Some(value)) if schema.is_valid(&value) => {
                let_pass.insert(verdict);
            }
            (_, Some(_)) => {}
        }
    }
    let known = BEYOND_A_SCHEMA.iter().map(|(verdict, _)| *verdict).chain([BY_THE_CLOCK]);
    let known: BTreeSet<_> = known.map(str::to_owned).collect();
    assert_eq!(let_pass, known, "what the schema lets pass, and what is known to be beyond it");
}

/// The order as JSON. Numbers that no double can hold, which the reader of this test refuses, are read as large ones.
fn as_json(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?.replace("1e400", "1e300").replace("1E+999", "1E+300");
    serde_json::from_str(&text).ok()
}
