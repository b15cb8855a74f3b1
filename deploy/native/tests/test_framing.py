"""Framing is undone exactly, refuses what is broken, and stops at its limit before it has unpacked more."""

import gzip
import os
import struct
import unittest
import zlib

import lz4.block
import lz4.frame
import zstandard

from clickhouse import framing
from clickhouse.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_MANY_BYTES, ClickHouseError

LIMIT = 1 << 20


def block(method: int, packed: bytes, plain: int) -> bytes:
    return bytes(16) + struct.pack("<BII", method, len(packed) + 9, plain) + packed


class Blocks(unittest.TestCase):
    def test_blocks_of_each_method_are_joined(self) -> None:
        parts = [os.urandom(100) + bytes(1000), b"", b"three"]
        body = block(0x82, lz4.block.compress(parts[0], store_size=False), len(parts[0]))
        body += block(0x02, parts[1], 0)
        body += block(0x90, zstandard.ZstdCompressor().compress(parts[2]), len(parts[2]))
        self.assertEqual(framing.unpack_blocks(body, LIMIT), b"".join(parts))

    def test_a_block_cut_anywhere_is_refused(self) -> None:
        body = block(0x82, lz4.block.compress(b"abcdefgh" * 20, store_size=False), 160)
        for end in range(1, len(body)):
            with self.subTest(end=end), self.assertRaises(ClickHouseError) as caught:
                framing.unpack_blocks(body[:end], LIMIT)
            self.assertEqual(caught.exception.code, CANNOT_DECOMPRESS)

    def test_a_wrong_size_or_method_is_refused(self) -> None:
        packed = lz4.block.compress(b"x" * 100, store_size=False)
        for body in (block(0x82, packed, 99), block(0x82, packed, 101), block(0x55, packed, 100), block(0x02, b"abc", 4)):
            with self.subTest(body=body[:30]), self.assertRaises(ClickHouseError) as caught:
                framing.unpack_blocks(body, LIMIT)
            self.assertEqual(caught.exception.code, CANNOT_DECOMPRESS)

    def test_the_limit_counts_all_blocks_and_is_checked_before_unpacking(self) -> None:
        body = block(0x82, b"this is no lz4", LIMIT + 1)
        with self.assertRaises(ClickHouseError) as caught:
            framing.unpack_blocks(body, LIMIT)
        self.assertEqual((caught.exception.code, caught.exception.status), (TOO_MANY_BYTES, 413))


class Encodings(unittest.TestCase):
    PLAIN = b"1\ta\n" * 5000
    PACKED = {
        "gzip": gzip.compress(PLAIN),
        "deflate": zlib.compress(PLAIN),
        "lz4": lz4.frame.compress(PLAIN),
        "zstd": zstandard.ZstdCompressor().compress(PLAIN),
    }

    def test_each_encoding_comes_back(self) -> None:
        for name, packed in self.PACKED.items():
            with self.subTest(name):
                self.assertEqual(framing.decode(packed, name, LIMIT), self.PLAIN)
        self.assertEqual(framing.decode(self.PLAIN, None, LIMIT), self.PLAIN)

    def test_a_small_body_that_unpacks_to_more_than_the_limit_is_refused(self) -> None:
        for name, packed in self.PACKED.items():
            with self.subTest(name), self.assertRaises(ClickHouseError) as caught:
                framing.decode(packed, name, len(self.PLAIN) - 1)
            self.assertEqual(caught.exception.code, TOO_MANY_BYTES)
            self.assertEqual(framing.decode(packed, name, len(self.PLAIN)), self.PLAIN)

    def test_a_body_that_ends_too_early_or_is_something_else_is_refused(self) -> None:
        for name, packed in self.PACKED.items():
            for body in (packed[: len(packed) // 2], b"something else"):
                with self.subTest(name=name, body=body[:20]), self.assertRaises(ClickHouseError) as caught:
                    framing.decode(body, name, LIMIT)
                self.assertEqual(caught.exception.code, CANNOT_DECOMPRESS)

    def test_an_unknown_encoding_is_not_implemented(self) -> None:
        with self.assertRaises(ClickHouseError) as caught:
            framing.decode(b"x", "rot13", LIMIT)
        self.assertEqual((caught.exception.code, caught.exception.status), (NOT_IMPLEMENTED, 501))

    def test_a_reply_is_packed_as_the_client_asks(self) -> None:
        for accept, name in (("lz4", "lz4"), ("gzip, zstd;q=0.5", "zstd"), ("gzip", "gzip"), ("deflate", "deflate")):
            body, encoding = framing.encode(self.PLAIN, accept)
            self.assertEqual((encoding, framing.decode(body, encoding, LIMIT)), (name, self.PLAIN))
        for accept in (None, "", "br", "gzip;q=0"):
            self.assertEqual(framing.encode(self.PLAIN, accept), (self.PLAIN, None))
        self.assertEqual(framing.encode(b"short", "gzip"), (b"short", None))


class Forms(unittest.TestCase):
    def test_fields_keep_their_bytes(self) -> None:
        body = (
            b'--xx\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {a:String}\r\n'
            b'--xx\r\nContent-Disposition: form-data; name="param_a"\r\n\r\n\xc3\xa4\r\n\r\nb\r\n--xx--\r\n'
        )
        fields = framing.form_fields(body, "multipart/form-data; boundary=xx")
        self.assertEqual(fields, {"query": "SELECT {a:String}", "param_a": "ä\r\n\r\nb"})


if __name__ == "__main__":
    unittest.main()
