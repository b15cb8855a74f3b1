//! What an error of ClickHouse's means. Pure.

use clickhouse::error::Error;

/// Codes of answers that would come again, each with the kind it is counted under. Whatever is not here may pass: a full
/// disk (243), too many parts (252), memory (241), a time-out (159), a read-only table (242), the same query id still
/// running (216), a server that is going down (210, 279).
const REFUSED: [(u32, &str); 22] = [
    // The table is not there, or is another.
    (60, "schema"),
    (81, "schema"),
    (16, "schema"),
    (47, "schema"),
    (53, "schema"),
    (70, "schema"),
    (20, "schema"),
    (117, "schema"),
    // What was asked for makes no sense to it.
    (62, "invalid"),
    (36, "invalid"),
    (115, "invalid"),
    // A value does not fit: out of bounds or of its type's range, no null, an overflow, a constraint.
    (69, "invalid"),
    (321, "invalid"),
    (349, "invalid"),
    (407, "invalid"),
    (469, "invalid"),
    // Who asks may not.
    (164, "unauthorized"),
    (192, "unauthorized"),
    (193, "unauthorized"),
    (194, "unauthorized"),
    (497, "unauthorized"),
    (516, "unauthorized"),
];

/// Whether it would come again, and the kind that it is counted under.
pub(super) fn judge(error: &Error) -> (bool, &'static str) {
    match error {
        Error::BadResponse(text) => match code(text) {
            Some(code) => REFUSED
                .iter()
                .find(|(refused, _)| *refused == code)
                .map_or((false, "server"), |(_, kind)| (true, *kind)),
            // Something between here and the server answered.
            None => (false, "bad_response"),
        },
        Error::TimedOut => (false, "timeout"),
        Error::Network(_) => (false, "connection"),
        // What was made here does not fit the table.
        Error::SchemaMismatch(_) | Error::InvalidColumnsHeader(_) => (true, "schema"),
        Error::InvalidParams(_) | Error::Unsupported(_) | Error::Custom(_) => (true, "invalid"),
        // An answer that was cut short, or is none.
        _ => (false, "other"),
    }
}

/// The code in the text of an exception.
fn code(text: &str) -> Option<u32> {
    let digits = text.split("Code: ").nth(1)?;
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(text: &str) -> (bool, &'static str) {
        judge(&Error::BadResponse(text.into()))
    }

    #[test]
    fn what_passes_is_not_refused() {
        for text in [
            "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space",
            "Code: 252. DB::Exception: Too many parts",
            "Code: 159. DB::Exception: Timeout exceeded",
            "Code: 216. DB::Exception: Query with id = t-0-0-0 is already running",
            "Code: 99999",
        ] {
            assert_eq!(answered(text), (false, "server"), "{text}");
        }
        assert_eq!(answered("502 Bad Gateway"), (false, "bad_response"));
        assert_eq!(judge(&Error::TimedOut), (false, "timeout"));
        assert_eq!(judge(&Error::Network("cut".into())), (false, "connection"));
    }

    #[test]
    fn what_would_come_again_is_refused() {
        assert_eq!(answered("Code: 60. DB::Exception: Table sales.x does not exist"), (true, "schema"));
        assert_eq!(
            answered("Code: 516. DB::Exception: default: Authentication failed"),
            (true, "unauthorized")
        );
        assert_eq!(answered("Code: 62"), (true, "invalid"));
        assert_eq!(answered("Code: 469. DB::Exception: Constraint `c` is violated"), (true, "invalid"));
        assert_eq!(judge(&Error::SchemaMismatch("minute".into())), (true, "schema"));
    }
}
