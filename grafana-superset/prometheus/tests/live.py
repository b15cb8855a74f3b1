"""A pipeline, a Prometheus and a node exporter that run for one test, and faults for them.

Prometheus runs the repository's own configuration and rules, with every duration in them divided by SCALE, so that an alert that waits
five minutes fires after ten seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

PROMETHEUS = Path(__file__).resolve().parent.parent
REPOSITORY = PROMETHEUS.parent.parent
HOST = "127.0.0.1"
SCALE = 30
# How long anything may take that is waited for. Nothing is expected sooner: these machines are slow at times.
DEADLINE_S = 180
# What is scaled otherwise: a threshold that is a time and so not among the durations; and half a minute is too short to start a
# process three times on a busy machine.
THRESHOLDS = {
    "partition:consume_freshness_seconds:max > 30": "partition:consume_freshness_seconds:max > 2",
    "changes(tillflow_observe_start_seconds[15m]) > 2": "changes(tillflow_observe_start_seconds[45m]) > 2",
}


def scaled(text: str) -> str:
    """A configuration, or rules, whose durations are SCALE times as short: `[5m]`, `for: 5m`, `offset 10m`, `15s`."""
    seconds = {"s": 1, "m": 60, "h": 3600}

    def shorter(found: re.Match[str]) -> str:
        return f"{int(found[1]) * seconds[found[2]] * 1000 // SCALE}ms"

    lines = [line if line.lstrip().startswith("#") else re.sub(r"\b(\d+)([smh])\b", shorter, line) for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def program(name: str) -> str:
    """The pipeline's own program, from TILLFLOW_PROGRAMS or where cargo builds it; or one on the PATH."""
    folder = Path(os.environ.get("TILLFLOW_PROGRAMS") or REPOSITORY / "target" / "debug")
    if (folder / name).exists():
        return str(folder / name)
    if found := shutil.which(name):
        return found
    raise AssertionError(f"there is no {name}: build it (cargo build --package pipeline) or install it (prometheus, prometheus-node-exporter)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def eventually(what: str, check: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Asks again and again until the answer is yes; an error is no answer."""
    end, last = time.monotonic() + deadline_s, None
    while time.monotonic() < end:
        try:
            last = check()
            if last:
                return
        except (OSError, http.client.HTTPException, sqlite3.Error) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {deadline_s:.0f} s: {what}; at last: {last!r}")


class Left(set):
    """What is still to come: no, and shown when time runs out."""

    def __bool__(self) -> bool:
        return False


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


class Process:
    """A process that ends with the test. What it writes goes into a file, whose end a failure shows."""

    def __init__(self, test: unittest.TestCase, name: str, command: list[str], ready: Callable[[], bool]) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        test.addCleanup(shutil.rmtree, folder, True)
        self.name, self.command, self.log, self.ready = name, command, folder / "log", ready
        self.process: subprocess.Popen[bytes] | None = None
        test.addCleanup(self.kill)

    def start(self, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            try:
                eventually(f"{self.name} is ready, or has ended", lambda: self.process.poll() is not None or self.ready())
                if self.process.poll() is not None:
                    raise AssertionError(f"{self.name} ended with {self.process.returncode}")
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.log.read_text(errors='replace')[-3000:]}") from None

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(30)
            self.process = None


class Pipeline(Process):
    """An embedded pipeline of one partition, with settings of its own over the defaults."""

    headers = {"content-type": "application/json"}

    def __init__(self, test: unittest.TestCase, data: Path, settings: dict[str, str] | None = None) -> None:
        self.headers = dict(Pipeline.headers)
        self.data, self.port, self.manage = data, free_port(), free_port()
        self.settings = {
            "receive.listen": f"{HOST}:{self.port}",
            "manage.listen": f"{HOST}:{self.manage}",
            "log.partitions": "1",
            # Longer than a second, after which a processor that cannot store asks for the log's end.
            "process.retry_pause_max": "3s",
            "receive.reload": "200ms",
            **(settings or {}),
        }
        self.flags = ["--data-dir", str(data), *(word for key, value in self.settings.items() for word in ("--set", f"{key}={value}"))]
        command = [program("pipeline"), "embedded", *self.flags]
        super().__init__(test, "pipeline", command, lambda: get(self.manage, "/livez")[0] == 200)

    def run(self, *words: str) -> str:
        """Another command of the same program, on the same data."""
        done = subprocess.run([program("pipeline"), *words, *self.flags], capture_output=True, text=True, timeout=DEADLINE_S)
        if done.returncode not in (0, 1):
            raise AssertionError(f"pipeline {' '.join(words)}: {done.stderr}")
        return done.stdout

    def send(self, orders: list[dict[str, object]]) -> int:
        """One request with orders; the status, or 0 where there was no answer."""
        if "receive.tls.certificate" in self.settings:
            context = ssl._create_unverified_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(HOST, self.port, timeout=20, context=context)
        else:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request("POST", "/v1/orders", json.dumps(orders), self.headers)
            reply = connection.getresponse()
            reply.read()
            return reply.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    @contextlib.contextmanager
    def sql(self, file: str) -> Iterator[sqlite3.Connection]:
        """One of its files, for a fault from outside."""
        connection = sqlite3.connect(self.data / file, timeout=20, isolation_level=None)
        try:
            connection.execute("PRAGMA legacy_alter_table = ON")
            yield connection
        finally:
            connection.close()

    def break_stores(self) -> None:
        """From now on no block can be stored, and each try fails at once."""
        with self.sql("stores.db") as stores:
            stores.execute("ALTER TABLE sales_by_minute RENAME TO sales_by_minute_away")

    def mend_stores(self) -> None:
        with self.sql("stores.db") as stores:
            stores.execute("ALTER TABLE sales_by_minute_away RENAME TO sales_by_minute")

    def break_log(self) -> None:
        """From now on the log takes no record, and says so at once."""
        with self.sql("log.db") as log:
            log.execute("CREATE TRIGGER broken BEFORE INSERT ON orders_0 BEGIN SELECT RAISE(ABORT, 'broken for a test'); END")

    def mend_log(self) -> None:
        with self.sql("log.db") as log:
            log.execute("DROP TRIGGER broken")


def order(number: int, **more: object) -> dict[str, object]:
    return {"order_id": f"live-{number}", "customer_id": 3, "source": "Dine In", "quantity": 2, **more}


class Clients:
    """Clients that send one request after the other, each with orders of its own, until the test ends or they are told to stop."""

    def __init__(self, test: unittest.TestCase, pipeline: Pipeline, count: int, make: Callable[[int], list[dict[str, object]]]) -> None:
        self.stopped, self.pipeline, self.make = threading.Event(), pipeline, make
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()
        test.addCleanup(self.stop)

    def _run(self, number: int) -> None:
        at = (number + 1) * 1_000_000
        while not self.stopped.is_set():
            orders = self.make(at)
            at += len(orders)
            self.pipeline.send(orders)
            self.stopped.wait(0.05)

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)


