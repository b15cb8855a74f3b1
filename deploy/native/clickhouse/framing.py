"""How bodies are packed: HTTP's content encodings, ClickHouse's own compressed blocks, and forms. Pure."""

from __future__ import annotations

import gzip
import re
import struct
import zlib

import lz4.block
import lz4.frame
import zstandard

from clickhouse.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_MANY_BYTES, refuse

# A block: 16 bytes of CityHash128, one of method, then two sizes; the packed size counts the last nine of these bytes too.
CHECKSUM_BYTES = 16
HEADER_BYTES = 9
METHOD_NONE, METHOD_LZ4, METHOD_ZSTD = 0x02, 0x82, 0x90
# A reply shorter than this does not get shorter by compression.
COMPRESS_FROM_BYTES = 256


def unpack_blocks(body: bytes, limit: int) -> bytes:
    """Undoes `decompress=1`. Checksums are not verified: they guard against what TCP and loopback do not do."""
    out, at, size = [], 0, 0
    while at < len(body):
        if len(body) - at < CHECKSUM_BYTES + HEADER_BYTES:
            raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", "a compressed block ends within its header")
        method, packed, plain = struct.unpack_from("<BII", body, at + CHECKSUM_BYTES)
        start, end = at + CHECKSUM_BYTES + HEADER_BYTES, at + CHECKSUM_BYTES + packed
        if packed < HEADER_BYTES or end > len(body):
            raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", "a compressed block is longer than the body")
        size += plain
        if size > limit:
            raise too_many_bytes(limit)
        out.append(_unpack_block(method, body[start:end], plain))
        at = end
    return b"".join(out)


def _unpack_block(method: int, data: bytes, plain: int) -> bytes:
    block: bytes
    try:
        if method == METHOD_LZ4:
            block = bytes(lz4.block.decompress(data, uncompressed_size=plain))
        elif method == METHOD_ZSTD:
            block = zstandard.ZstdDecompressor().decompress(data, max_output_size=plain)
        elif method == METHOD_NONE:
            block = data
        else:
            raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"the compression method {method:#x} of a block is not known")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"a compressed block cannot be unpacked: {error}") from error
    if len(block) != plain:
        raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"a block of {plain} bytes unpacks to {len(block)}")
    return block


def decode(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Undoes a Content-Encoding, and stops where the result would be longer than `limit`."""
    name = (encoding or "identity").strip().lower()
    # Data behind the first frame is refused too, rather than dropped.
    if name == "identity" or not body:
        return body
    try:
        return _decode(body, name, limit)
    except (OSError, EOFError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
        raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"the body is not {name}: {error}") from error


def _decode(body: bytes, name: str, limit: int) -> bytes:
    whole = False
    if name in ("gzip", "deflate"):
        # 16 + 15: a gzip header and the largest window; 15: a zlib header.
        inflate = zlib.decompressobj(31 if name == "gzip" else 15)
        plain = inflate.decompress(body, limit + 1)
        whole = inflate.eof and not inflate.unused_data
    elif name == "lz4":
        frame = lz4.frame.LZ4FrameDecompressor()
        plain = frame.decompress(body, limit + 1)
        whole = frame.eof and not frame.unused_data
    elif name == "zstd":
        # Only the reader can stop at a limit, and only the other object says whether the frame was whole.
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            plain = reader.read(limit + 1)
        if len(plain) <= limit:
            frame = zstandard.ZstdDecompressor().decompressobj()
            plain = frame.decompress(body)
            whole = frame.eof and not frame.unused_data
    else:
        raise refuse(NOT_IMPLEMENTED, "NOT_IMPLEMENTED", f"Unknown compression method {name}")
    if len(plain) > limit:
        raise too_many_bytes(limit)
    if not whole:
        raise refuse(CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"the {name} body ends too early, or goes on behind its end")
    return plain


def encode(body: bytes, accept: str | None) -> tuple[bytes, str | None]:
    """Packs a reply in the first encoding that the client takes, the quickest first; a short one goes as it is."""
    if len(body) < COMPRESS_FROM_BYTES:
        return body, None
    accepted = {part.split(";")[0].strip().lower() for part in (accept or "").split(",") if "q=0" not in part.replace("q=0.", "")}
    if "lz4" in accepted:
        return lz4.frame.compress(body), "lz4"
    if "zstd" in accepted:
        return zstandard.ZstdCompressor(level=1).compress(body), "zstd"
    if "gzip" in accepted:
        return gzip.compress(body, 1), "gzip"
    if "deflate" in accepted:
        return zlib.compress(body, 1), "deflate"
    return body, None


def form_fields(body: bytes, content_type: str) -> dict[str, str]:
    """The fields of a multipart form, which clients use for the query and its parameters."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        raise refuse(62, "SYNTAX_ERROR", "the form has no boundary")
    fields = {}
    for part in body.split(b"--" + boundary[1].encode("latin-1"))[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        if name := re.search(rb'name="([^"]+)"', head):
            fields[name[1].decode("utf-8", "replace")] = value.removesuffix(b"\r\n").decode("utf-8", "surrogateescape")
    return fields


def too_many_bytes(limit: int) -> Exception:
    return refuse(TOO_MANY_BYTES, "TOO_MANY_BYTES", f"the body is longer than {limit} bytes")
