//! What a replay is asked for, and what it does with each letter.

use super::Filter;
use crate::log::dead::DeadPlace;
use crate::order::Rules;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which letters.
    pub filter: Filter,
    /// Another body, for a single letter.
    pub with: Option<Bytes>,
    /// Whether letters are sent that the rules of today refuse as well.
    pub refused_too: bool,
    /// Whether nothing is to be done, only said.
    pub dry_run: bool,
    /// The rules of today.
    pub rules: Rules,
    /// How long the log may take to acknowledge.
    pub timeout: Duration,
}

/// What is done with a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is sent, under its order's id.
    Send,
    /// It was sent before, and that is noted.
    Noted,
    /// A record of its order's id is in the log and not stored yet.
    InLog(u32, i64),
    /// An order of its id is stored.
    Stored,
    /// The letter at this place has the same order id, and is sent.
    After(DeadPlace),
    /// The rules of today refuse it as well.
    Refused(String),
    /// It was sent, and the log certainly does not have it.
    Failed(&'static str),
    /// It was sent, and the log may have it: a next replay finds out.
    Unknown(&'static str),
}

/// A letter, and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The letter's place.
    pub place: DeadPlace,
    /// The id of its order.
    pub order_id: String,
    /// What is done.
    pub act: Act,
    /// When the order was created, in nanoseconds of Unix time.
    pub created_at: i64,
}

/// What came of a replay, by place.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each letter that was meant.
    pub steps: BTreeMap<DeadPlace, Step>,
}

impl Act {
    /// Whether the letter needs no more attention.
    pub const fn settled(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Failed(_) | Self::Unknown(_))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send => out.write_str("sent"),
            Self::Noted => out.write_str("left alone: it was sent before"),
            Self::InLog(partition, offset) => {
                write!(
                    out,
                    "left alone: an order of this id is in the log at {partition}:{offset}, not stored yet"
                )
            }
            Self::Stored => out.write_str("left alone: an order of this id is stored"),
            Self::After(place) => write!(out, "left alone: {place} has the same id and goes first"),
            Self::Refused(why) => write!(out, "not sent, would be refused again: {why}"),
            Self::Failed(why) => write!(out, "not sent: {why}"),
            Self::Unknown(why) => write!(out, "may have been sent: {why}; a next replay finds out"),
        }
    }
}
