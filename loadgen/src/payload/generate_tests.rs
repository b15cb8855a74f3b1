//! The generated orders are read back with a JSON parser of their own and compared with the contract and the table.

use std::collections::BTreeMap;

use serde_json::Value;
use time::macros::date;

use super::*;
use crate::payload::DEFAULT_MAX_BYTES;

const SOURCES: [&str; 5] = ["Dine In", "Takeaway", "Home Delivery", "In Store", "Online"];

fn spec(orders: usize, seed: u64) -> GenerateSpec {
    GenerateSpec {
        orders,
        seed,
        run_id: "test".to_owned(),
        created_at: CreatedAt::Day(date!(2026 - 03 - 01)),
        max_bytes: DEFAULT_MAX_BYTES,
    }
}

fn table() -> Value {
    serde_json::from_str(include_str!("../../data/retail.json")).unwrap()
}

fn lines(payload: &Payload) -> Vec<String> {
    (0..payload.len()).map(|i| String::from_utf8(payload.order(i).unwrap().to_vec()).unwrap()).collect()
}

fn orders(payload: &Payload) -> Vec<Value> {
    lines(payload).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The exact cents of a line's total, from its text: one or more digits, a point, two digits.
fn total_cents(line: &str) -> u64 {
    let (_, rest) = line.split_once(r#""total":"#).unwrap();
    let (total, _) = rest.split_once(',').unwrap();
    let (whole, fraction) = total.split_once('.').unwrap();
    assert!(!whole.is_empty() && fraction.len() == 2, "{total}");
    whole.parse::<u64>().unwrap() * 100 + fraction.parse::<u64>().unwrap()
}

/// Compares shares of counts, key by key, in percentage points.
fn assert_shares(what: &str, found: &BTreeMap<String, u64>, expected: &BTreeMap<String, u64>, points: f64) {
    let share = |counts: &BTreeMap<String, u64>, key: &String| {
        100.0 * *counts.get(key).unwrap_or(&0) as f64 / counts.values().sum::<u64>() as f64
    };
    for key in found.keys().chain(expected.keys()) {
        let (found, expected) = (share(found, key), share(expected, key));
        assert!((found - expected).abs() <= points, "{what} {key}: {found} % instead of {expected} %");
    }
}

fn counted(keys: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_seed_means_the_same_bytes_for_ever() {
    // A changed table or generator changes this; reports of before and after are then of different orders.
    let payload = generate(&spec(1000, 42)).unwrap();
    assert_eq!(format!("{:016x}", payload.fingerprint()), "2e74379b53a6812c");
    assert_eq!(payload.fingerprint(), generate(&spec(1000, 42)).unwrap().fingerprint());
    assert_ne!(payload.fingerprint(), generate(&spec(1000, 43)).unwrap().fingerprint());
}

#[test]
fn fewer_orders_of_a_seed_are_the_beginning_of_more() {
    let (few, more) = (generate(&spec(777, 1)).unwrap(), generate(&spec(1000, 1)).unwrap());
    assert_eq!(few.batch(0, 777), more.batch(0, 777));
}

#[test]
fn every_order_satisfies_the_contract() {
    let payload = generate(&spec(20_000, 7)).unwrap();
    for (i, (line, order)) in lines(&payload).iter().zip(orders(&payload)).enumerate() {
        assert!(line.is_ascii() && total_cents(line) <= 10_u64.pow(13), "{line}");
        assert_eq!(order["order_id"], format!("test-{i}"));
        assert_eq!(payload.order_id(i), order["order_id"].as_str());
        assert!(order["customer_id"].as_u64().unwrap() >= 1, "{line}");
        assert!(SOURCES.contains(&order["source"].as_str().unwrap()), "{line}");
        assert!((1..=1_000_000).contains(&order["quantity"].as_u64().unwrap()), "{line}");
        assert!((1..=64).contains(&order["category"].as_str().unwrap().len()), "{line}");
        assert!((1..=32).contains(&order["state"].as_str().unwrap().len()), "{line}");
        assert!(order["store_id"].is_u64() && order["product_id"].is_u64(), "{line}");
        let instant = order["created_at"].as_str().unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        assert_eq!(time::OffsetDateTime::parse(instant, format).unwrap().date(), date!(2026 - 03 - 01));
        assert_eq!(order.as_object().unwrap().len(), 10, "no field twice, none besides: {line}");
    }
}

#[test]
fn without_created_at_the_orders_are_the_same_but_for_it() {
    let with = generate(&spec(500, 3)).unwrap();
    let without = generate(&GenerateSpec { created_at: CreatedAt::Absent, ..spec(500, 3) }).unwrap();
    for (mut with, without) in orders(&with).into_iter().zip(orders(&without)) {
        with.as_object_mut().unwrap().remove("created_at");
        assert_eq!(with, without);
    }
}

#[test]
fn shares_are_those_of_the_table() {
    let (table, payload) = (table(), generate(&spec(100_000, 11)).unwrap());
    let (lines, orders) = (lines(&payload), orders(&payload));
    let of_pairs = |name: &str| -> BTreeMap<String, u64> {
        let pairs = table[name].as_array().unwrap().iter();
        pairs.map(|pair| (pair[0].to_string().replace('"', ""), pair[1].as_u64().unwrap())).collect()
    };
    let departments = table["departments"].as_array().unwrap().iter();
    let departments =
        departments.map(|d| (d["name"].as_str().unwrap().to_owned(), d["lines"].as_u64().unwrap()));
    let found = counted(orders.iter().map(|order| order["category"].as_str().unwrap().to_owned()));
    assert_shares("department", &found, &departments.collect(), 0.5);
    let found = counted(orders.iter().map(|order| order["quantity"].to_string()));
    assert_shares("quantity", &found, &of_pairs("lines_by_quantity"), 0.5);

    // Lines that follow one another with one customer, store and instant are one basket.
    let mut baskets: Vec<(&Value, u64)> = Vec::new();
    for order in &orders {
        let same = |field: &str, other: &Value| order[field] == other[field];
        match baskets.last_mut() {
            Some((first, lines))
                if ["customer_id", "store_id", "created_at"].iter().all(|f| same(f, first)) =>
            {
                assert!(same("source", first) && same("state", first), "{order}");
                *lines += 1;
            }
            _ => baskets.push((order, 1)),
        }
    }
    let found = counted(baskets.iter().map(|(_, lines)| lines.to_string()));
    assert_shares("basket size", &found, &of_pairs("baskets_by_lines"), 1.5);
    let found = counted(baskets.iter().map(|(order, _)| order["source"].as_str().unwrap().to_owned()));
    assert_shares("source", &found, &of_pairs("baskets_by_source"), 1.5);
    let found =
        counted(baskets.iter().map(|(order, _)| order["created_at"].as_str().unwrap()[11..13].to_owned()));
    let hours = table["baskets_by_hour_utc"].as_array().unwrap().iter().enumerate();
    assert_shares(
        "hour",
        &found,
        &hours.map(|(h, n)| (format!("{h:02}"), n.as_u64().unwrap())).collect(),
        1.5,
    );
    let found = counted(baskets.iter().map(|(order, _)| order["store_id"].to_string()));
    let stores = table["stores"].as_array().unwrap().iter();
    let tail = ("tail".to_owned(), table["tail_stores"]["baskets"].as_u64().unwrap());
    let mut expected: BTreeMap<String, u64> =
        stores.map(|store| (store[0].to_string(), store[2].as_u64().unwrap())).collect();
    let found = found.into_iter().fold(BTreeMap::new(), |mut found, (store, baskets)| {
        let key = if expected.contains_key(&store) { store } else { "tail".to_owned() };
        *found.entry(key).or_insert(0) += baskets;
        found
    });
    expected.extend([tail]);
    assert_shares("store", &found, &expected, 1.5);

    // Cheap things are bought in greater numbers, but quantity and price are drawn apart from one another. So the mean
    // total is only near that of the data: 12 % above it.
    let mean = lines.iter().map(|line| total_cents(line)).sum::<u64>() as f64 / lines.len() as f64;
    let of_data =
        table["source"]["total_minor"].as_f64().unwrap() / table["source"]["lines"].as_f64().unwrap();
    assert!((1.0..1.25).contains(&(mean / of_data)), "a mean total of {mean} cents instead of {of_data}");
}

#[test]
fn amounts_and_instants_keep_their_leading_zeros() {
    for (cents, text) in [(0, "0.00"), (5, "0.05"), (60, "0.60"), (349, "3.49"), (123_456_700, "1234567.00")]
    {
        let mut out = Vec::new();
        write_cents(&mut out, cents);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    let mut out = Vec::new();
    write_instant(&mut out, date!(2026 - 01 - 02), 3, 4 * 60 + 5);
    assert_eq!(String::from_utf8(out).unwrap(), "2026-01-02T03:04:05Z");
}

#[test]
fn a_run_id_must_fit_into_an_order_id() {
    let run = |run_id: &str| generate(&GenerateSpec { run_id: run_id.to_owned(), ..spec(2, 1) });
    let longest = "x".repeat(RUN_ID_LENGTH_MAX);
    assert_eq!(run(&longest).unwrap().order_id(1), Some(format!("{longest}-1").as_str()));
    for run_id in ["", "a b", "a\"b", "a\\b", "é", &format!("{longest}x")] {
        assert!(matches!(run(run_id), Err(PayloadError::RunId(_))), "{run_id:?}");
    }
}

#[test]
fn orders_beyond_the_memory_limit_are_refused() {
    let error = generate(&GenerateSpec { max_bytes: 100_000, ..spec(1_000_000, 1) }).unwrap_err();
    assert!(matches!(error, PayloadError::TooLarge { order: 300..500, max_bytes: 100_000 }), "{error}");
    assert!(generate(&spec(0, 1)).unwrap().is_empty());
}
