//! What must hold for any bytes at all, checked against serde_json as a second opinion. The fuzz targets and the
//! mutation test share it.
//!
//! serde_json is asked in two ways: as grammar (`IgnoredAny`: numbers of any size, any depth, and neither UTF-8 nor
//! surrogates looked at), and as values (`Value`: a number that no double holds is an error).

use bytes::Bytes;
use pipeline::money::{Currency, MAX_MINOR};
use pipeline::order::{self, Order, Reason, Rejection, Rules};
use pipeline::parse::Parser;
use pipeline::receive::{Form, FrameError, frame};
use pipeline::validate::{Origin, validate};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// 2026-01-15T12:00:00Z, as in the corpus.
pub const RECEIVED_AT: i64 = 1_768_478_400_000_000_000;

/// Records that leave as much as possible behind in a parser's buffers: nodes, long text, an error in the middle.
const OTHERS: [&[u8]; 4] = [
    br#"{"order_id":"other","customer_id":9,"source":"Online","quantity":9,"total":1,"currency":"EUR","state":"X"}"#,
    br#"{"customer_id":3,"source":"Dine In","quantity":2,"huge":1e999,"x":[{},{},[1,2,3],"abcdefghijklmnopqrstuvwxyz"]}"#,
    br#"{"customer_id":3,"source":"Dine In","quantity":2,"x":"unterminated}"#,
    b"[[[[[[[[[[[[[[[[[[[[",
];

/// An order with nothing borrowed, to compare.
#[derive(Debug, PartialEq)]
struct Seen {
    order_id: Option<String>,
    customer_id: i64,
    source: String,
    quantity: i64,
    total_minor: i64,
    currency: Currency,
    state: Option<String>,
    store_id: Option<i64>,
    product_id: Option<i64>,
    category: Option<String>,
    created_at: i64,
}

impl Seen {
    fn of(order: &Order<'_>) -> Self {
        Self {
            order_id: order.order_id.map(str::to_owned),
            customer_id: order.customer_id,
            source: order.source.to_owned(),
            quantity: order.quantity,
            total_minor: order.total_minor,
            currency: order.currency,
            state: order.state.map(str::to_owned),
            store_id: order.store_id,
            product_id: order.product_id,
            category: order.category.map(str::to_owned),
            created_at: order.created_at,
        }
    }
}

fn parse(parser: &mut Parser, value: &[u8], rules: &Rules) -> Result<Seen, Rejection> {
    parser.parse(value, RECEIVED_AT, rules).map(|order| Seen::of(&order))
}

/// Parses any bytes and checks what must hold of the verdict.
pub fn check_order(parser: &mut Parser, value: &[u8], rules: &Rules) {
    let verdict = parse(parser, value, rules);
    for other in OTHERS {
        let _ = parse(parser, other, rules);
        assert_eq!(parse(parser, value, rules), verdict, "nothing of another record stays in a parser");
    }
    assert_eq!(parse(&mut Parser::default(), value, rules), verdict, "a new parser says the same");
    match &verdict {
        Ok(seen) => {
            check_ranges(seen, rules);
            check_accepted(seen, value);
        }
        Err(rejection) => check_rejected(*rejection, value, rules),
    }
}

/// The contract's ranges.
fn check_ranges(seen: &Seen, rules: &Rules) {
    assert!(seen.order_id.as_deref().is_none_or(order::is_order_id), "{seen:?}");
    assert!(seen.customer_id >= 1, "{seen:?}");
    assert!(rules.sources.contains(&seen.source), "{seen:?}");
    assert!((1..=order::MAX_QUANTITY).contains(&seen.quantity), "{seen:?}");
    assert!((0..=MAX_MINOR).contains(&seen.total_minor), "{seen:?}");
    assert_eq!(Currency::from_code(seen.currency.code()), Some(seen.currency), "{seen:?}");
    let length = |text: &Option<String>| text.as_ref().map_or(1, |text| text.chars().count());
    assert!((1..=order::MAX_STATE).contains(&length(&seen.state)), "{seen:?}");
    assert!((1..=order::MAX_CATEGORY).contains(&length(&seen.category)), "{seen:?}");
    let latest = RECEIVED_AT + order::MAX_AHEAD;
    assert!((order::MIN_CREATED_AT..=latest).contains(&seen.created_at), "{seen:?}");
}

