//! Reading an objective: words, then terms. Errors say which word they are about and what could stand there.

use super::{Figure, Term};

const HOPS: [&str; 6] = ["delay", "service", "response", "log", "orders", "rollup"];

/// Why a text is no objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no objective: {problem}")]
pub struct ObjectiveError {
    text: String,
    problem: String,
}

type Read<T> = Result<T, String>;

pub(super) fn read(text: &str) -> Result<Vec<Term>, ObjectiveError> {
    terms(text).map_err(|problem| ObjectiveError { text: text.to_owned(), problem })
}

fn terms(text: &str) -> Read<Vec<Term>> {
    let spaced = spaced(text);
    let words: Vec<&str> = spaced.split_whitespace().collect();
    if words.is_empty() {
        return Err("it is empty; write a term such as `response.p99 <= 50ms`".to_owned());
    }
    words.split(|word| *word == "and").map(term).collect()
}

/// The text with room around the signs, so that `response.p99<=50ms` is three words too.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '<' | '>' | '=' => {
                spaced.push(' ');
                spaced.push(char);
                if let Some(equals) = chars.next_if_eq(&'=') {
                    spaced.push(equals);
                }
                spaced.push(' ');
            }
            other => spaced.push(other),
        }
    }
    spaced
}

fn term(words: &[&str]) -> Read<Term> {
    match words {
        [] => Err("a term is missing beside `and`".to_owned()),
        ["lag", rest @ ..] => word("lag", "flat", rest).map(|()| Term::LagFlat),
        ["ledger", rest @ ..] => word("ledger", "balanced", rest).map(|()| Term::LedgerBalanced),
        [subject, sign, limit @ ..] => {
            let limit = limit.concat();
            let inclusive = match *sign {
                "<=" => true,
                "<" => false,
                other => {
                    return Err(format!("after `{subject}` stands `{other}`, where `<=` or `<` is wanted"));
                }
            };
            compared(subject, inclusive, &limit)
        }
        [subject] => Err(match subject.contains('.') || ["errors", "cpu"].contains(subject) {
            true => format!("`{subject}` has no limit; write `{subject} <= …`"),
            false => unknown(subject),
        }),
    }
}

/// `lag` is followed by `flat`, and by nothing else.
fn word(subject: &str, wanted: &str, found: &[&str]) -> Read<()> {
    match found {
        [only] if *only == wanted => Ok(()),
        [] => Err(format!("after `{subject}` a word is missing; write `{subject} {wanted}`")),
        other => Err(format!("after `{subject}` stands `{}`; write `{subject} {wanted}`", other.join(" "))),
    }
}

fn compared(subject: &str, inclusive: bool, limit: &str) -> Read<Term> {
    match subject.split_once('.') {
        None if subject == "errors" || subject == "cpu" => {
            if !inclusive {
                return Err(format!("after `{subject}` stands `<`, where `<=` is wanted"));
            }
            if subject == "errors" {
                share(limit).map(|limit| Term::Errors { limit })
            } else {
                milliseconds(limit).map(|ms| Term::Cpu { limit_us: ms * 1e3 })
            }
        }
        None => Err(unknown(subject)),
        Some((hop, figure)) => {
            let hop = HOPS
                .into_iter()
                .find(|known| *known == hop)
                .ok_or_else(|| format!("there is no hop `{hop}`; there are {}", HOPS.join(", ")))?;
            let tags = Figure::ALL.map(Figure::tag);
            let figure = match figure {
                "p999" => Some(Figure::P999),
                other => Figure::ALL.into_iter().find(|known| known.tag() == other),
            };
            let figure = figure.ok_or_else(|| {
                format!("`{subject}` names no figure of a histogram; there are {}", tags.join(", "))
            })?;
            Ok(Term::Latency { hop, figure, inclusive, limit_ms: milliseconds(limit)? })
        }
    }
}

fn unknown(subject: &str) -> String {
    format!(
        "`{subject}` is no term; there are `HOP.FIGURE <= DURATION`, `errors <= PERCENT`, `cpu <= DURATION`, `lag flat` \
         and `ledger balanced`"
    )
}

/// `50ms`, `1.5s`, `30us`: a number and its unit, as a number of milliseconds.
fn milliseconds(limit: &str) -> Read<f64> {
    const UNITS: [(&str, f64); 5] = [("ms", 1.0), ("us", 1e-3), ("µs", 1e-3), ("s", 1e3), ("m", 6e4)];
    let wanted = || format!("`{limit}` is no duration; write one such as 50ms, 1.5s or 300us");
    let (number, unit) =
        UNITS.into_iter().find_map(|(unit, ms)| Some((limit.strip_suffix(unit)?, ms))).ok_or_else(wanted)?;
    let number = number.parse::<f64>().map_err(|_| wanted())?;
    if number.is_finite() && number > 0.0 { Ok(number * unit) } else { Err(wanted()) }
}

fn share(limit: &str) -> Read<f64> {
    let wanted = || format!("`{limit}` is no share; write one such as 0% or 0.1%");
    let number = limit.strip_suffix('%').ok_or_else(wanted)?.parse::<f64>().map_err(|_| wanted())?;
    if (0.0..=100.0).contains(&number) { Ok(number / 100.0) } else { Err(wanted()) }
}
