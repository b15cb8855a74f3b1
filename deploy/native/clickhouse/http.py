"""HTTP: reads a request within limits, runs its statement, answers as ClickHouse does."""

from __future__ import annotations

import io
import json
import re
import socket
import sys
import threading
import time
import uuid
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from clickhouse import errors, framing
from clickhouse.access import Users, credentials
from clickhouse.engine import Context, Engine, Reply
from clickhouse.errors import ClickHouseError, refuse
from clickhouse.queries import BodyBudget, RunningQueries
from clickhouse.receive import PIECE_BYTES, Limits, TimedReader, read_body
from clickhouse.statement import WITHOUT_CHANGE, kind, split_insert

# Parameters of the URL that belong to the HTTP interface; every other one is a setting or a statement's parameter.
NOT_SETTINGS = frozenset(
    """
    query database user password quota_key query_id session_id session_timeout session_check close_session
    default_format compress decompress wait_end_of_query buffer_size role stacktrace client_protocol_version
    enable_http_compression http_zlib_compression_level send_progress_in_http_headers
    http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close access_token
    output_format_compression_level
    """.split()  # noqa: SIM905
)
SESSION_TIMEOUT_S, SESSION_TIMEOUT_MAX_S = 60.0, 3600.0


class Server(ThreadingHTTPServer):
    """One thread a connection, up to a limit; the one beyond it is told so and closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], engine: Engine, users: Users, limits: Limits) -> None:
        self.engine, self.users, self.limits = engine, users, limits
        self.queries = RunningQueries()
        self.bodies = BodyBudget(limits.bodies_bytes)
        self._slots = threading.BoundedSemaphore(limits.connections)
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self._refuse(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # A client that goes away is nobody's fault and nothing to log.
        if not isinstance(error, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def drain(self) -> bool:
        """Waits for the queries that run; whether all ended in time."""
        deadline = time.monotonic() + self.limits.drain_s
        while self.queries.count():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _refuse(self, request: socket.socket) -> None:
        code = errors.TOO_MANY_SIMULTANEOUS_QUERIES
        error = refuse(code, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many connections: the limit is {self.limits.connections}")
        body = error.text(self.engine.version).encode()
        head = (
            f"HTTP/1.1 503 Service Unavailable\r\nX-ClickHouse-Exception-Code: {code}\r\nRetry-After: 1\r\n"
            f"Content-Type: text/plain; charset=UTF-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            request.settimeout(1)
            request.sendall(head.encode() + body)
        except OSError:
            pass
        self.shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "chdb-http"
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server
    headers: Message

    def setup(self) -> None:
        super().setup()
        self._timed = TimedReader(self.connection)
        self.rfile = self._reader = io.BufferedReader(self._timed, PIECE_BYTES)

    def handle_one_request(self) -> None:
        limits = self.server.limits
        self._timed.deadline = time.monotonic() + limits.keep_alive_s
        try:
            if not self._reader.peek(1):
                self.close_connection = True
                return
        except (TimeoutError, ConnectionError):
            self.close_connection = True
            return
        self._timed.deadline = time.monotonic() + limits.receive_s
        super().handle_one_request()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged: at hundreds a second their log would cost more than they do."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_OPTIONS(self) -> None:
        self._send(204, b"", [])

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path in ("/ping", "/replicas_status") or (url.path == "/" and not url.query):
            self._send(200, b"Ok.\n", [("Content-Type", "text/html; charset=UTF-8")])
        else:
            self._query(url)

    def do_POST(self) -> None:
        self._query(urlsplit(self.path))

    def _query(self, url: SplitResult) -> None:
        began = time.perf_counter_ns()
        pairs = parse_qsl(url.query, keep_blank_values=True, encoding="utf-8", errors="surrogateescape")
        parameters = dict(pairs)
        query_id = parameters.get("query_id") or self.headers.get("X-ClickHouse-Query-Id") or str(uuid.uuid4())
        # A header's value must not smuggle in a second header.
        echo = re.sub(r"[^\x20-\x7e]", "?", query_id)
        head = [("X-ClickHouse-Query-Id", echo), ("X-ClickHouse-Timezone", self.server.engine.timezone)]
        head.append(("X-ClickHouse-Server-Display-Name", self.server_version))
        try:
            if url.path not in ("/", ""):
                raise refuse(404, "UNKNOWN_PATH", f"There is no handle {url.path}; use / or /ping", 404)
            user, password = credentials(self.headers, parameters)
            self.server.users.check(user, password)
            with self.server.bodies.account() as account:
                # Until the body was read whole the connection cannot go on to a next request.
                keep, self.close_connection = self.close_connection, True
                body = read_body(self._reader, self.headers, account, self.server.limits.body_bytes)
                self.close_connection = keep
                with self.server.queries.run(query_id):
                    reply = self._run(user, parameters, body)
        except (TimeoutError, ConnectionError) as error:
            # The client went away or was too slow in the middle of its body: nothing of it has reached the engine.
            self.close_connection = True
            if isinstance(error, TimeoutError):
                self._send_error(refuse(errors.SOCKET_TIMEOUT, "SOCKET_TIMEOUT", str(error)), head)
            return
        except ClickHouseError as error:
            self._send_error(error, head)
            return
        summary = {
            "read_rows": str(reply.read_rows),
            "read_bytes": str(reply.read_bytes),
            "written_rows": str(reply.written_rows),
            "written_bytes": str(reply.written_bytes),
            "result_rows": str(reply.read_rows if reply.format else 0),
            "result_bytes": str(len(reply.data)),
            "elapsed_ns": str(time.perf_counter_ns() - began),
        }
        head.append(("X-ClickHouse-Summary", json.dumps(summary, separators=(",", ":"))))
        head.append(("Content-Type", "application/octet-stream"))
        if reply.format:
            head.append(("X-ClickHouse-Format", reply.format))
        self._send(200, reply.data, head, compress=parameters.get("enable_http_compression") != "0")

    def _run(self, user: str, parameters: dict[str, str], body: bytes) -> Reply:
        limit = self.server.limits.body_bytes
        body = framing.decode(body, self.headers.get("Content-Encoding"), limit)
        if parameters.get("decompress") == "1":
            body = framing.unpack_blocks(body, limit)
        if parameters.get("compress") == "1":
            raise refuse(errors.NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "replies in compressed blocks; use Accept-Encoding")
        content_type = self.headers.get("Content-Type") or ""
        if content_type.startswith("multipart/form-data"):
            parameters.update(framing.form_fields(body, content_type))
            body = b""
        # A server joins the statement in the URL and the body by a line break.
        text = parameters.get("query", "").encode("utf-8", "surrogateescape")
        insert = split_insert(text or body)
        engine = self.server.engine
        context = self._context(parameters)
        session_id = parameters.get("session_id")
        timeout_s = _session_timeout(parameters)
        with engine.session(user, session_id, timeout_s, parameters.get("session_check") == "1", context) as session:
            if insert is not None:
                self._refuse_change()
                statement, data = insert
                return engine.insert(session, statement, data + body if text else data, context)
            sql = (text + b"\n" + body if text and body else text or body).decode("utf-8", "surrogateescape").strip()
            if not sql:
                raise refuse(errors.SYNTAX_ERROR, "SYNTAX_ERROR", "Empty query")
            if kind(sql) not in WITHOUT_CHANGE:
                self._refuse_change()
            return engine.run(session, sql, context)

    def _context(self, parameters: dict[str, str]) -> Context:
        settings = {}
        for name, value in parameters.items():
            if name in NOT_SETTINGS or name.startswith("param_"):
                continue
            if not re.fullmatch(r"\w+", name, re.ASCII):
                raise refuse(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
            settings[name] = value
        return Context(
            database=parameters.get("database") or self.headers.get("X-ClickHouse-Database"),
            settings=settings,
            parameters={name[6:]: value for name, value in parameters.items() if name.startswith("param_")},
            default_format=parameters.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
        )

    def _refuse_change(self) -> None:
        if self.command != "POST":
            what = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly"
            raise refuse(164, "READONLY", what, 500)

    def _send_error(self, error: ClickHouseError, head: list[tuple[str, str]]) -> None:
        if error.code in (errors.AUTHENTICATION_FAILED, errors.REQUIRED_PASSWORD):
            # The body was not read.
            self.close_connection = True
        head = [*head, ("X-ClickHouse-Exception-Code", str(error.code)), ("Content-Type", "text/plain; charset=UTF-8")]
        self._send(error.status, error.text(self.server.engine.version).encode("utf-8", "replace"), head)

    def _send(self, status: int, body: bytes, head: list[tuple[str, str]], compress: bool = True) -> None:
        encoding = None
        if compress:
            body, encoding = framing.encode(body, self.headers.get("Accept-Encoding"))
        self.send_response(status)
        for name, value in head:
            self.send_header(name, value)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        if self.close_connection:
            self.send_header("Connection", "close")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.connection.settimeout(self.server.limits.send_s)
        self.end_headers()
        if self.command != "HEAD" and body:
            self.wfile.write(body)


def _session_timeout(parameters: dict[str, str]) -> float:
    try:
        seconds = float(parameters.get("session_timeout") or SESSION_TIMEOUT_S)
    except ValueError:
        raise refuse(72, "CANNOT_PARSE_NUMBER", "session_timeout is not a number") from None
    return min(max(seconds, 0.0), SESSION_TIMEOUT_MAX_S)
