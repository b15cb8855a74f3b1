//! Instants: nanoseconds of Unix time, UTC, and the two ways in which an order may write them.

use time::format_description::{BorrowedFormatItem, well_known::Rfc3339};
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;

const TUTORIAL: &[BorrowedFormatItem<'static>] =
    format_description!("[month]/[day]/[year], [hour]:[minute]:[second]");

/// Reads RFC 3339 with a zone, or `MM/DD/YYYY, HH:MM:SS` taken as UTC. `None` if the text is neither. An instant that
/// nanoseconds in 64 bits cannot hold (before 1678, after 2262) becomes the nearest that they can.
pub fn parse(text: &str) -> Option<i64> {
    // RFC 3339 lets a space stand for the T; the library takes any byte there.
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .filter(|_| separated)
        .or_else(|| PrimitiveDateTime::parse(text, TUTORIAL).ok().map(PrimitiveDateTime::assume_utc))?;
    let nanos = instant.unix_timestamp_nanos();
    Some(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// Writes an instant as RFC 3339 in UTC.
pub fn format(nanos: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos))
        .ok()
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// The minute that an instant lies in, in minutes of Unix time.
pub const fn minute(nanos: i64) -> i64 {
    nanos.div_euclid(MINUTE)
}

/// Now, by the system's clock.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_time_are_read_to_utc() {
        for (text, seconds) in [
            ("2023-06-01T12:30:45Z", 1_685_622_645),
            ("2023-06-01T14:30:45+02:00", 1_685_622_645),
            ("2023-06-01T12:30:45-00:00", 1_685_622_645),
            ("2023-06-01 12:30:45z", 1_685_622_645),
            ("06/01/2023, 12:30:45", 1_685_622_645),
        ] {
            assert_eq!(parse(text), Some(seconds * SECOND), "{text}");
        }
        assert_eq!(parse("1970-01-01T00:00:00.123456789Z"), Some(123_456_789));
        assert_eq!(parse("9999-12-31T23:59:59Z"), Some(i64::MAX));
        assert_eq!(parse("0001-01-01T00:00:00Z"), Some(i64::MIN));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "2023-06-01",
            "2023-06-01T12:30:45",
            "2023-02-29T00:00:00Z",
            "2023-06-01T25:00:00Z",
            "13/01/2023, 00:00:00",
            "06/01/2023 12:30:45",
            "6/1/2023, 1:2:3",
            "1685622645",
            "2023-06-01T12:30:45Z ",
            "2023-06-01_12:30:45Z",
            "2023-06-01\x0012:30:45Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_minute_holds_its_sixty_seconds_also_before_the_epoch() {
        assert_eq!((minute(0), minute(MINUTE - 1), minute(MINUTE)), (0, 0, 1));
        assert_eq!(minute(-1), -1);
        assert_eq!(format(1_685_622_645 * SECOND), "2023-06-01T12:30:45Z");
    }
}