/// What was accepted is a JSON object also for serde_json, and its fields read alike.
fn check_accepted(seen: &Seen, value: &[u8]) {
    assert!(std::str::from_utf8(value).is_ok() && depth(value) <= order::MAX_DEPTH);
    let keys = serde_json::from_slice::<Keys>(value).expect("an accepted order is a JSON object").0;
    assert!(!has_repeated(keys), "an accepted order has each key once");
    // Where a number fits no double there is no second opinion on the fields.
    let Ok(object) = serde_json::from_slice::<Value>(value) else { return };
    assert_eq!(object.get("order_id").map(|id| id.as_str().unwrap()), seen.order_id.as_deref());
    assert_eq!(object["source"], seen.source.as_str());
    assert!(is_number(&object["customer_id"], seen.customer_id as f64));
    assert!(is_number(&object["quantity"], seen.quantity as f64));
    assert_eq!(object.get("state").map(|state| state.as_str().unwrap()), seen.state.as_deref());
    assert_eq!(object.get("category").map(|name| name.as_str().unwrap()), seen.category.as_deref());
    assert_eq!(object.get("currency").map_or("USD", |code| code.as_str().unwrap()), seen.currency.code());
    for (name, found) in [("store_id", seen.store_id), ("product_id", seen.product_id)] {
        assert_eq!(object.get(name).is_some(), found.is_some());
        assert!(found.is_none_or(|found| is_number(&object[name], found as f64)));
    }
    let units = seen.total_minor as f64 / seen.currency.scale() as f64;
    match object.get("total") {
        Some(Value::String(text)) => {
            // Digits alone, the point taken out and the missing ones added, are the minor units.
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let missing = usize::from(seen.currency.digits()) - fraction;
            let digits = text.replace('.', "") + &"0".repeat(missing);
            let digits = digits.trim_start_matches('0');
            assert_eq!(digits.parse().unwrap_or(0), seen.total_minor, "{text}");
        }
        Some(number) => assert!(is_number(number, units), "{number} is not {units}"),
        None => assert_eq!(seen.total_minor % seen.quantity, 0, "a price times a quantity"),
    }
}

/// A reason says something about the text that serde_json has to confirm.
fn check_rejected(rejection: Rejection, value: &[u8], rules: &Rules) {
    let reason = rejection.reason;
    assert_eq!(reason == Reason::TooLarge, value.len() > rules.max_order_bytes);
    let is_text = std::str::from_utf8(value).is_ok();
    let is_json = serde_json::from_slice::<IgnoredAny>(value).is_ok();
    match reason {
        Reason::TooLarge => {}
        Reason::NotJson => assert!(!is_json || !is_text, "serde_json takes it as JSON"),
        Reason::InvalidUtf8 => {
            let escapes = value.windows(2).any(|pair| pair == b"\\u");
            let is_value = serde_json::from_slice::<Value>(value).is_ok();
            assert!(!is_text || (escapes && !is_value), "serde_json takes it as text");
        }
        // Text that is too deep may be refused before it is seen that it is not JSON.
        Reason::TooDeep => assert!(depth(value) > order::MAX_DEPTH || !is_json),
        Reason::NotAnObject => {
            assert!(is_json && is_text && serde_json::from_slice::<Keys>(value).is_err());
        }
        _ => {
            assert!(is_json && is_text && depth(value) <= order::MAX_DEPTH, "{reason:?}");
            let keys = serde_json::from_slice::<Keys>(value).expect("a field is wrong, so it is an object").0;
            assert_eq!(has_repeated(keys), reason == Reason::DuplicateKey);
        }
    }
}

