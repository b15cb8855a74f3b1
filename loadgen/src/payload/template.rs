//! Bodies from a template: text with placeholders that are filled in for each request.
//!
//! What a request gets is a function of the seed, its number and the instant at which it is due, so any thread can make
//! it at any time, and a template with its seed is the same load again. It is filled in when the request is sent, which
//! costs a copy of the text and some tens of nanoseconds a placeholder.

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::retail::Draws;

/// Why a template cannot be used. The texts read after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("read the template: a {{{{ at byte {0} has no }}}}")]
    Open(usize),
    /// A placeholder that is not known, or whose arguments are not.
    #[error(
        "read the template: {{{{{0}}}}} is none of seq, uuid, int:LOW:HIGH, choice:A|B|C, now, now_ms and now_ns"
    )]
    Placeholder(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    /// The number of the request, from 0.
    Seq,
    /// A version 4 UUID.
    Uuid,
    /// A whole number from the first to the second, both included.
    Int(i64, i64),
    /// One of these.
    Choice(Vec<String>),
    /// The instant at which the request is due: RFC 3339, Unix milliseconds, Unix nanoseconds.
    Now,
    NowMs,
    NowNs,
}

/// A text with placeholders.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
    seed: u64,
    length: usize,
    fingerprint: u64,
}

impl Template {
    /// Reads a template. `{{` begins a placeholder, whatever stands around it.
    ///
    /// # Errors
    /// A placeholder that is not closed or not known.
    pub fn new(text: &str, seed: u64) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let open = || TemplateError::Open(text.len() - after.len() - 2);
            let (name, after) = after.split_once("}}").ok_or_else(open)?;
            pieces.push(Piece::Text(before.as_bytes().to_vec()));
            let unknown = || TemplateError::Placeholder(name.trim().to_owned());
            pieces.push(placeholder(name.trim()).ok_or_else(unknown)?);
            rest = after;
        }
        pieces.push(Piece::Text(rest.as_bytes().to_vec()));
        Ok(Self { pieces, seed, length: text.len(), fingerprint: xxh3_64_with_seed(text.as_bytes(), seed) })
    }

    /// The body of request `number`, due at this Unix time.
    pub fn expand(&self, number: u64, due_unix_ns: u64) -> Bytes {
        let mut draws = Draws::new(xxh3_64_with_seed(&number.to_le_bytes(), self.seed));
        let mut out = Vec::with_capacity(self.length + 64);
        let mut digits = itoa::Buffer::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Seq => out.extend_from_slice(digits.format(number).as_bytes()),
                Piece::Uuid => out.extend_from_slice(uuid(&mut draws).as_bytes()),
                Piece::Int(low, high) => {
                    let drawn = draws.below(high.abs_diff(*low).saturating_add(1));
                    out.extend_from_slice(digits.format(low.saturating_add_unsigned(drawn)).as_bytes());
                }
                Piece::Choice(among) => {
                    let drawn = usize::try_from(draws.below(among.len() as u64)).unwrap_or(0);
                    out.extend_from_slice(among.get(drawn).map_or(b"", |one| one.as_bytes()));
                }
                Piece::Now => out.extend_from_slice(rfc3339(due_unix_ns).as_bytes()),
                Piece::NowMs => out.extend_from_slice(digits.format(due_unix_ns / 1_000_000).as_bytes()),
                Piece::NowNs => out.extend_from_slice(digits.format(due_unix_ns).as_bytes()),
            }
        }
        Bytes::from(out)
    }

    /// Of the text and the seed: what stands for the instants is not in it.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What the numbers and choices are drawn from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn looks_like_json(&self) -> bool {
        let first = self.pieces.iter().find_map(|piece| match piece {
            Piece::Text(text) => text.iter().find(|byte| !byte.is_ascii_whitespace()),
            _ => None,
        });
        matches!(first, Some(b'{' | b'['))
    }
}

fn placeholder(name: &str) -> Option<Piece> {
    match name {
        "seq" => Some(Piece::Seq),
        "uuid" => Some(Piece::Uuid),
        "now" => Some(Piece::Now),
        "now_ms" => Some(Piece::NowMs),
        "now_ns" => Some(Piece::NowNs),
        _ => match name.split_once(':')? {
            ("int", range) => {
                let (low, high) = range.split_once(':')?;
                let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
                (low <= high).then_some(Piece::Int(low, high))
            }
            ("choice", among) => Some(Piece::Choice(among.split('|').map(str::to_owned).collect())),
            _ => None,
        },
    }
}

fn uuid(draws: &mut Draws) -> String {
    let bits = (u128::from(draws.word()) << 64) | u128::from(draws.word());
    let bits = bits & !(0xf000_u128 << 64) & !(0b11 << 62) | (0x4000_u128 << 64) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn rfc3339(unix_ns: u64) -> String {
    let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ns));
    instant.ok().and_then(|instant| instant.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str, number: u64) -> String {
        let body = Template::new(text, 7).unwrap().expand(number, 1_700_000_000_123_000_000);
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn what_is_no_placeholder_stays_as_it_is() {
        assert_eq!(expanded(r#"{"a":{"b":1}}"#, 0), r#"{"a":{"b":1}}"#);
        assert_eq!(expanded("", 0), "");
    }

    #[test]
    fn the_number_and_the_due_instant_are_filled_in() {
        let text = r#"{"n":{{seq}},"at":"{{ now }}","ms":{{now_ms}}}"#;
        assert_eq!(expanded(text, 41), r#"{"n":41,"at":"2023-11-14T22:13:20.123Z","ms":1700000000123}"#);
    }

    #[test]
    fn numbers_and_choices_stay_in_their_range_and_reach_all_of_it() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            seen.insert(expanded("{{int:-1:1}} {{choice:a|b}}", number));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["-1 a", "-1 b", "0 a", "0 b", "1 a", "1 b"]);
    }

    #[test]
    fn a_uuid_is_one_and_differs_from_request_to_request() {
        let id: uuid::Uuid = expanded("{{uuid}}", 1).parse().unwrap();
        assert_eq!((id.get_version_num(), id.get_variant()), (4, uuid::Variant::RFC4122));
        assert_ne!(expanded("{{uuid}}", 1), expanded("{{uuid}}", 2));
    }

    #[test]
    fn the_same_seed_is_the_same_load_and_another_is_another() {
        let of = |seed| Template::new("{{int:0:1000000000}}", seed).unwrap();
        assert_eq!(of(1).expand(5, 0), of(1).expand(5, 9));
        assert_ne!(of(1).expand(5, 0), of(2).expand(5, 0));
        assert_ne!(of(1).fingerprint(), of(2).fingerprint());
    }

    #[test]
    fn a_mistake_is_named() {
        let error = |text| Template::new(text, 0).unwrap_err();
        assert_eq!(error("ab{{seq"), TemplateError::Open(2));
        for name in ["sequence", "int:1", "int:2:1", "int:a:b", ""] {
            assert_eq!(error(&format!("{{{{{name}}}}}")), TemplateError::Placeholder(name.to_owned()));
        }
    }
}
