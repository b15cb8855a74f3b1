"""What the tests run on: a Superset of their own on a ClickHouse of their own, both on free ports, with sales that they know."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent
REPOSITORY = FOLDER.parent.parent
NATIVE = REPOSITORY / "deploy" / "native"
sys.path[:0] = [str(FOLDER), str(NATIVE), str(NATIVE / "tests")]
sys.dont_write_bytecode = True

import front  # noqa: E402
from services import fetch, superset  # noqa: E402
from services.settings import read_settings  # noqa: E402

from person import Person  # noqa: E402

OLDER = FOLDER / "tests" / "older-export"
# Far longer than anything takes where the machine does little else.
WAIT_S = 900

SOURCES = ("Dine In", "Takeaway", "Home Delivery", "In Store", "Online")
STATES = ("CA", "NY", "OH", "TX", "WA")
CATEGORIES = ("GROCERY", "MEAT", "none")
# The first minute of the sales: just after midnight UTC, which is the evening before in America.
START = datetime.datetime(2026, 3, 1, 0, 30)


def sales() -> list[dict[str, Any]]:
    """Sums of some minutes, in dollars and, fewer, in yen. Totals are odd, so that a float or a lost row would show."""
    rows = []
    for i in range(300):
        rows.append(
            {
                "minute": START + datetime.timedelta(minutes=7 * i),
                "currency": "JPY" if i % 10 == 9 else "USD",
                "source": SOURCES[i % 5],
                "state": STATES[(i // 5 + i) % 5],
                "category": CATEGORIES[i % 3],
                "orders": i % 4 + 1,
                "quantity": i % 7 + 1,
                "total_minor": 1_000_003 * i + 7,
            }
        )
    return rows


class ClickHouse:
    """A front over chDB with the schema of the repository and the sales above."""

    def __init__(self, case: type[unittest.TestCase]) -> None:
        self.front = front.Front(case)
        self.client = self.front.client()
        for file in sorted((REPOSITORY / "deploy" / "schema" / "clickhouse").glob("*.sql")):
            text = re.sub(r"(?m)^\s*--.*$", "", file.read_text(encoding="utf-8")).replace("{database}", "sales")
            for statement in filter(None, map(str.strip, text.split(";"))):
                self.client.ask(statement)
        self.insert(sales(), 0)

    def insert(self, rows: list[dict[str, Any]], first: int) -> None:
        """A block of sums, with its row in the ledger, as the pipeline writes one: one duplicate and two dead letters are in it."""
        orders = sum(row["orders"] for row in rows)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        block = {
            "minute": "1970-01-01 00:00:00",
            "block": f"topic-0-{first}-0",
            "blocks": 1,
            "topic_id": "topic",
            "first": first,
            "last": first + orders + 2,
            "records": orders + 3,
            "block_orders": orders,
            "duplicates": 1,
            "dead": 2,
            "block_quantity": sum(row["quantity"] for row in rows),
            "block_total_minor": sum(row["total_minor"] for row in rows),
            "newest_created_at": now,
            "newest_received_at": now,
            "inserted_at": now,
            "rules": "rules",
        }
        lines = [row | {"minute": f"{row['minute']:%Y-%m-%d %H:%M:%S}"} for row in rows] + [block]
        data = "\n".join(map(json.dumps, lines)).encode()
        self.client.ask("INSERT INTO sales.sales_by_minute FORMAT JSONEachRow", data)


class Superset:
    """A Superset of the test's own over SQLite. `server` runs until the class is done; `set_up` may be run beside it."""

    def __init__(self, case: type[unittest.TestCase], clickhouse_port: int) -> None:
        folder = tempfile.TemporaryDirectory(prefix="superset-test-")
        case.addClassCleanup(folder.cleanup)
        self.home = Path(folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        given = {"STACK_HOME": str(self.home), "SUPERSET_PORT": str(self.port), "CLICKHOUSE_HTTP_PORT": str(clickhouse_port)}
        self.settings = read_settings({key: value for key, value in os.environ.items() if not key.startswith("SUPERSET_")} | given)
        self.service = superset.service(self.settings, None)
        self.variables = {key: value for key, value in os.environ.items() if not key.startswith("SUPERSET_")} | self.service.environment
        self.python = str(fetch.python(self.settings, superset.REQUIREMENTS))
        self.process: subprocess.Popen[bytes] | None = None
        case.addClassCleanup(self.stop)
        for name in ("home", "cache"):
            (self.service.data / name).mkdir(parents=True)
        superset._copy_schema(self.settings, self.service.environment)

    def set_up(self, *arguments: str) -> str:
        done = self.begin_set_up(*arguments)
        said, _ = done.communicate(timeout=WAIT_S)
        if done.returncode != 0:
            raise AssertionError(f"set_up.py {' '.join(arguments)}: exit {done.returncode}\n{said[-4000:].decode()}")
        return said.decode()

    def begin_set_up(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [self.python, str(superset.SET_UP), *arguments]
        return subprocess.Popen(command, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def start(self) -> None:
        log = self.home / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(self.service.command, env=self.variables, stdout=out, stderr=out)
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                if (reason := self.service.ready()) is None:
                    return
            except OSError as error:
                reason = str(error)
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Superset does not start: {reason}\n{log.read_text()[-4000:]}")
            time.sleep(0.2)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(WAIT_S)
            self.process = None
        # A worker whose master was killed goes on answering until it notices.
        deadline = time.monotonic() + WAIT_S
        while self.answers():
            if time.monotonic() > deadline:
                raise AssertionError("Superset was stopped, and something still answers in its place")
            time.sleep(0.2)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log_in(self, name: str) -> Person:
        password = (self.service.data / "secrets" / f"{name}_password").read_text(encoding="utf-8").strip()
        return Person(f"http://127.0.0.1:{self.port}", name, password)
