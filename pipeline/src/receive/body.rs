//! The body of a request: read within its limits, decompressed, and without a copy where it came in one piece.

use super::admission::Admitted;
use super::refusal::Refusal;
use crate::config;
use crate::deadline::within;
use crate::observe::metrics::{Copied, Metrics};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::Version;
use hyper::body::{Body, Incoming};
use std::io::Read;

/// The most members of a gzip body. Each costs microseconds, and in 8 MiB there is room for 400,000 empty ones, which
/// would hold up a serving thread for a second. A compressor that works in blocks makes 128 members of 8 MiB.
const MAX_MEMBERS: usize = 1_024;

/// A shorter body of HTTP/2 is copied. A connection reads many of them into buffers of 8 KiB and more, and whatever frames
/// lie between them, so that each could keep a buffer for itself. A body of HTTP/1 keeps no more than the one buffer that
/// its connection has anyway (docs/adr/0004-what-a-request-keeps-in-memory.md).
const UNPINNED: usize = 8 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads a body and decompresses it.
///
/// # Errors
/// The refusal to answer with.
pub(super) async fn read(
    body: Incoming,
    (version, encoding): (Version, Encoding),
    limits: &config::Receive,
    admitted: &mut Admitted,
    metrics: &Metrics,
) -> Result<Bytes, Refusal> {
    let most = limits.max_body_bytes;
    // A length that was announced is enough to refuse, before a byte is read.
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Err(Refusal::BodyTooLarge);
    }
    let collected = within(limits.body_timeout, collect(body, most, admitted, metrics));
    let bytes = collected.await.map_err(|_| Refusal::BodyTimeout)??;
    if encoding == Encoding::Identity && version == Version::HTTP_2 && bytes.len() < UNPINNED {
        metrics.copied(Copied::Unpinned).inc_by(bytes.len() as u64);
        return Ok(Bytes::copy_from_slice(&bytes));
    }
    if encoding == Encoding::Identity {
        return Ok(bytes);
    }
    let bytes = Bytes::from(decompress(&bytes, encoding, most)?);
    if !admitted.grow(bytes.len()) {
        return Err(Refusal::Busy);
    }
    metrics.copied(Copied::Decompressed).inc_by(bytes.len() as u64);
    Ok(bytes)
}

/// Collects the pieces of a body. One piece is taken as it is: a slice of the buffer that it was read into.
async fn collect(
    mut body: Incoming,
    most: usize,
    admitted: &mut Admitted,
    metrics: &Metrics,
) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
        let before = all.as_ref().map_or(first.len(), BytesMut::len);
        if before + piece.len() > most {
            return Err(Refusal::BodyTooLarge);
        }
        if !admitted.grow(piece.len()) {
            return Err(Refusal::Busy);
        }
        match &mut all {
            None if first.is_empty() => first = piece,
            None => {
                let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(most);
                let mut joined = BytesMut::with_capacity(before + piece.len() + announced);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&piece);
                all = Some(joined);
            }
            Some(joined) => joined.extend_from_slice(&piece),
        }
    }
    Ok(match all {
        None => first,
        Some(joined) => {
            metrics.copied(Copied::Pieces).inc_by(joined.len() as u64);
            joined.freeze()
        }
    })
}

/// Decompresses on the thread that serves the connection, so that no more bodies are blown up at once than there are
/// threads.
fn decompress(bytes: &[u8], encoding: Encoding, most: usize) -> Result<Vec<u8>, Refusal> {
    match encoding {
        Encoding::Identity => Ok(bytes.to_vec()),
        Encoding::Gzip => decompress_gzip(bytes, most),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(|_| Refusal::BadEncoding)?;
            // The frame says how much memory it wants; RFC 9659 wants no more than 8 MiB from HTTP.
            decoder.window_log_max(23).map_err(|_| Refusal::BadEncoding)?;
            let mut all = Vec::new();
            read_at_most(&mut decoder, most, &mut all)?;
            Ok(all)
        }
    }
}

/// A gzip body is one member, or several, one behind the other.
fn decompress_gzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    for _ in 0..MAX_MEMBERS {
        let mut member = flate2::bufread::GzDecoder::new(rest);
        read_at_most(&mut member, most, &mut all)?;
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(all);
        }
    }
    Err(Refusal::BadEncoding)
}

/// Reads to the end, and no further than the limit of what is there then.
fn read_at_most(decoder: &mut impl Read, most: usize, all: &mut Vec<u8>) -> Result<(), Refusal> {
    let room = u64::try_from(most.saturating_sub(all.len())).unwrap_or(u64::MAX);
    decoder.take(room.saturating_add(1)).read_to_end(all).map_err(|_| Refusal::BadEncoding)?;
    if all.len() > most { Err(Refusal::BodyTooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
        decompress(bytes, Encoding::Gzip, most)
    }

    #[test]
    fn the_members_of_a_gzip_body_are_joined_and_limited_together() {
        let two = [gzip(b"abc"), gzip(b"def")].concat();
        assert_eq!(unzip(&two, 6).unwrap(), b"abcdef");
        assert_eq!(unzip(&two, 5), Err(Refusal::BodyTooLarge));
        assert_eq!(unzip(&gzip(b""), 5).unwrap(), b"");
        for broken in [&b""[..], &two[..two.len() - 1], &[&two[..], b"x"].concat(), b"abc"] {
            assert_eq!(unzip(broken, 100), Err(Refusal::BadEncoding));
        }
    }

    #[test]
    fn a_gzip_body_of_countless_empty_members_is_refused() {
        assert_eq!(unzip(&gzip(b"").repeat(MAX_MEMBERS), 5).unwrap(), b"");
        assert_eq!(unzip(&gzip(b"").repeat(MAX_MEMBERS + 1), 5), Err(Refusal::BadEncoding));
    }

    #[test]
    fn a_zstd_body_is_limited_in_its_length_and_in_the_memory_that_it_asks_for() {
        let unzip = |bytes: &[u8], most| decompress(bytes, Encoding::Zstd, most);
        let frame = zstd::encode_all(&b"abc"[..], 1).unwrap();
        assert_eq!(unzip(&frame.repeat(2), 6).unwrap(), b"abcabc");
        assert_eq!(unzip(&frame.repeat(2), 5), Err(Refusal::BodyTooLarge));
        assert_eq!(unzip(&frame[..frame.len() - 1], 100), Err(Refusal::BadEncoding));
        let mut wide = zstd::Encoder::new(Vec::new(), 1).unwrap();
        wide.window_log(24).unwrap();
        wide.write_all(b"abc").unwrap();
        assert_eq!(unzip(&wide.finish().unwrap(), 100), Err(Refusal::BadEncoding));
    }
}
