//! A broker's address in its answers, replaced by the proxy's. Pure.

use std::net::SocketAddr;

/// Host and port as all of Kafka's answers have them side by side: the text, and four bytes.
const LENGTH: usize = 13;

/// One address in the place of another of the same length.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    from: [u8; LENGTH],
    to: [u8; LENGTH],
}

impl Rewrite {
    /// Both addresses are 127.0.0.1.
    pub(super) fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let bytes = |address: SocketAddr| {
            let mut bytes = *b"127.0.0.1\0\0\0\0";
            if let Some(port) = bytes.last_chunk_mut::<4>() {
                *port = u32::from(address.port()).to_be_bytes();
            }
            bytes
        };
        Self { from: bytes(from), to: bytes(to) }
    }

    /// Replaces every whole address in `held`, and takes out what can be sent: all but an end that may be the beginning
    /// of an address.
    pub(super) fn take(&self, held: &mut Vec<u8>) -> Vec<u8> {
        let mut at = 0;
        while let Some(window) = held.get_mut(at..at + LENGTH) {
            if *window == self.from {
                window.copy_from_slice(&self.to);
            }
            at += 1;
        }
        let begins =
            |length: &usize| self.from.get(..*length).is_some_and(|beginning| held.ends_with(beginning));
        let kept = (1..LENGTH).rev().find(begins).unwrap_or(0);
        let rest = held.split_off(held.len() - kept);
        std::mem::replace(held, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_also_where_it_comes_in_pieces() {
        let (from, to) = ("127.0.0.1:9092".parse().unwrap(), "127.0.0.1:40000".parse().unwrap());
        let rewrite = Rewrite::new(from, to);
        let message = b"a 127.0.0.1\0\0\x23\x84 b 127.0.0.1\0\0\x23\x85 127.0.0.1";
        let expected = b"a 127.0.0.1\0\0\x9c\x40 b 127.0.0.1\0\0\x23\x85 127.0.0.1";
        for cut in 0..message.len() {
            let (mut held, mut sent) = (Vec::new(), Vec::new());
            for piece in [&message[..cut], &message[cut..]] {
                held.extend_from_slice(piece);
                sent.extend(rewrite.take(&mut held));
            }
            sent.extend(held);
            assert_eq!(sent, expected, "cut at {cut}");
        }
    }
}
