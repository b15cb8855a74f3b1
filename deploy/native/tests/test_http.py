"""The front's HTTP over an engine that does nothing: limits, time-outs, refusals, and what reaches the engine at all."""

import http.client
import socket
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickhouse.access import Users
from clickhouse.engine import Context, Reply
from clickhouse.http import Server
from clickhouse.receive import Limits
from clickhouse.statement import Insert

WAIT_S = 10


class Engine:
    """Records what it is asked to run; a statement that says `wait` runs until it is released."""

    version = "1.2.3"
    timezone = "UTC"

    def __init__(self) -> None:
        self.ran: list[tuple[Any, Context]] = []
        self.running = threading.Event()
        self.release = threading.Event()

    @contextmanager
    def session(self, user: str, session_id: str | None, timeout_s: float, must_exist: bool, context: Context) -> Iterator[None]:
        yield None

    def run(self, session: None, sql: str, context: Context) -> Reply:
        if "wait" in sql:
            self.running.set()
            self.release.wait(WAIT_S)
        self.ran.append((sql, context))
        return Reply(data=b"1\n", format="TabSeparated", read_rows=1)

    def insert(self, session: None, insert: Insert, data: bytes, context: Context) -> Reply:
        self.ran.append((insert.into, data))
        return Reply(written_rows=data.count(b"\n"))


