"""What the engine's tests share: a client, and a front that a test may kill."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

NATIVE = Path(__file__).resolve().parent.parent
WAIT_S = 60


class Refused(Exception):
    """An error that the server answered."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.code = status, code


@dataclasses.dataclass(frozen=True)
class Client:
    """Asks one statement on a connection of its own."""

    host: str
    port: int
    database: str = "default"

    def ask(self, sql: str, data: bytes | None = None, **parameters: object) -> str:
        return self.ask_headers(sql, data, **parameters)[0]

    def ask_headers(self, sql: str, data: bytes | None = None, **parameters: object) -> tuple[str, dict[str, str]]:
        values = {"database": self.database} | {name: str(value) for name, value in parameters.items()}
        if data is not None:
            values["query"] = sql
        headers = {"X-ClickHouse-User": os.environ.get("CLICKHOUSE_USER") or "default"}
        headers["X-ClickHouse-Key"] = os.environ.get("CLICKHOUSE_PASSWORD", "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        try:
            connection.request("POST", "/?" + urlencode(values, quote_via=quote), sql.encode() if data is None else data, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        if reply.status != 200:
            raise Refused(reply.status, int(reply.headers.get("X-ClickHouse-Exception-Code", 0)), text)
        return text, dict(reply.getheaders())

    def rows(self, sql: str, **parameters: object) -> list[dict[str, object]]:
        text = self.ask(f"{sql} FORMAT JSONEachRow", output_format_json_quote_64bit_integers=0, **parameters)
        return [json.loads(line) for line in text.splitlines()]

    def count(self, table: str, where: str = "1") -> int:
        return int(self.ask(f"SELECT count() FROM {table} WHERE {where}"))


class Front:
    """A front of the test's own on a folder of its own, over chDB."""

    def __init__(self, case: unittest.TestCase | type[unittest.TestCase]) -> None:
        folder = tempfile.TemporaryDirectory(prefix="clickhouse-test-")
        add = case.addClassCleanup if isinstance(case, type) else case.addCleanup
        add(folder.cleanup)
        self.path = Path(folder.name) / "data"
        self.log = Path(folder.name) / "log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.start()
        add(lambda: self.end(signal.SIGKILL))

    def start(self) -> None:
        command = [sys.executable, "-m", "clickhouse", "--path", str(self.path), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=NATIVE, stdout=log, stderr=log)
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self.client().ask("SELECT 1")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the front does not start: {self.log.read_text()}") from None
                time.sleep(0.05)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(WAIT_S)

    def client(self) -> Client:
        return Client("127.0.0.1", self.port)


class EngineTest(unittest.TestCase):
    """Runs against PIPELINE_CLICKHOUSE_URL (`stack env` prints it), or else a front of its own; each test in a database of its own."""

    server: Client

    @classmethod
    def setUpClass(cls) -> None:
        url = os.environ.get("PIPELINE_CLICKHOUSE_URL")
        if url:
            parts = urlsplit(url)
            cls.server = Client(parts.hostname or "127.0.0.1", parts.port or 8123)
        else:
            cls.server = Front(cls).client()

    def setUp(self) -> None:
        database = f"test_{uuid.uuid4().hex}"
        self.server.ask(f"CREATE DATABASE {database}")
        self.addCleanup(self.server.ask, f"DROP DATABASE {database}")
        self.client = dataclasses.replace(self.server, database=database)
