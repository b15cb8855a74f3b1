//! What requests carry: orders that are followed one by one, or bytes whose meaning only the server knows.

use std::sync::Arc;

use bytes::Bytes;

use crate::payload::{Payload, Template};

/// The bodies that a run sends.
#[derive(Clone)]
pub enum Bodies {
    /// Orders, each with an id of its own, so that one can be sent again without harm.
    Orders(Arc<Payload>),
    /// The same body each time, for any server. Nothing is known of its meaning, so nothing is sent again.
    Same(Bytes),
    /// A body of its own for each request, for any server. Nothing is sent again.
    Template(Arc<Template>),
}

impl From<&Arc<Payload>> for Bodies {
    fn from(payload: &Arc<Payload>) -> Self {
        Self::Orders(Arc::clone(payload))
    }
}

impl Bodies {
    /// The number of orders there are to send.
    pub(crate) fn available(&self) -> usize {
        match self {
            Self::Orders(payload) => payload.len(),
            Self::Same(_) | Self::Template(_) => usize::MAX,
        }
    }

    /// The body of a request with `count` orders from `first` on, due at this Unix time. `batched` runs send NDJSON
    /// even where one order is left, because all requests of a run have one content type.
    pub(crate) fn body(&self, first: usize, count: usize, batched: bool, due_unix_ns: u64) -> Option<Bytes> {
        match self {
            Self::Orders(payload) if batched => payload.batch(first, count),
            Self::Orders(payload) => payload.order(first),
            Self::Same(body) => Some(body.clone()),
            Self::Template(template) => Some(template.expand(first as u64, due_unix_ns)),
        }
    }

    pub(crate) fn content_type(&self, batched: bool) -> &'static str {
        match self {
            Self::Orders(_) if batched => "application/x-ndjson",
            Self::Orders(_) => "application/json",
            Self::Template(template) if template.looks_like_json() => "application/json",
            Self::Same(_) | Self::Template(_) => "application/octet-stream",
        }
    }

    /// True if a repeat of the same order is known to be harmless.
    pub(crate) const fn may_be_sent_again(&self) -> bool {
        matches!(self, Self::Orders(_))
    }
}
