"""Right and wrong passwords on real servers that ask for one: STACK_SECURED=1 deploy/native/stack up, and its env."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "pipeline"
NAME = f"logins_{os.getpid()}"
SETTINGS = {
    "mode": "servers",
    "receive.listen": "127.0.0.1:0",
    "manage.listen": "127.0.0.1:0",
    "kafka.topic": NAME,
    "kafka.dead_topic": f"{NAME}.dead",
    "kafka.group": NAME,
    "cassandra.keyspace": NAME,
    "clickhouse.database": NAME,
    "process.block_interval": "200ms",
    "log.delivery_timeout": "3s",
}
FILES = {
    "Kafka": "PIPELINE_KAFKA_CLIENT_SASL_PASSWORD_FILE",
    "Cassandra": "PIPELINE_CASSANDRA_PASSWORD_FILE",
    "ClickHouse": "PIPELINE_CLICKHOUSE_PASSWORD_FILE",
}
# What each server says itself of a wrong password.
REASONS = {
    "Kafka": "Authentication failed: Invalid username or password",
    "Cassandra": "Provided username tillflow and/or password are incorrect",
    "ClickHouse": "Authentication failed: password is incorrect",
}
CANARY = "canary-wrong-password"
ORDER = json.dumps({"order_id": "login-1", "customer_id": 3, "source": "Online", "quantity": 2, "total": "12.50"})
# A command that cannot log in ends on its own; this is far longer than any of the product's own time-outs here.
DEADLINE_S = 90


def command(*arguments: str) -> list[str]:
    return [str(PROGRAM), *arguments, *(part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}"))]


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), env=os.environ | (environment or {}), capture_output=True, text=True, timeout=DEADLINE_S)


@contextlib.contextmanager
def serving(what: str, log: Path, environment: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """A process that goes on, once it is up: where it takes orders, and its management port."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command(what), env=os.environ | (environment or {}), stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert process.stdout is not None
        found = {}
        for line in process.stdout:
            for name, marker in (("orders", "taken at "), ("manage", "are at ")):
                if marker in line:
                    found[name] = "http://" + line.split(marker + "http://")[1].split("/")[0]
            if line.rstrip().endswith("Ctrl-C stops"):
                break
        if "manage" not in found:
            raise AssertionError(f"{what} did not start: {log.read_text()}")
        yield found.get("orders", ""), found["manage"]
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
        if process.stdout:
            process.stdout.close()


def ask(url: str, body: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, body.encode() if body else None, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Logins(unittest.TestCase):
    folder: tempfile.TemporaryDirectory[str]
    wrong: Path

    @classmethod
    def setUpClass(cls) -> None:
        missing = [name for name in FILES.values() if not os.environ.get(name)]
        if missing:
            raise AssertionError(f"{missing} must be set: these tests check nothing on a stack that asks for no password")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.wrong = Path(cls.folder.name) / "wrong"
        cls.wrong.write_text(CANARY + "\n")
        applied = run("schema", "apply")
        assert applied.returncode == 0, applied.stderr

    def silent(self, text: str) -> None:
        self.assertNotIn(CANARY, text)
        self.assertNotIn(Path(os.environ[FILES["Kafka"]]).read_text().strip(), text)

    def test_with_the_right_passwords_orders_go_the_whole_way(self) -> None:
        ingest_log, process_log = (Path(self.folder.name) / name for name in ("ingest", "process"))
        with serving("ingest", ingest_log) as (orders, _), serving("process", process_log):
            self.assertEqual(ask(f"{orders}/v1/orders", ORDER)[0], 202)
            began = time.monotonic()
            while True:
                ledger = json.loads(run("ledger", "--json").stdout)
                if ledger["total"]["pending"] == 0 and ledger["total"]["orders"] == 1:
                    break
                self.assertLess(time.monotonic() - began, DEADLINE_S, ledger)
                time.sleep(0.3)
            self.assertTrue(ledger["balanced"], ledger)
        for log in (ingest_log, process_log):
            self.silent(log.read_text())

    def test_a_wrong_password_ends_a_command_with_the_server_s_own_reason(self) -> None:
        for server, variable in FILES.items():
            for arguments in (("schema", "apply"), ("schema", "check"), ("process",), ("ledger",)):
                with self.subTest(server=server, command=arguments):
                    done = run(*arguments, environment={variable: str(self.wrong)})
                    self.assertEqual(done.returncode, 2, done.stderr)
                    last = done.stderr.strip().splitlines()[-1]
                    self.assertIn(REASONS[server], last)
                    self.silent(done.stdout + done.stderr)

    def test_an_ingest_that_may_not_write_says_so_to_clients_and_operators(self) -> None:
        log = Path(self.folder.name) / "refused"
        with serving("ingest", log, {FILES["Kafka"]: str(self.wrong)}) as (orders, manage):
            status, body = ask(f"{orders}/v1/orders", ORDER)
            self.assertEqual((status, json.loads(body)["results"][0]["outcome"]), (503, "failed"), body)
            status, why = ask(f"{manage}/readyz")
            self.assertEqual(status, 503)
            self.assertIn(REASONS["Kafka"], why)
            self.silent(body + why)
        self.assertIn(REASONS["Kafka"], log.read_text())
        self.silent(log.read_text())

    def test_the_user_that_every_cassandra_comes_with_cannot_log_in(self) -> None:
        default = Path(self.folder.name) / "default"
        default.write_text("cassandra")
        environment = {"PIPELINE_CASSANDRA_USER": "cassandra", FILES["Cassandra"]: str(default)}
        done = run("schema", "check", environment=environment)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("cassandra is not permitted to log in", done.stderr)


if __name__ == "__main__":
    unittest.main()
