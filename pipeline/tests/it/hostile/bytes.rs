//! Requests and bodies as bytes.

use flate2::Compression;
use std::io::{Read, Write, copy, repeat};

/// SplitMix64: a published generator, so that a seed means the same requests everywhere.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// An order that is accepted.
pub fn good(id: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","customer_id":3,"source":"Online","quantity":2,"total":12.50,"note":"0123456789"}}"#
    )
}

/// A request with more headers, each with its line's end.
pub fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST /v1/orders HTTP/1.1\r\nhost: t\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The same in chunks of 7 bytes and more.
pub fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"POST /v1/orders HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7.max(body.len() / 16)) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A small body that is so many MiB of spaces when it is decompressed.
pub fn gzip_bomb(mebibytes: u64) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    copy(&mut repeat(b' ').take(mebibytes << 20), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// The same for zstd, with a window of that many bits.
pub fn zstd_bomb(mebibytes: u64, window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(window_log).unwrap();
    copy(&mut repeat(b' ').take(mebibytes << 20), &mut encoder).unwrap();
    encoder.finish().unwrap()
}
