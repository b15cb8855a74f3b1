"""Receiving: a request's bytes within limits of size and time."""

from __future__ import annotations

import dataclasses
import io
import re
import socket
import time
from email.message import Message
from typing import Any

from clickhouse import framing
from clickhouse.errors import SYNTAX_ERROR, refuse
from clickhouse.queries import BodyAccount

PIECE_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one client, and all of them, may take."""

    connections: int = 256
    body_bytes: int = 256 << 20
    bodies_bytes: int = 1 << 30
    # An idle connection is closed after this; a server says 30 too.
    keep_alive_s: float = 30.0
    # From a request's first byte until its body is whole; and for a reply to be taken.
    receive_s: float = 60.0
    send_s: float = 120.0
    # How long a stop waits for the queries that still run.
    drain_s: float = 20.0


class TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline: a client that sends a byte now and then does not hold a thread for ever."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = time.monotonic()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not come in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def read_body(reader: io.BufferedReader[Any], headers: Message, account: BodyAccount, limit: int) -> bytes:
    """The request's body, whole: a client that breaks off has sent nothing. After an error the connection cannot go on."""
    pieces: list[bytes] = []
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
        while size := _chunk_size(reader):
            _read(reader, size, pieces, account, limit)
            _line(reader)
        while _line(reader):
            pass
    else:
        text = headers.get("Content-Length") or "0"
        if not text.isdecimal():
            raise refuse(SYNTAX_ERROR, "SYNTAX_ERROR", "Content-Length is not a number")
        _read(reader, int(text), pieces, account, limit)
    return b"".join(pieces)


def _chunk_size(reader: io.BufferedReader[Any]) -> int:
    text = _line(reader).split(b";")[0].strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", text):
        raise refuse(SYNTAX_ERROR, "SYNTAX_ERROR", "a chunk has no size")
    return int(text, 16)


def _line(reader: io.BufferedReader[Any]) -> bytes:
    line = reader.readline(PIECE_BYTES)
    if not line.endswith(b"\n"):
        raise ConnectionAbortedError("the body ends within a line")
    return line.rstrip(b"\r\n")


def _read(reader: io.BufferedReader[Any], size: int, pieces: list[bytes], account: BodyAccount, limit: int) -> None:
    if account.used + size > limit:
        raise framing.too_many_bytes(limit)
    account.take(size)
    while size:
        piece = reader.read1(min(size, 1 << 20))
        if not piece:
            raise ConnectionAbortedError("the body ends too early")
        pieces.append(piece)
        size -= len(piece)