class NodeExporter(Process):
    def __init__(self, test: unittest.TestCase, textfiles: Path) -> None:
        self.port = free_port()
        # What rules and dashboards ask for, and no more.
        command = [program("prometheus-node-exporter"), "--collector.disable-defaults"]
        command += [f"--collector.{name}" for name in ("cpu", "meminfo", "filesystem", "diskstats", "netdev", "textfile")]
        command += [f"--web.listen-address={HOST}:{self.port}", f"--collector.textfile.directory={textfiles}"]
        super().__init__(test, "node-exporter", command, lambda: get(self.port, "/")[0] == 200)


class Prometheus(Process):
    """The repository's configuration and rules, faster, with the targets of this test."""

    def __init__(self, test: unittest.TestCase, targets: dict[str, list[tuple[str, int]]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        test.addCleanup(shutil.rmtree, self.folder, True)
        self.port = free_port()
        for file in ("prometheus.yml", "rules/recording.yml", "rules/alerts.yml"):
            text = (PROMETHEUS / file).read_text(encoding="utf-8")
            for threshold, other in THRESHOLDS.items():
                text = text.replace(threshold, other)
            text = scaled(text)
            # A busy machine may take a while to answer; a process that takes longer than that is down.
            text = re.sub(r"(scrape_interval|scrape_timeout): \d+ms", r"\1: 1s", text)
            (self.folder / file).parent.mkdir(exist_ok=True)
            (self.folder / file).write_text(text, encoding="utf-8")
        (self.folder / "targets").mkdir()
        for name, jobs in {**targets, "prometheus": [("prometheus", self.port)]}.items():
            groups = [{"targets": [f"{HOST}:{port}"], "labels": {"job": job}} for job, port in jobs]
            (self.folder / "targets" / f"{name}.yml").write_text(json.dumps(groups), encoding="utf-8")
        command = [
            program("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
        ]
        super().__init__(test, "prometheus", command, lambda: get(self.port, "/-/ready")[0] == 200)

    def ask(self, path: str, **parameters: str) -> dict:
        status, body = get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        if status != 200:
            raise AssertionError(f"{parameters}: {answer.get('error', body)}")
        return answer["data"]

    def query(self, expression: str) -> list[dict]:
        return self.ask("query", query=expression)["result"]

    def firing(self, **labels: str) -> set[str]:
        """The alerts that fire with these labels: what else the machine has to complain of is not the test's."""
        alerts = (alert["labels"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing")
        return {alert["alertname"] for alert in alerts if labels.items() <= alert.items()}

    def fires(self, *names: str, meanwhile: Callable[[], None] = lambda: None, **labels: str) -> None:
        """Waits until these alerts fire; `meanwhile` keeps their cause going, again and again."""

        def missing() -> set[str]:
            meanwhile()
            return set(names) - self.firing(**labels)

        eventually(f"{' and '.join(names)} fire", lambda: not (left := missing()) or Left(left))

    def clears(self, *names: str, **labels: str) -> None:
        eventually(f"{' and '.join(names)} clear", lambda: not (left := set(names) & self.firing(**labels)) or Left(left))

    def sees(self, port: int) -> None:
        eventually(f"{port} is scraped", lambda: self.query(f'up{{instance="{HOST}:{port}"}} == 1'))
