//! The body of a request: read within its limits, decompressed, and without a copy where it came in one piece.

use super::admission::Admitted;
use super::refusal::Refusal;
use crate::config;
use crate::deadline::within;
use crate::observe::metrics::{Copied, Metrics};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::io::Read;

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
    encoding: Encoding,
    limits: &config::Receive,
    admitted: &mut Admitted<'_>,
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
    admitted: &mut Admitted<'_>,
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
        Encoding::Gzip => read_at_most(flate2::read::MultiGzDecoder::new(bytes), most),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(|_| Refusal::BadEncoding)?;
            // The frame says how much memory it wants; RFC 9659 wants no more than 8 MiB from HTTP.
            decoder.window_log_max(23).map_err(|_| Refusal::BadEncoding)?;
            read_at_most(decoder, most)
        }
    }
}

fn read_at_most(decoder: impl Read, most: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    decoder.take(limit + 1).read_to_end(&mut bytes).map_err(|_| Refusal::BadEncoding)?;
    if bytes.len() > most { Err(Refusal::BodyTooLarge) } else { Ok(bytes) }
}
