//! Every order of the corpus gets the verdict that stands beside it.

use pipeline::money::Currency;
use pipeline::order::Rules;
use pipeline::parse::Parser;
use pipeline::time;

/// The rules of the default configuration.
pub fn rules() -> Rules {
    Rules {
        sources: ["Dine In", "Takeaway", "Home Delivery", "In Store", "Online"].map(String::from).into(),
        currency: Currency::from_code("USD").unwrap(),
        default_price: "300.00".into(),
        max_order_bytes: 65_536,
    }
}

/// The corpus as (verdict, bytes).
pub fn cases() -> Vec<(String, Vec<u8>)> {
    include_str!("../corpus/orders.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no tab: {line}")))
        .map(|(verdict, text)| (verdict.to_owned(), unescape(text)))
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((repeated, after)) = repetition(rest) {
            bytes.extend_from_slice(repeated.as_bytes());
            rest = after;
        } else if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if next == '\\' {
            bytes.push(match &rest[1..2] {
                "t" => b'\t',
                "n" => b'\n',
                "\\" => b'\\',
                other => panic!("unknown escape \\{other} in {text}"),
            });
            rest = &rest[2..];
        } else {
            bytes.extend_from_slice(&rest.as_bytes()[..next.len_utf8()]);
            rest = &rest[next.len_utf8()..];
        }
    }
    bytes
}

/// `<16*[>` at the beginning of a text.
fn repetition(text: &str) -> Option<(String, &str)> {
    let (count, rest) = text.strip_prefix('<')?.split_once('*')?;
    let (repeated, after) = rest.split_once('>')?;
    Some((repeated.repeat(count.parse().ok()?), after))
}

#[test]
fn each_order_gets_its_verdict() {
    let received_at = time::parse("2026-01-15T12:00:00Z").unwrap();
    let (rules, mut parser) = (rules(), Parser::default());
    let mut wrong = Vec::new();
    for (expected, value) in cases() {
        let found = match parser.parse(&value, received_at, &rules) {
            Ok(_) => "ok".to_owned(),
            Err(refused) => match refused.field {
                Some(field) => format!("{} {}", refused.reason.tag(), field.key()),
                None => refused.reason.tag().to_owned(),
            },
        };
        if found != expected {
            wrong.push(format!(
                "{expected} expected, {found} found: {}",
                String::from_utf8_lossy(&value[..value.len().min(150)])
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_fields_of_an_order_are_read_as_they_stand_there() {
    let text = br#"{"order_id":"a-1","customer_id":17,"source":"Online","quantity":3,"total":12.50,"currency":"EUR",
        "state":"KY","store_id":4,"product_id":99,"category":"GROCERY","created_at":"2026-01-15T11:59:59.123Z"}"#;
    let (rules, mut parser) = (rules(), Parser::default());
    let order = parser.parse(text, time::now(), &rules).unwrap();
    assert_eq!(
        (order.order_id, order.customer_id, order.source, order.quantity),
        (Some("a-1"), 17, "Online", 3)
    );
    assert_eq!((order.total_minor, order.currency.code(), order.state), (1250, "EUR", Some("KY")));
    assert_eq!((order.store_id, order.product_id, order.category), (Some(4), Some(99), Some("GROCERY")));
    assert_eq!(time::format(order.created_at), "2026-01-15T11:59:59.123Z");

    let order = parser.parse(br#"{"customer_id":3,"source":"Dine In","quantity":2}"#, 1_000, &rules).unwrap();
    assert_eq!((order.total_minor, order.currency.code(), order.created_at), (60_000, "USD", 1_000));
    assert_eq!((order.order_id, order.state, order.category), (None, None, None));
}
