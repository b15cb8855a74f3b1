//! Waiting with a deadline, at no cost where there is nothing to wait for, and the clock that never stands still.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::error::Elapsed;

/// Waits for a future at most so long. One that is ready at once is taken without a timer, which most bodies of requests
/// are.
///
/// # Errors
/// [`Elapsed`] when the time is over.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    match first {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => tokio::time::timeout(limit, future).await,
    }
}

/// How long the machine has been up, the time in which it slept included. Two readings tell how old something is, also
/// where the process or the machine stood still in between.
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_taken_and_what_is_late_is_not() {
        assert_eq!(within(Duration::ZERO, async { 7 }).await, Ok(7));
        assert!(within(Duration::from_secs(1), std::future::pending::<()>()).await.is_err());
        let late = tokio::time::sleep(Duration::from_millis(500));
        assert!(within(Duration::from_secs(1), late).await.is_ok());
    }
}