/// Frames any bytes, validates what is found, and checks what must hold of both.
pub fn check_body(
    parser: &mut Parser,
    body: &[u8],
    form: Form,
    most: usize,
    key: Option<&str>,
    rules: &Rules,
) {
    let body = Bytes::copy_from_slice(body);
    let framed = frame(&body, form, most);
    match form {
        Form::Json => check_array(&body, &framed.as_ref().map(|framed| framed.orders.as_slice()), most),
        Form::Ndjson => {
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !is_blank(line));
            let lines: Vec<&[u8]> = lines.collect();
            match &framed {
                Ok(framed) => assert_eq!(framed.orders, lines),
                Err(error) => {
                    assert_eq!(*error, if lines.is_empty() { FrameError::Empty } else { FrameError::TooMany })
                }
            }
        }
    }
    let Ok(framed) = framed else { return };
    assert!((1..=most).contains(&framed.orders.len()));
    let mut end = body.as_ptr() as usize;
    for order in &framed.orders {
        assert!(!is_blank(order) && order.as_ptr() as usize >= end, "orders lie one behind the other");
        end = order.as_ptr() as usize + order.len();
    }
    assert!(end <= body.as_ptr() as usize + body.len(), "orders are slices of the body");

    let origin = Origin {
        received_at: RECEIVED_AT,
        due_at: None,
        idempotency_key: key.map(Box::from),
        batch: framed.batch,
    };
    let (records, checked) = validate(framed.orders.clone(), &origin, rules);
    assert_eq!(checked.len(), framed.orders.len());
    let mut records = records.iter();
    for (index, (order, checked)) in framed.orders.iter().zip(&checked).enumerate() {
        let alone = parse(parser, order, rules);
        assert_eq!(alone.as_ref().err(), checked.rejection.as_ref(), "company does not change a verdict");
        let Ok(alone) = alone else { continue };
        let record = records.next().expect("each valid order is a record");
        assert_eq!(record.value.as_ptr(), order.as_ptr(), "a record is the client's bytes, not a copy");
        assert_eq!(record.value.len(), order.len());
        assert_eq!(Some(&record.key), checked.order_id.as_ref());
        let given = key.map(|key| if framed.batch { format!("{key}-{index}") } else { key.to_owned() });
        match alone.order_id.or(given) {
            Some(id) => assert_eq!(record.key, id),
            None => assert_eq!(record.key.len(), 36, "a UUID"),
        }
    }
    assert!(records.next().is_none(), "no record without a valid order");
}

/// An array is framed into its elements; what is no array either is refused or has an element that is not JSON.
fn check_array(body: &Bytes, framed: &Result<&[Bytes], &FrameError>, most: usize) {
    let begins = body.iter().find(|byte| !is_blank(&[**byte]));
    if begins != Some(&b'[') {
        match begins {
            None => assert_eq!(*framed, Err(&FrameError::Empty)),
            Some(_) => assert_eq!(framed.unwrap(), std::slice::from_ref(body)),
        }
        return;
    }
    match (serde_json::from_slice::<Vec<IgnoredAny>>(body), framed) {
        (Ok(elements), Ok(orders)) => {
            assert_eq!(elements.len(), orders.len());
            // serde_json also gives up where it is nested too deep or a number is too big.
            if let Ok(values) = serde_json::from_slice::<Vec<Value>>(body) {
                for (value, order) in values.iter().zip(*orders) {
                    assert_eq!(serde_json::from_slice::<Value>(order).unwrap(), *value);
                }
            }
        }
        (Ok(elements), Err(FrameError::Empty)) => assert!(elements.is_empty()),
        (Ok(elements), Err(FrameError::TooMany)) => assert!(elements.len() > most),
        (Ok(_), Err(FrameError::NotJson)) => panic!("serde_json takes it as an array"),
        (Err(_), Ok(orders)) => {
            let is_json = |order: &Bytes| serde_json::from_slice::<IgnoredAny>(order).is_ok();
            assert!(!orders.iter().all(is_json), "serde_json does not take it as an array");
        }
        (Err(_), Err(error)) => assert_ne!(**error, FrameError::Empty),
    }
}

/// The keys of an object; its values are passed over, whatever they are.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Keys;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn has_repeated(mut keys: Vec<String>) -> bool {
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// The deepest nesting, counting brackets outside of strings.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Whether both are the same number, but for the last places that serde_json's quick reading of doubles may miss.
fn is_number(value: &Value, number: f64) -> bool {
    value.as_f64().is_some_and(|found| (found - number).abs() <= number.abs() * 1e-15)
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}
