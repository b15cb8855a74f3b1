//! Dead letters as they are read back: to be looked at, and to be sent again once. A letter is known by the place of the
//! record that was refused, so that one which was written twice is read once.

use super::{Completion, LogError};
use bytes::Bytes;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

/// Where a refused record lies in the log of orders: what its dead letter is known by. It is written as
/// `PARTITION:OFFSET`, or `TOPIC_ID/PARTITION:OFFSET` where the topic was made anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadPlace {
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
    /// The id of the topic; empty where it is not told, which is any.
    pub topic_id: String,
}

impl DeadPlace {
    /// Whether this place, as somebody wrote it, means a letter's place.
    pub fn means(&self, letter: &Self) -> bool {
        let topic = self.topic_id.is_empty() || self.topic_id == letter.topic_id;
        topic && (self.partition, self.offset) == (letter.partition, letter.offset)
    }
}

impl fmt::Display for DeadPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for DeadPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic_id, place) = text.rsplit_once('/').unwrap_or(("", text));
        let numbers =
            place.split_once(':').and_then(|(at, offset)| Some((at.parse().ok()?, offset.parse().ok()?)));
        let (partition, offset) =
            numbers.ok_or_else(|| format!("{text}: PARTITION:OFFSET is wanted, as 3:1234"))?;
        Ok(Self { partition, offset, topic_id: topic_id.to_owned() })
    }
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where the refused record lies.
    pub place: DeadPlace,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its bytes.
    pub value: Bytes,
    /// When it was received, in nanoseconds of Unix time.
    pub received_at: i64,
    /// The tag of the reason for which it was refused.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// All headers of the letter, as they stand in the log.
    pub headers: Vec<(String, Bytes)>,
}

/// What was done with a dead letter afterwards, noted when it was done for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The letter's place.
    pub place: DeadPlace,
    /// When that was, in nanoseconds of Unix time.
    pub at: i64,
    /// The id of the order that came of it.
    pub order_id: String,
    /// What was found or done, in words.
    pub outcome: String,
}

/// One entry of the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadRecord {
    /// A letter.
    Letter(Letter),
    /// A note that one was sent again.
    Replayed(Replayed),
    /// Something that is neither, which somebody else wrote there.
    Stray,
}

/// Reads the dead letters.
pub trait DeadLetters: Clone + Send + 'static {
    /// Shows all that there are now, a note behind the letter that it is of, until it is told to stop. It blocks.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn read(&self, each: &mut dyn FnMut(DeadRecord) -> ControlFlow<()>) -> Result<(), LogError>;
}

/// Notes which dead letters were sent again.
pub trait MarkReplayed {
    /// Hands notes over. One that is already there is left or written again, which is the same.
    fn mark_replayed(&self, notes: Vec<Replayed>) -> Completion;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_with_or_without_the_topic() {
        let place = |text: &str| text.parse::<DeadPlace>();
        let letter = place("t-1/3:12").unwrap();
        assert_eq!((letter.topic_id.as_str(), letter.partition, letter.offset), ("t-1", 3, 12));
        assert!(place("3:12").unwrap().means(&letter));
        assert!(!place("t-2/3:12").unwrap().means(&letter));
        assert!(!place("3:13").unwrap().means(&letter));
        for wrong in ["", "3", "3:", ":12", "a:b", "-1:3", "3:12:4"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
