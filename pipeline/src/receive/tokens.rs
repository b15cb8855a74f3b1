//! Bearer tokens: a file of names and digests, and the comparison of what a client shows with it.
//!
//! A token is 256 random bits, so there is no dictionary to try, and its plain SHA-256 gives away as little as a slow
//! hash would: slow hashes and salts are for what people choose. Whoever reads the file can let nobody in.

use ring::digest::{SHA256, digest};
use std::collections::BTreeSet;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The longest name of a client.
const MAX_NAME: usize = 64;
/// Bytes of a SHA-256.
const DIGEST: usize = 32;

/// The digests of the tokens that are let in, each with the name of whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Known>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    digest: [u8; DIGEST],
}

impl Tokens {
    /// Reads a file's text: a line is a name and the SHA-256 of a token in hexadecimal; empty lines and those that begin
    /// with `#` are none. A name may have several tokens, so that one can be replaced without a gap.
    ///
    /// # Errors
    /// The line and what is wrong with it, but never what stands in it; or that there is no token at all, which is more
    /// likely a file that is being written than the wish to lock everybody out.
    pub fn read(text: &str) -> Result<Self, String> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        for (line, number) in text.lines().zip(1..) {
            let mut words = line.split_ascii_whitespace();
            let (Some(name), digest) = (words.next(), words.next()) else { continue };
            if name.starts_with('#') {
                continue;
            }
            if name.len() > MAX_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("line {number}: a name is 1 to {MAX_NAME} visible ASCII characters"));
            }
            let Some(digest) = digest.and_then(from_hex).filter(|_| words.next().is_none()) else {
                return Err(format!(
                    "line {number}: a name and the 64 hexadecimal digits of a SHA-256 are wanted"
                ));
            };
            if !seen.insert(digest) {
                return Err(format!("line {number}: this token stands there twice"));
            }
            found.push(Known { name: name.to_owned(), digest });
        }
        if found.is_empty() { Err("there is no token in it".to_owned()) } else { Ok(Self(found)) }
    }

    /// The name of the client that a token belongs to. It is compared with all of them, each in constant time, so that
    /// the time taken says neither which it is nor how much of it was right.
    pub fn owner(&self, token: &str) -> Option<&str> {
        let given = digest_of(token);
        let (mut at, mut found) = (0_u64, Choice::from(0));
        for (known, number) in self.0.iter().zip(0_u64..) {
            let same = known.digest.ct_eq(&given);
            at.conditional_assign(&number, same);
            found |= same;
        }
        let known = self.0.get(usize::try_from(at).ok()?).filter(|_| bool::from(found))?;
        Some(&known.name)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none, as in no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, each once.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.iter().map(|known| known.name.as_str()).collect()
    }
}

/// The line of the file for a client's token.
///
/// # Errors
/// Where the name is none.
pub fn line(name: &str, token: &str) -> Result<String, String> {
    let digest: String = digest_of(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("{name} {digest}");
    // What is handed out must be read back as it was meant.
    match Tokens::read(&line) {
        Ok(tokens) if tokens.owner(token) == Some(name) => Ok(line),
        _ => Err(format!(
            "a name is 1 to {MAX_NAME} visible ASCII characters, no spaces, and does not begin with #"
        )),
    }
}

fn digest_of(token: &str) -> [u8; DIGEST] {
    let mut bytes = [0; DIGEST];
    // A SHA-256 has as many bytes as there is room for.
    bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    bytes
}

fn from_hex(text: &str) -> Option<[u8; DIGEST]> {
    let mut bytes = [0; DIGEST];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != DIGEST || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let [high, low] = pair.map(digit);
        *byte = high? << 4 | low?;
    }
    Some(bytes)
}

/// The token of an `Authorization` header (RFC 6750), whose scheme is read in any case.
pub(super) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_the_line_that_was_made_for_it_and_by_no_other() {
        let text = format!(
            "# two shops\n\n{}\r\n{}\n{}\n",
            line("north", "token-1").unwrap(),
            line("south", "token-2").unwrap(),
            line("south", "token-3").unwrap().to_uppercase().replace("SOUTH", "south"),
        );
        let tokens = Tokens::read(&text).unwrap();
        assert_eq!((tokens.len(), tokens.names().len()), (3, 2));
        for (token, owner) in [
            ("token-1", Some("north")),
            ("token-2", Some("south")),
            ("token-3", Some("south")),
            ("token-4", None),
            ("", None),
            ("Token-1", None),
        ] {
            assert_eq!(tokens.owner(token), owner, "{token}");
        }
        // The published digest of the empty text.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(line("nobody", "").unwrap(), format!("nobody {empty}"));
    }

    #[test]
    fn a_file_that_is_not_as_it_should_be_is_refused_without_being_quoted() {
        let digest = "ab".repeat(32);
        for (text, complaint) in [
            ("".to_owned(), "there is no token in it"),
            ("# only a comment\n".to_owned(), "there is no token in it"),
            ("canary".to_owned(), "line 1: a name and"),
            (format!("\ncanary {}", &digest[1..]), "line 2: a name and"),
            (format!("canary {digest}00"), "line 1: a name and"),
            (format!("canary {digest} more"), "line 1: a name and"),
            (format!("canary {}", digest.replace('a', "g")), "line 1: a name and"),
            (format!("canary {}", digest.replace("ab", "\u{e9}")), "line 1: a name and"),
            (format!("{} {digest}", "x".repeat(65)), "line 1: a name is"),
            (format!("caf\u{e9} {digest}"), "line 1: a name is"),
            (
                format!("one {digest}\ncanary {}", digest.to_uppercase()),
                "line 2: this token stands there twice",
            ),
        ] {
            let error = Tokens::read(&text).unwrap_err();
            assert!(error.starts_with(complaint) && !error.contains("canary"), "{error} for {text}");
        }
        for name in ["", "two words", "#hidden", "tab\there", &"x".repeat(65)] {
            assert!(line(name, "token").is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bEARER  abc "), Some("abc"));
        for other in ["", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
