//! Numbers that no double can hold, in the text of a record whose unknown fields may have numbers of any size.

/// Overwrites, in place, each JSON number that overflows a double by one that is greater than any field accepts
/// (1e300, or -1e300), padded with spaces, and says whether there was any. The text need not be JSON; what is inside
/// strings is left alone.
pub(crate) fn tame(text: &mut [u8]) -> bool {
    let mut tamed = false;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b'-' | b'0'..=b'9' => {
                let end = at + text.iter().skip(at).take_while(|byte| is_of_number(**byte)).count();
                if let Some(token) = text.get_mut(at..end) {
                    tamed |= tame_token(token);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    tamed
}

fn tame_token(token: &mut [u8]) -> bool {
    let overflows = std::str::from_utf8(token)
        .ok()
        .filter(|text| is_number(text))
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_infinite);
    if overflows {
        // The shortest number that overflows, 2e308, is as long as its replacement.
        let replacement = if token.first() == Some(&b'-') { b"-1e300".as_slice() } else { b"1e300" };
        for (at, byte) in token.iter_mut().enumerate() {
            *byte = replacement.get(at).copied().unwrap_or(b' ');
        }
    }
    overflows
}

const fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// JSON's grammar of a number, which is narrower than Rust's.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// The place behind the string that begins at `start`, or the text's end.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tamed(text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        tame(&mut bytes).then(|| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_numbers_that_overflow_are_replaced() {
        assert_eq!(tamed(r#"{"a":1e400,"b":-9e999,"c":1}"#).unwrap(), r#"{"a":1e300,"b":-1e300,"c":1}"#);
        let long = format!("[{}]", "9".repeat(400));
        assert_eq!(tamed(&long).unwrap(), format!("[1e300{}]", " ".repeat(395)));
        for untouched in [
            r#"{"a":1e300,"b":123}"#,
            r#"{"a":"1e400"}"#,
            r#"{"a":"\"1e400"}"#,
            "[01e400]",
            "[1e400.5]",
            "\"1e400",
        ] {
            assert_eq!(tamed(untouched), None, "{untouched}");
        }
    }
}
