"""The few frames of Kafka's and Cassandra's protocols that a readiness check needs, over one short-lived connection."""

from __future__ import annotations

import socket
import struct

from services.settings import HOST, Login

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


def wire_string(text: str) -> bytes:
    """A string of either protocol: its length in two bytes, and its bytes."""
    return struct.pack(">h", len(text)) + text.encode()


def kafka_log_in(connection: socket.socket, login: Login) -> str | None:
    """SaslHandshake and SaslAuthenticate, for PLAIN; why it failed."""

    def ask(kind: int, version: int, body: bytes) -> bytes:
        request = struct.pack(">hhih", kind, version, 7, -1) + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", receive(connection, 4))
        return receive(connection, size)

    (error,) = struct.unpack_from(">h", ask(17, 1, wire_string("PLAIN")), 4)
    if error:
        return f"the broker answers SaslHandshake with error {error}"
    token = f"\0{login.user}\0{login.password}".encode()
    (error,) = struct.unpack_from(">h", ask(36, 0, struct.pack(">i", len(token)) + token), 4)
    return f"the broker answers SaslAuthenticate with error {error}" if error else None


def kafka_ready(port: int, node: int, login: Login | None = None) -> str | None:
    with connect(port) as connection:
        if login and (reason := kafka_log_in(connection, login)):
            return reason
        connection.sendall(kafka_metadata_request())
        (size,) = struct.unpack(">i", receive(connection, 4))
        if node in kafka_brokers(receive(connection, size)):
            return None
    return f"the broker answers, but does not list node {node} yet"


OPTIONS, STARTUP, QUERY, AUTH_RESPONSE = 0x05, 0x01, 0x07, 0x0F
SUPPORTED, READY, AUTHENTICATE, RESULT, AUTH_SUCCESS = 0x06, 0x02, 0x03, 0x08, 0x10


def cql_frame(opcode: int, body: bytes = b"") -> bytes:
    """A request of CQL's protocol, version 4."""
    return struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body


def cql_ask(connection: socket.socket, opcode: int, body: bytes = b"") -> int:
    connection.sendall(cql_frame(opcode, body))
    _, _, _, reply, size = struct.unpack(">BBhBi", receive(connection, 9))
    receive(connection, size)
    return int(reply)


def cql_start(connection: socket.socket, user: str, password: str) -> str | None:
    """Begins a session, with a login if the node wants one; why it failed."""
    if cql_ask(connection, OPTIONS) != SUPPORTED:
        return "the node does not answer OPTIONS"
    reply = cql_ask(connection, STARTUP, struct.pack(">h", 1) + wire_string("CQL_VERSION") + wire_string("3.0.0"))
    if reply == AUTHENTICATE:
        token = f"\0{user}\0{password}".encode()
        reply = cql_ask(connection, AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
        return None if reply == AUTH_SUCCESS else f"the node does not take the login of {user}"
    return None if reply == READY else f"the node answers STARTUP with opcode {reply}"


def cql_query(connection: socket.socket, statement: str) -> str | None:
    query = statement.encode()
    # Consistency ONE, no flags.
    reply = cql_ask(connection, QUERY, struct.pack(">i", len(query)) + query + struct.pack(">hB", 1, 0))
    return None if reply == RESULT else f"the node answers a query with opcode {reply}"


def cassandra_ready(port: int, login: Login | None = None) -> str | None:
    """A query; on a secured node by its own user, who takes the place of the one that every new node comes with."""
    user, password = (login.user, login.password) if login else ("", "")
    with connect(port) as connection:
        reason = cql_start(connection, user, password)
        if reason is None:
            # Nobody is to log in by a password that stands in every manual.
            last = "ALTER ROLE cassandra WITH LOGIN = false" if login else "SELECT bootstrapped FROM system.local"
            return cql_query(connection, last)
    if login:
        with connect(port) as connection:
            if cql_start(connection, "cassandra", "cassandra") is None:
                role = f"CREATE ROLE IF NOT EXISTS {user} WITH PASSWORD = '{password}' AND LOGIN = true AND SUPERUSER = true"
                return cql_query(connection, role) or "its user is being made"
    return reason
