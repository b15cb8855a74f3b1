//! Connections on which nothing is asked. hyper's own time for heads begins only when it knows the protocol's version, for
//! which it waits without end, and does not hold for HTTP/2, whose clients may answer pings for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The requests of a connection.
#[derive(Debug, Default)]
pub(super) struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request that has begun; it ends when this is dropped, also where its client takes it back.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Counts>);

impl Activity {
    pub(super) fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }

    /// Resolves when nothing has been asked and nothing was under way for so long, at the latest after twice that time.
    pub(super) async fn idle(&self, after: Duration) {
        let mut seen = (0, 0);
        loop {
            tokio::time::sleep(after).await;
            let now = (self.0.begun.load(Ordering::Relaxed), self.0.ended.load(Ordering::Relaxed));
            if now == seen && now.0 == now.1 {
                return;
            }
            seen = now;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const AFTER: Duration = Duration::from_secs(30);

    async fn idle_after(activity: &Activity) -> Duration {
        let started = Instant::now();
        activity.idle(AFTER).await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_begun_in_time_and_nothing_is_under_way() {
        let activity = Activity::default();
        assert_eq!(idle_after(&activity).await, AFTER, "it never asked");
        drop(activity.begin());
        assert_eq!(idle_after(&activity).await, AFTER * 2, "it asked once");
        let under_way = activity.begin();
        let long = tokio::time::timeout(AFTER * 20, activity.idle(AFTER)).await;
        assert!(long.is_err(), "it waits for its answer");
        let ended = async {
            tokio::time::sleep(AFTER * 3 / 2).await;
            drop(under_way);
        };
        let (after, ()) = tokio::join!(idle_after(&activity), ended);
        assert_eq!(after, AFTER * 3, "it is idle from the end of its request on");
    }
}
