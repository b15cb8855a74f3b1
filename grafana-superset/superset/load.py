"""How much people who look at the sales dashboard cost: simulated viewers over the interface that the page uses.

    eval "$(deploy/native/stack env)"
    deploy/native/stack python grafana-superset/superset/load.py --viewers 20 --seconds 60
    ... --url http://127.0.0.1:8080/v1/orders --rate 1000     also sends orders, without viewers and then with them, and compares

Each viewer asks for every chart at once each 10 s, at a moment of his own, as an open page does. It prints how many answers there were
and how long they took, how many came from the cache, what reached ClickHouse, and the pipeline's response without and with viewers.
`--force` is how Superset refreshes unless told otherwise: past the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
from person import Person, chosen, question  # noqa: E402

PERIOD_S = 10.0
REPOSITORY = Path(__file__).resolve().parent.parent.parent
# What the page's filters say where nobody chose anything.
DEFAULTS = [chosen("currency", "USD"), chosen("time_zone", "UTC")]


class Viewers:
    """Threads that ask until they are told to stop, and what they saw."""

    def __init__(self, count: int, force: bool) -> None:
        password = Path(os.environ["SUPERSET_SECRETS"], "viewer_password").read_text(encoding="utf-8").strip()
        person = Person(os.environ["SUPERSET_URL"], "viewer", password)
        self.person, self.force = person, force
        self.questions = [
            question(chart, [] if name == "Freshness" else DEFAULTS) | {"force": force} for name, chart in person.board("sales").items()
        ]
        self.seen: list[tuple[float, bool]] = []
        self.errors: list[str] = []
        self.late = 0
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.look, args=(i * PERIOD_S / count,), daemon=True) for i in range(count)]

    def run(self, seconds: float) -> float:
        """Returns how long they looked."""
        began = time.monotonic()
        for thread in self.threads:
            thread.start()
        time.sleep(seconds)
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return time.monotonic() - began

    def look(self, first_s: float) -> None:
        due = time.monotonic() + first_s
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            round_ = [threading.Thread(target=self.ask, args=(one,), daemon=True) for one in self.questions]
            for thread in round_:
                thread.start()
            for thread in round_:
                thread.join()
            due += PERIOD_S
            if time.monotonic() > due:
                # A page asks again 10 s after, however long the answers took.
                self.late += 1
                due = time.monotonic()

    def ask(self, body: dict[str, Any]) -> None:
        began = time.monotonic()
        try:
            path = f"/api/v1/chart/data?force={str(self.force).lower()}"
            (result,) = self.person.ask("POST", path, body)["result"]
            error, cached = result["error"], bool(result["is_cached"])
        except Exception as caught:
            error, cached = str(caught), False
        with self.lock:
            self.seen.append((time.monotonic() - began, cached))
            if error:
                self.errors.append(error)

    def report(self, took: float, queries: int | None) -> str:
        times = sorted(seconds for seconds, _ in self.seen)
        cached = sum(cached for _, cached in self.seen)
        lines = [
            f"viewers: {len(self.threads)}, each {len(self.questions)} charts every {PERIOD_S:.0f} s, {'forced' if self.force else 'unforced'}",
            f"answers: {len(times)} in {took:.1f} s, {len(times) / took:.1f} a second, {len(self.errors)} errors, {self.late} late rounds",
            f"answered in: p50 {percentile(times, 50):.0f} ms, p99 {percentile(times, 99):.0f} ms, max {times[-1] * 1000:.0f} ms",
            f"from the cache: {cached} ({100 * cached / len(times):.0f}%)",
        ]
        if queries is not None:
            lines.append(f"queries at ClickHouse: {queries}, {queries / took:.1f} a second")
        return "\n".join(lines + [f"error: {text[:300]}" for text in self.errors[:3]])


def percentile(ordered: list[float], percent: int) -> float:
    """In ms, of times in s."""
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


def selects() -> int | None:
    """How many SELECTs ClickHouse has run since it started."""
    url = f"{os.environ['PIPELINE_CLICKHOUSE_URL']}/"
    headers = {"X-ClickHouse-User": os.environ.get("PIPELINE_CLICKHOUSE_USER", "default")}
    if file := os.environ.get("PIPELINE_CLICKHOUSE_PASSWORD_FILE"):
        headers["X-ClickHouse-Key"] = Path(file).read_text(encoding="utf-8").strip()
    body = b"SELECT value FROM system.events WHERE event = 'SelectQuery'"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as reply:
        text = reply.read().decode().strip()
    return int(text) if text else None


class Orders:
    """A load of orders, whose response the report of loadgen gives."""

    def __init__(self, url: str, rate: float, seconds: float, program: str) -> None:
        self.report = Path(tempfile.mkdtemp()) / "report.json"
        command = [program, "run", "--url", url, "--rate", str(rate), "--duration", f"{seconds}s", "--report", str(self.report)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def response(self) -> dict[str, Any]:
        self.process.wait()
        told = json.loads(self.report.read_text(encoding="utf-8"))
        return dict(told["latency_ms"]["response"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--force", action="store_true", help="as Superset refreshes by default: past the cache")
    parser.add_argument("--url", help="where to send orders meanwhile, such as http://127.0.0.1:8080/v1/orders")
    parser.add_argument("--rate", type=float, default=1000, help="orders a second")
    parser.add_argument("--loadgen", default=str(REPOSITORY / "target" / "release" / "loadgen"))
    options = parser.parse_args()

    def orders() -> Orders | None:
        return Orders(options.url, options.rate, options.seconds, options.loadgen) if options.url else None

    if alone := orders():
        print(f"response without viewers, ms: {alone.response()}", flush=True)
    viewers = Viewers(options.viewers, options.force)
    meanwhile, before = orders(), selects()
    took = viewers.run(options.seconds)
    after = selects()
    print(viewers.report(took, None if after is None or before is None else after - before))
    if meanwhile:
        print(f"response with viewers, ms: {meanwhile.response()}")
    return 1 if viewers.errors else 0


if __name__ == "__main__":
    sys.exit(main())