class Front(unittest.TestCase):
    limits = Limits(connections=4, body_bytes=1000, bodies_bytes=1500, keep_alive_s=1.0, receive_s=1.0, drain_s=2.0)

    def setUp(self) -> None:
        self.engine = Engine()
        self.server = Server(("127.0.0.1", 0), self.engine, Users({"default": "secret"}), self.limits)  # type: ignore[arg-type]
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        self.addCleanup(thread.join, WAIT_S)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.engine.release.set)

    def ask(self, path: str, body: bytes = b"", key: str = "secret", method: str = "POST") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request(method, path, body, {"X-ClickHouse-Key": key})
            reply = connection.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()
        finally:
            connection.close()

    def raw(self, data: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        connection.sendall(data)
        self.addCleanup(connection.close)
        return connection

    def test_a_wrong_password_reaches_no_engine(self) -> None:
        status, headers, body = self.ask("/", b"SELECT 1", key="wrong")
        self.assertEqual((status, headers["X-ClickHouse-Exception-Code"]), (403, "516"))
        self.assertIn(b"AUTHENTICATION_FAILED", body)
        self.assertEqual(self.engine.ran, [])
        self.assertEqual(self.ask("/ping", key="wrong", method="GET")[::2], (200, b"Ok.\n"))

    def test_a_query_id_is_echoed_and_a_second_one_refused_while_the_first_runs(self) -> None:
        first: list[tuple[int, dict[str, str], bytes]] = []
        thread = threading.Thread(target=lambda: first.append(self.ask("/?query_id=a%0d%0ab", b"SELECT wait")))
        thread.start()
        self.assertTrue(self.engine.running.wait(WAIT_S))
        status, headers, body = self.ask("/?query_id=a%0d%0ab", b"SELECT 1")
        self.assertEqual((status, headers["X-ClickHouse-Exception-Code"]), (500, "216"))
        self.assertIn(b"is already running", body)
        self.engine.release.set()
        thread.join(WAIT_S)
        self.assertEqual((first[0][0], first[0][1]["X-ClickHouse-Query-Id"]), (200, "a??b"))
        self.assertEqual(self.ask("/?query_id=a%0d%0ab", b"SELECT 1")[0], 200)

    def test_parameters_become_settings_and_parameters_of_the_statement(self) -> None:
        self.ask("/?async_insert=0&max_execution_time=7&insert_deduplication_token=t-1&param_a=5&database=d&query_id=q", b"SELECT 1")
        _, context = self.engine.ran[0]
        self.assertEqual(context.settings, {"async_insert": "0", "max_execution_time": "7", "insert_deduplication_token": "t-1"})
        self.assertEqual((context.parameters, context.database), ({"a": "5"}, "d"))
        status, headers, _ = self.ask("/?a%20b=1", b"SELECT 1")
        self.assertEqual((status, headers["X-ClickHouse-Exception-Code"]), (404, "115"))

    def test_an_insert_s_data_may_be_in_the_url_s_statement_and_the_body(self) -> None:
        self.ask("/?query=INSERT%20INTO%20t%20FORMAT%20TSV", b"1\n\n2\n")
        self.ask("/", b"INSERT INTO t FORMAT TSV\n1\n\n2\n")
        self.assertEqual(self.engine.ran, [("INSERT INTO t", b"1\n\n2\n")] * 2)

    def test_get_changes_nothing(self) -> None:
        for sql in ("DROP%20TABLE%20t", "INSERT%20INTO%20t%20FORMAT%20TSV%0a1"):
            self.assertEqual(self.ask(f"/?query={sql}", method="GET")[1]["X-ClickHouse-Exception-Code"], "164")
        self.assertEqual(self.engine.ran, [])
        self.assertEqual(self.ask("/?query=SELECT%201", method="GET")[0], 200)

    def test_a_body_over_the_limit_is_refused_however_it_is_sent(self) -> None:
        head = b"POST /?query=INSERT%20INTO%20t%20FORMAT%20TSV HTTP/1.1\r\nHost: h\r\nX-ClickHouse-Key: secret\r\n"
        chunk = b"%x\r\n" % 600 + b"x" * 600 + b"\r\n"
        for request in (head + b"Content-Length: 1001\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk):
            with self.subTest(request[:150]):
                reply = http.client.HTTPResponse(self.raw(request))
                reply.begin()
                self.assertEqual((reply.status, reply.headers["X-ClickHouse-Exception-Code"]), (413, "307"))
                self.assertEqual(reply.headers["Connection"], "close")
        self.assertEqual(self.engine.ran, [])

    def test_a_client_that_stops_in_its_body_is_cut_off_and_inserts_nothing(self) -> None:
        head = b"POST /?query=INSERT%20INTO%20t%20FORMAT%20TSV HTTP/1.1\r\nHost: h\r\nX-ClickHouse-Key: secret\r\n"
        connection = self.raw(head + b"Content-Length: 100\r\n\r\n1\n")
        began = time.monotonic()
        # A byte now and then does not buy more time: the deadline is the request's, not the read's.
        while time.monotonic() - began < WAIT_S:
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
        self.assertLess(time.monotonic() - began, 5)
        for end in (b"Content-Length: 10\r\n\r\n1\n2", b"Transfer-Encoding: chunked\r\n\r\n5\r\n1\n2\n3\r\n2\r\n"):
            broken = self.raw(head + end)
            broken.shutdown(socket.SHUT_WR)
            self.assertEqual(broken.recv(100), b"")
        self.assertEqual(self.engine.ran, [])
        self.assertEqual(self.ask("/", b"SELECT 1")[0], 200)

    def test_an_idle_connection_is_closed(self) -> None:
        began = time.monotonic()
        self.assertEqual(self.raw(b"").recv(1), b"")
        self.assertLess(time.monotonic() - began, 5)

    def test_the_connection_over_the_limit_is_told_so_and_the_next_one_served(self) -> None:
        held = [self.raw(b"POST / HTTP/1.1\r\n") for _ in range(self.limits.connections)]
        time.sleep(0.2)
        reply = http.client.HTTPResponse(self.raw(b""))
        reply.begin()
        self.assertEqual((reply.status, reply.headers["X-ClickHouse-Exception-Code"]), (503, "202"))
        for connection in held:
            connection.close()
        deadline = time.monotonic() + WAIT_S
        while self.ask("/", b"SELECT 1")[0] != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_a_stop_waits_for_the_query_that_runs_but_not_for_ever(self) -> None:
        thread = threading.Thread(target=self.ask, args=("/", b"SELECT wait"))
        thread.start()
        self.assertTrue(self.engine.running.wait(WAIT_S))
        self.assertFalse(self.server.drain())
        self.engine.release.set()
        thread.join(WAIT_S)
        self.assertTrue(self.server.drain())


if __name__ == "__main__":
    unittest.main()
