//! Attacks whose HTTP is right and whose orders are wrong.

use super::attacks::{Answer, Attack, rejected};
use super::bytes::{Random, chunked, good, gzip, post, zstd};
use crate::corpus;
use std::sync::LazyLock;

/// The corpus' orders that are refused whatever the time is, and that are framed as one order.
static REFUSED: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let mut cases = corpus::cases();
    cases.retain(|(verdict, order)| {
        let text = order.trim_ascii();
        verdict != "ok"
            && !text.is_empty()
            && text[0] != b'['
            && !text.windows(10).any(|part| part == b"2026-01-16")
    });
    cases
});

/// An order that has a verdict in the corpus, plain, compressed or in chunks.
pub fn of_the_corpus(random: &mut Random, _: usize) -> Attack {
    let (verdict, order) = random.pick(&REFUSED);
    let reason = verdict.split(' ').next().unwrap_or_default();
    let bytes = match random.below(4) {
        0 => post("content-encoding: gzip\r\n", &gzip(&order)),
        1 => post("content-encoding: zstd\r\n", &zstd(&order)),
        2 => chunked(&order),
        _ => post("", &order),
    };
    Attack::new("of the corpus", bytes, rejected(reason))
}

pub fn truncated(random: &mut Random, number: usize) -> Attack {
    let order = good(&format!("truncated-{number}"));
    let end = 1 + random.below(order.len() - 1);
    Attack::new("truncated", post("", &order.as_bytes()[..end]), rejected("not_json"))
}

pub fn wrong_type(random: &mut Random, number: usize) -> Attack {
    let (field, others) = random.pick(&[
        ("order_id", ["1", "null", "{}", "[\"a\"]"]),
        ("customer_id", ["\"3\"", "null", "true", "3.5"]),
        ("source", ["3", "null", "[]", "false"]),
        ("quantity", ["\"3\"", "null", "{}", "0.5"]),
        ("total", ["true", "null", "{}", "[1]"]),
        ("state", ["1", "null", "{}", "[]"]),
        ("created_at", ["1", "null", "{}", "1e3"]),
    ]);
    let mut order: serde_json::Value = serde_json::from_str(&good(&format!("type-{number}"))).unwrap();
    order[field] = serde_json::from_str(random.pick(&others)).unwrap();
    Attack::new("wrong type", post("", order.to_string().as_bytes()), rejected("wrong_type"))
}

pub fn duplicate_key(random: &mut Random, number: usize) -> Attack {
    let order = good(&format!("twice-{number}"));
    let key = random.pick(&["order_id", "customer_id", "source", "quantity", "\\u0074otal", "x\":1,\"x"]);
    let order = order.replacen('{', &format!("{{\"total\":1,\"{key}\":1,"), 1);
    Attack::new("duplicate key", post("", order.as_bytes()), rejected("duplicate_key"))
}

pub fn too_deep(random: &mut Random, number: usize) -> Attack {
    let (open, close) = random.pick(&[("[", "]"), ("{\"a\":", "}"), ("[{\"\":", "}]")]);
    let levels = 17 + random.below(5_000);
    let deep = format!("\"deep\":{}1{}", open.repeat(levels), close.repeat(levels));
    let order = good(&format!("deep-{number}")).replacen('{', &format!("{{{deep},"), 1);
    Attack::new("too deep", post("", order.as_bytes()), rejected("too_deep"))
}

pub fn no_text(random: &mut Random, number: usize) -> Attack {
    let mut order =
        good(&format!("bytes-{number}")).replacen('{', "{\"note\":\"..........\",", 1).into_bytes();
    let bad: &[u8] = random.pick(&[&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"]);
    let at = 9 + random.below(6);
    order.splice(at..at, bad.iter().copied());
    Attack::new("no text", post("", &order), rejected("invalid_utf8"))
}

pub fn huge_number(random: &mut Random, number: usize) -> Attack {
    let digits = "9".repeat(25 + random.below(2_000));
    let huge = random.pick(&[
        digits.clone(),
        format!("-{digits}"),
        format!("{digits}.5e300"),
        format!("1e{digits}"),
    ]);
    let field = random.pick(&["customer_id", "quantity", "total"]);
    let mut order = good(&format!("huge-{number}"));
    let start = order.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
    let end = start + order[start..].find([',', '}']).unwrap();
    order.replace_range(start..end, &huge);
    Attack::new("huge number", post("", order.as_bytes()), rejected("out_of_range"))
}

pub fn broken_array(random: &mut Random, number: usize) -> Attack {
    let order = good(&format!("array-{number}"));
    let broken = random.pick(&["[?", "[?,]", "[,?]", "[?]]", "[?}", "[?,,?]", "[?] ?", "[?]x", "[\"?]"]);
    Attack::new(
        "broken array",
        post("", broken.replace('?', &order).as_bytes()),
        Answer::Refused(400, "not_json"),
    )
}

pub fn rejected_batch(random: &mut Random, number: usize) -> Attack {
    let count = 1 + random.below(150);
    let order = good(&format!("batch-{number}")).replace("Online", "Nowhere");
    let answer = Answer::Rejected(422, "unknown_source".to_owned(), count);
    let bytes = if random.below(2) == 0 {
        post("content-type: application/x-ndjson\r\n", (order + "\n").repeat(count).as_bytes())
    } else {
        post("", format!("[{}]", vec![order; count].join(",")).as_bytes())
    };
    Attack::new("rejected batch", bytes, answer)
}

pub fn empty(random: &mut Random, _: usize) -> Attack {
    let body = random.pick(&["", " ", "\r\n\t ", "[]", " [ ] "]);
    Attack::new("empty", post("", body.as_bytes()), Answer::Refused(400, "empty"))
}

/// A body that is not what its encoding says.
pub fn corrupt(random: &mut Random, number: usize) -> Attack {
    let order = good(&format!("corrupt-{number}"));
    let (name, mut body) = match random.below(2) {
        0 => ("gzip", gzip(order.as_bytes())),
        _ => ("zstd", zstd(order.as_bytes())),
    };
    match random.below(3) {
        0 => body.truncate(1 + random.below(body.len() - 1)),
        1 => body = order.into_bytes(),
        _ => body[..4].copy_from_slice(&[random.byte(), 0, 0, 0]),
    }
    Attack::new(
        "corrupt",
        post(&format!("content-encoding: {name}\r\n"), &body),
        Answer::Refused(400, "bad_encoding"),
    )
}
