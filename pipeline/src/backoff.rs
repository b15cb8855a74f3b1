//! How long to wait before trying again: twice as long each time up to a limit, with jitter, so that many who failed
//! together do not come back together. Pure but for the jitter, which the caller brings.

use std::time::Duration;

/// The pauses of one series of tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { next: first.min(most), most }
    }

    /// The next pause: between half of it and all of it, by a jitter between 0 and 255.
    pub(crate) fn pause(&mut self, jitter: u8) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause / 2 + pause / 2 * u32::from(jitter) / 255
    }
}

/// Some jitter. It needs to differ between processes and tries, not to be random.
pub(crate) fn jitter() -> u8 {
    (crate::time::now() / 1_000).to_le_bytes().iter().fold(0, |sum, byte| sum ^ byte.rotate_left(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_are_never_less_than_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let longest: Vec<_> = (0..6).map(|_| backoff.pause(255).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.pause(0).as_millis(), 500);
    }
}
