//! No body makes framing and parsing take time out of proportion to its length. What is measured is CPU time of this
//! thread, which other load disturbs little: 16 times the bytes take about 16 times as long, and would take 256
//! times as long where a loop in a loop goes over them.

use crate::corpus;
use bytes::Bytes;
use pipeline::order::Rules;
use pipeline::receive::{Form, frame};
use pipeline::validate::{Origin, validate};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

const SHORT: usize = 128 << 10;
const FACTOR: usize = 16;
/// Four times off from 16 and from 256 alike.
const MOST: f64 = 64.0;
/// Below this a measure is noise.
const LEAST: Duration = Duration::from_millis(1);

fn repeated(before: &str, part: &str, after: &str, length: usize) -> Vec<u8> {
    let count = (length - before.len() - after.len()) / part.len();
    [before, &part.repeat(count), after].concat().into_bytes()
}

/// Keys of their own up to the length.
fn keys(length: usize, last: &str) -> Vec<u8> {
    let mut body = String::from("{");
    let mut number = 0;
    while body.len() + 40 < length {
        body += &format!("\"key-{number}\":1,");
        number += 1;
    }
    (body + last + ":1}").into_bytes()
}

#[test]
fn time_grows_with_the_length_of_a_body_and_not_faster() {
    type Make = fn(usize) -> Vec<u8>;
    let kinds: [(&str, Form, Make); 22] = [
        ("blanks", Form::Json, |length| vec![b' '; length]),
        ("blank lines", Form::Ndjson, |length| vec![b'\n'; length]),
        ("blank lines with spaces", Form::Ndjson, |length| repeated("", " \r\n", "", length)),
        ("short lines", Form::Ndjson, |length| repeated("", "0\n", "", length)),
        ("orders", Form::Ndjson, |length| {
            repeated("", "{\"customer_id\":3,\"source\":\"Online\",\"quantity\":1}\n", "", length)
        }),
        ("elements", Form::Json, |length| repeated("[", "0,", "0]", length)),
        ("empty elements", Form::Json, |length| repeated("[", "{},", "{}]", length)),
        ("commas", Form::Json, |length| repeated("[0", ",", "]", length)),
        ("opening brackets", Form::Json, |length| vec![b'['; length]),
        ("nested elements", Form::Json, |length| repeated("[[", "[],", "0]]", length)),
        ("quotes", Form::Json, |length| repeated("[", "\"", "]", length)),
        ("escapes", Form::Json, |length| repeated("[\"", "\\\"", "\"]", length)),
        ("backslashes", Form::Json, |length| repeated("{\"a\":\"", "\\\\", "\"}", length)),
        ("escaped characters", Form::Json, |length| repeated("{\"a\":\"", "\\u0041", "\"}", length)),
        ("deep", Form::Json, |length| repeated("{\"a\":", "[", "", length)),
        ("deep and closed", Form::Json, |length| {
            [b"{\"a\":".to_vec(), vec![b'['; length / 2], vec![b']'; length / 2], b"}".to_vec()].concat()
        }),
        ("keys", Form::Json, |length| keys(length, "\"last\"")),
        ("keys, the last one twice", Form::Json, |length| keys(length, "\"key-7\"")),
        ("one long number", Form::Json, |length| repeated("{\"a\":", "9", "}", length)),
        ("one long exponent", Form::Json, |length| repeated("{\"a\":1e", "9", "}", length)),
        ("numbers that overflow", Form::Json, |length| repeated("{\"a\":[", "1e400,", "1]}", length)),
        ("bytes that are no text", Form::Json, |length| vec![0xff; length]),
    ];
    // Orders may be as long as bodies here: the time that one of them takes is to be seen at any length.
    let rules = Rules { max_order_bytes: 2 * SHORT * FACTOR, ..corpus::rules() };
    let mut slow = Vec::new();
    for (name, form, make) in kinds {
        let (short, long) = (make(SHORT), make(SHORT * FACTOR));
        time(&short, form, &rules);
        let (short, long) = (time(&short, form, &rules), time(&long, form, &rules));
        let ratio = long.as_secs_f64() / short.max(LEAST).as_secs_f64();
        println!("{name:<26} {short:>12.3?} {long:>12.3?} {ratio:>6.1}");
        if ratio > MOST {
            slow.push(name);
        }
    }
    assert!(slow.is_empty(), "out of proportion: {slow:?}");
}

/// The CPU time that this thread takes for a body, without making it.
fn time(body: &[u8], form: Form, rules: &Rules) -> Duration {
    let body = Bytes::copy_from_slice(body);
    let start = cpu_time();
    if let Ok(framed) = frame(&body, form, usize::MAX) {
        let origin = Origin { received_at: 0, due_at: None, idempotency_key: None, batch: framed.batch };
        validate(framed.orders, &origin, rules);
    }
    cpu_time() - start
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap())
}
