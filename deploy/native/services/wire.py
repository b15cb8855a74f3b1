"""The few frames of Kafka's and Cassandra's protocols that a readiness check needs, over one short-lived connection."""

from __future__ import annotations

import socket
import struct

from services.settings import HOST

# A check is repeated every half second, so a reply that takes longer than this is no reply.
REPLY_TIMEOUT_S = 5.0
REPLY_BYTES_MAX = 1 << 20


def connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=REPLY_TIMEOUT_S)


def receive(connection: socket.socket, size: int) -> bytes:
    if size > REPLY_BYTES_MAX:
        raise ValueError(f"a reply of {size} bytes")
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("the connection was closed before the reply was whole")
        data += piece
    return bytes(data)


def kafka_metadata_request() -> bytes:
    """Metadata, version 1, for no topic, without a client id."""
    body = struct.pack(">hhih", 3, 1, 7, -1) + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def kafka_brokers(reply: bytes) -> list[int]:
    """The ids of the brokers in a Metadata reply of version 1: a broker that is fenced is not among them."""
    correlation, count = struct.unpack_from(">ii", reply, 0)
    if correlation != 7:
        raise ValueError("the reply is to another request")
    at, ids = 8, []
    for _ in range(count):
        (node,) = struct.unpack_from(">i", reply, at)
        (host,) = struct.unpack_from(">h", reply, at + 4)
        at += 6 + host + 4
        (rack,) = struct.unpack_from(">h", reply, at)
        at += 2 + max(rack, 0)
        ids.append(node)
    return ids


def kafka_ready(port: int, node: int) -> str | None:
    with connect(port) as connection:
        connection.sendall(kafka_metadata_request())
        (size,) = struct.unpack(">i", receive(connection, 4))
        if node in kafka_brokers(receive(connection, size)):
            return None
    return f"the broker answers, but does not list node {node} yet"


OPTIONS, STARTUP, QUERY = 0x05, 0x01, 0x07
SUPPORTED, READY, AUTHENTICATE, RESULT = 0x06, 0x02, 0x03, 0x08


def cql_frame(opcode: int, body: bytes = b"") -> bytes:
    """A request of CQL's protocol, version 4."""
    return struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body


def cql_ask(connection: socket.socket, opcode: int, body: bytes = b"") -> int:
    connection.sendall(cql_frame(opcode, body))
    _, _, _, reply, size = struct.unpack(">BBhBi", receive(connection, 9))
    receive(connection, size)
    return int(reply)


def cassandra_ready(port: int) -> str | None:
    def string(text: str) -> bytes:
        return struct.pack(">h", len(text)) + text.encode()

    with connect(port) as connection:
        if cql_ask(connection, OPTIONS) != SUPPORTED:
            return "the node does not answer OPTIONS"
        reply = cql_ask(connection, STARTUP, struct.pack(">h", 1) + string("CQL_VERSION") + string("3.0.0"))
        if reply == AUTHENTICATE:
            return None
        if reply != READY:
            return f"the node answers STARTUP with opcode {reply}"
        query = b"SELECT bootstrapped FROM system.local"
        # Consistency ONE, no flags.
        reply = cql_ask(connection, QUERY, struct.pack(">i", len(query)) + query + struct.pack(">hB", 1, 0))
        return None if reply == RESULT else f"the node answers a query with opcode {reply}"
