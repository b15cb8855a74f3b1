//! Long answers: each counts as in flight until the connection has let go of its bytes, and a client that does not read
//! it in time is cut off.
//!
//! A hostile batch of 100 KB is answered by 6 MB, and hyper holds what nobody reads without end. Cutting the connection
//! instead of the one write covers HTTP/2 too, where an answer that finds no room in the client's window blocks nothing
//! that could time out.

use super::admission::Admitted;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// The longest answer that is not counted: it fits the buffers that a connection has anyway.
pub(super) const SHORT: usize = 16 << 10;

/// Whether a connection has left an answer unread for too long.
#[derive(Debug, Default)]
pub(super) struct Unread(Notify);

impl Unread {
    /// An answer's bytes. If it is long, what was admitted for the request counts it now, until it is sent, for which
    /// there is so much time.
    pub(super) fn hold(self: &Arc<Self>, body: String, admitted: Option<Admitted>, limit: Duration) -> Bytes {
        let Some(mut admitted) = admitted.filter(|_| body.len() > SHORT) else { return Bytes::from(body) };
        admitted.keep(body.len());
        let (on_drop, sent) = oneshot::channel();
        let unread = Arc::clone(self);
        tokio::spawn(async move {
            // An answer that is gone has dropped its end of the channel.
            if timeout(limit, sent).await.is_err() {
                unread.0.notify_one();
            }
        });
        Bytes::from_owner(Held { body, _admitted: admitted, _on_drop: on_drop })
    }

    /// Resolves when the time for an answer is over.
    pub(super) async fn overdue(&self) {
        self.0.notified().await;
    }
}

/// A long answer, and what goes with the last of its bytes.
struct Held {
    body: String,
    _admitted: Admitted,
    _on_drop: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::admission::Admission;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_counts_as_in_flight_until_its_last_byte_is_gone() {
        let (unread, admission) =
            (Arc::new(Unread::default()), Admission::new(1 << 20, 2, Duration::from_secs(1)));
        let short = unread.hold("x".repeat(SHORT), admission.enter(), LIMIT);
        assert_eq!((admission.in_flight(), short.len()), ((0, 0), SHORT));
        let mut long = unread.hold("x".repeat(SHORT + 1), admission.enter(), LIMIT);
        let part = long.split_to(10);
        drop(long);
        assert_eq!(admission.in_flight(), (SHORT + 1, 1));
        drop(part);
        assert_eq!(admission.in_flight(), (0, 0));
        assert!(timeout(2 * LIMIT, unread.overdue()).await.is_err(), "it was sent in time");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_in_its_time_is_overdue() {
        let (unread, admission) =
            (Arc::new(Unread::default()), Admission::new(1 << 20, 2, Duration::from_secs(1)));
        let _kept = unread.hold("x".repeat(SHORT + 1), admission.enter(), LIMIT);
        assert!(timeout(LIMIT / 2, unread.overdue()).await.is_err());
        assert!(timeout(LIMIT, unread.overdue()).await.is_ok());
    }
}
