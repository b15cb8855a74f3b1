//! Dead letters, for operators: which there are, what they would come to by the rules of today, and sending them again.

mod replay;
mod step;

pub use replay::{ReplayError, replay};
pub use step::{Act, Ask, Report, Step};

use crate::log::LogError;
use crate::log::dead::{DeadLetters, DeadPlace, DeadRecord, Letter, Replayed};
use crate::order::Rules;
use crate::parse::Parser;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Which dead letters are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those with this reason's tag.
    pub reason: Option<String>,
    /// Those of this partition.
    pub partition: Option<u32>,
    /// Those received at this instant or later, in nanoseconds of Unix time.
    pub since: Option<i64>,
    /// Those at one of these places; none is any.
    pub places: Vec<DeadPlace>,
}

impl Filter {
    /// Whether a letter is meant.
    pub fn takes(&self, letter: &Letter) -> bool {
        self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.partition.is_none_or(|partition| partition == letter.place.partition)
            && self.since.is_none_or(|since| letter.received_at >= since)
            && (self.places.is_empty() || self.places.iter().any(|place| place.means(&letter.place)))
    }
}

/// A line of a list.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Line {
    /// The refused record's place, as `PARTITION:OFFSET`.
    pub place: String,
    /// The id of the topic that it is in.
    pub topic_id: String,
    /// The tag of the reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// When it was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// Its key, as far as it is text.
    pub key: Option<String>,
    /// The length of its value.
    pub bytes: usize,
    /// When it was sent again, in nanoseconds of Unix time.
    pub replayed_at: Option<i64>,
    /// What came of that, in words.
    pub outcome: Option<String>,
}

/// How many letters a reason has.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Count {
    /// Letters.
    pub letters: u64,
    /// Of them, those that were sent again.
    pub replayed: u64,
}

/// The dead letters that are meant.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listing {
    /// Each of them, by partition and offset.
    pub letters: Vec<Line>,
    /// How many there are of each reason.
    pub reasons: BTreeMap<String, Count>,
    /// Records among the dead letters that are none.
    pub stray: u64,
}

/// Lists the letters that are meant. Each takes a few hundred bytes of memory, whatever the length of its value.
///
/// # Errors
/// Where they cannot be read.
pub fn list(dead: &impl DeadLetters, filter: &Filter) -> Result<Listing, LogError> {
    let mut found: BTreeMap<DeadPlace, Line> = BTreeMap::new();
    let (mut notes, mut listing) = (BTreeMap::new(), Listing::default());
    dead.read(&mut |record| {
        match record {
            DeadRecord::Letter(letter) if filter.takes(&letter) => {
                found.entry(letter.place.clone()).or_insert_with(|| line(letter));
            }
            DeadRecord::Letter(_) => {}
            DeadRecord::Replayed(note) => {
                notes.entry(note.place.clone()).or_insert(note);
            }
            DeadRecord::Stray => listing.stray += 1,
        }
        ControlFlow::Continue(())
    })?;
    for (place, mut line) in found {
        let count = listing.reasons.entry(line.reason.clone()).or_default();
        count.letters += 1;
        if let Some(note) = notes.remove(&place) {
            count.replayed += 1;
            (line.replayed_at, line.outcome) = (Some(note.at), Some(note.outcome));
        }
        listing.letters.push(line);
    }
    Ok(listing)
}

fn line(letter: Letter) -> Line {
    Line {
        place: letter.place.to_string(),
        topic_id: letter.place.topic_id,
        reason: letter.reason,
        detail: letter.detail,
        received_at: letter.received_at,
        key: letter.key.map(|key| String::from_utf8_lossy(&key).into_owned()),
        bytes: letter.value.len(),
        replayed_at: None,
        outcome: None,
    }
}

/// The letters at a place, of which there is more than one only where the topic was made anew, each with the note that
/// it was sent again.
///
/// # Errors
/// Where they cannot be read.
pub fn find(dead: &impl DeadLetters, place: &DeadPlace) -> Result<Vec<(Letter, Option<Replayed>)>, LogError> {
    let (mut found, mut notes) = (BTreeMap::new(), BTreeMap::new());
    dead.read(&mut |record| {
        match record {
            DeadRecord::Letter(letter) if place.means(&letter.place) => {
                found.entry(letter.place.clone()).or_insert(letter);
            }
            DeadRecord::Replayed(note) if place.means(&note.place) => {
                notes.entry(note.place.clone()).or_insert(note);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(found.into_iter().map(|(place, letter)| (letter, notes.remove(&place))).collect())
}

/// What the rules of today say of a letter, in words; an error is the reason for which it would be refused again.
///
/// # Errors
/// The reason, with its tag.
pub fn verdict(letter: &Letter, rules: &Rules) -> Result<String, String> {
    match Parser::default().parse(&letter.value, letter.received_at, rules) {
        Ok(order) => Ok(format!("{} pieces, {} minor units", order.quantity, order.total_minor)),
        Err(rejection) => Err(format!("{}: {rejection}", rejection.reason.tag())),
    }
}

/// The places at which letters lie that were sent again already.
fn noted(dead: &impl DeadLetters) -> Result<BTreeSet<DeadPlace>, LogError> {
    let mut notes = BTreeSet::new();
    dead.read(&mut |record| {
        if let DeadRecord::Replayed(note) = record {
            notes.insert(note.place);
        }
        ControlFlow::Continue(())
    })?;
    Ok(notes)
}
