//! Why bytes that came in were copied on their way to the log.

/// One cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The body came in several pieces.
    Pieces,
    /// The body was compressed.
    Decompressed,
    /// The body was a small part of a buffer of HTTP/2, which it would have kept whole.
    Unpinned,
    /// The body came over TLS, which decrypts into a buffer of its own.
    Decrypted,
}

impl Copied {
    pub(super) const TAGS: [&'static str; 4] = ["pieces", "decompressed", "unpinned", "decrypted"];
}
