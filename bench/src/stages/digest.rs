//! A hash of what a stage came to. It is XXH3, whose values are the same on every machine and in every version.

use xxhash_rust::xxh3::Xxh3;

/// A hash that grows.
#[derive(Default)]
pub struct Digest(Xxh3);

impl Digest {
    /// Takes a text or bytes in, with their length, so that two of them are not taken for one.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Takes a number in.
    pub fn number(&mut self, number: i128) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// What it has come to.
    pub fn finish(&self) -> u64 {
        self.0.digest()
    }
}
