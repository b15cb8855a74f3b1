//! Chance that a seed decides. Pure.

/// SplitMix64 (Steele, Lea and Flood 2014): a published generator that takes no crate.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed and stream.
    pub const fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_add(1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a limit, 0 where the limit is.
    pub const fn below(&mut self, limit: u64) -> u64 {
        match self.number().checked_rem(limit) {
            Some(rest) => rest,
            None => 0,
        }
    }

    /// True once in so many times.
    pub const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A time between two, in milliseconds.
    pub fn between(&mut self, least_ms: u64, most_ms: u64) -> std::time::Duration {
        std::time::Duration::from_millis(least_ms + self.below(most_ms.saturating_sub(least_ms) + 1))
    }
}
