"""The alerts that only servers can cause, and every expression of every dashboard, on Kafka, Cassandra and ClickHouse under load.

Needs a stack that is up and the variables of `deploy/native/stack env`, and leaves both as they were.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from live import HOST, REPOSITORY, Clients, NodeExporter, Pipeline, Process, Prometheus, eventually, free_port, get, order, program

GRAFANA = REPOSITORY / "grafana-superset" / "grafana"
sys.path.insert(0, str(GRAFANA / "source"))

from flow import FLOW  # noqa: E402


def stack(*words: str) -> None:
    done = subprocess.run([str(REPOSITORY / "deploy" / "native" / "stack"), *words], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"stack {' '.join(words)}: {done.stdout}{done.stderr}")


class Servers(Pipeline):
    """Ingest of a pair of processes with topics and tables of their own; it is sent orders as the embedded one is."""

    def __init__(self, test: unittest.TestCase, flags: list[str]) -> None:
        self.port, self.manage, self.settings = free_port(), free_port(), {}
        own = ["--set", f"receive.listen={HOST}:{self.port}", "--set", f"manage.listen={HOST}:{self.manage}"]
        command = [program("pipeline"), "ingest", *flags, *own]
        Process.__init__(self, test, "ingest", command, lambda: get(self.manage, "/readyz")[0] == 200)


class OnTheStack(unittest.TestCase):
    def setUp(self) -> None:
        self.assertIn("PIPELINE_KAFKA_BROKERS", os.environ, 'no stack: deploy/native/stack up; eval "$(deploy/native/stack env)"')
        self.folder = Path(tempfile.mkdtemp(prefix="on-the-stack-"))
        self.addCleanup(shutil.rmtree, self.folder, True)

    def test_alerts_of_servers_and_every_expression_of_the_dashboards(self) -> None:
        name = f"observed_{os.getpid()}_{int(time.time())}"
        own = {"kafka.topic": name, "kafka.dead_topic": f"{name}.dead", "kafka.group": name, "cassandra.keyspace": name,
               "clickhouse.database": name, "log.partitions": "3", "clickhouse.max_execution_time": "5s"}
        flags = [word for key, value in own.items() for word in ("--set", f"{key}={value}")]
        subprocess.run([program("pipeline"), "schema", "apply", *flags], check=True, capture_output=True, timeout=120)
        ingest = Servers(self, flags)
        ingest.start()
        manage = free_port()
        command = [program("pipeline"), "process", *flags, "--set", f"manage.listen={HOST}:{manage}"]
        processor = Process(self, "processor", command, lambda: get(manage, "/readyz")[0] == 200)
        processor.start()
        secured = self.secured()
        exporter = NodeExporter(self, self.folder)
        exporter.start()
        jobs = [("ingest", ingest.manage), ("processor", manage), ("embedded", secured.manage)]
        prometheus = Prometheus(self, {"pipeline": jobs, "machine": [("machine", exporter.port)]})
        prometheus.start()
        for client in (Clients(self, ingest, 2, self.orders), Clients(self, secured, 1, self.orders)):
            self.addCleanup(client.stop)
        eventually("orders are stored", lambda: prometheus.query('tillflow_store_orders_total{job="processor"} > 0'))

        stack("stop", "clickhouse")
        self.addCleanup(stack, "up", "clickhouse")
        prometheus.fires("StoreErrors")
        stack("up", "clickhouse")
        prometheus.clears("StoreErrors")

        stack("stop", "kafka")
        self.addCleanup(stack, "up", "kafka")
        prometheus.fires("LogUnreachable")
        stack("up", "kafka")
        prometheus.clears("LogUnreachable")

        secured.run("ledger", "--metrics", str(self.folder / "ledger.prom"))
        eventually("the ledger is seen", lambda: prometheus.query("tillflow_observe_ledger_differences"))
        self.every_expression(prometheus)

    def every_expression(self, prometheus: Prometheus) -> None:
        """Each shows at least one series with a number in it, with the variables filled in as Grafana does."""
        stored = 'rate(tillflow_store_orders_total{job="processor"}[5s]) > 0'
        eventually("orders flow again", lambda: prometheus.query(stored))
        names = {found for panel in self.panels() for expression, _ in panel.queries for found in re.findall(r"\$\w+", expression)}
        self.assertEqual(names, {"$instance", "$__rate_interval"}, "a variable that is not filled in here")
        empty, asked = {}, 0
        # An expression may hold nothing for a moment, as right after a start; it may not hold nothing for long.
        for _ in range(20):
            empty = {}
            for panel in self.panels():
                for expression, legend in panel.queries:
                    filled = expression.replace("$instance", ".*").replace("$__rate_interval", "10s")
                    series = prometheus.query(filled)
                    asked += 1
                    if not any(not math.isnan(float(one["value"][1])) for one in series):
                        empty[f"{panel.title}: {filled}"] = series
                    labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
                    for one in series:
                        self.assertLessEqual(labels, one["metric"].keys(), f"{panel.title}: the legend names a label that is not there")
            if not empty:
                break
            time.sleep(1)
        self.assertEqual(empty, {}, "expressions without a number")
        self.assertGreater(asked, 80)
        # The annotation that every dashboard has: a fault's alert stands in it, afterwards too.
        text = (GRAFANA / "dashboards" / "ingest.json").read_text(encoding="utf-8")
        (annotation,) = json.loads(text)["annotations"]["list"]
        self.assertTrue(prometheus.query(f"last_over_time({annotation['expr']}[10m])"))

    @staticmethod
    def panels() -> list:
        return [panel for dashboard in FLOW for panel in dashboard.panels()]

    @staticmethod
    def orders(at: int) -> list[dict[str, object]]:
        """Some invalid, some repeated, some of unknown customers: so that what counts those counts something."""
        return [order(at + n, quantity=0 if n == 3 else 1, customer_id=900 + n) for n in range(5)] + [order(at)]

    def secured(self) -> Pipeline:
        """An embedded pipeline behind TLS, with its log's disk: what the servers' processes here do not have."""
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90"]
        command += ["-subj", "/CN=localhost", "-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "certificate.pem")]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        token, line = subprocess.run([program("pipeline"), "token", "shop"], check=True, capture_output=True, text=True).stdout.split("\n")[1::2][:2]
        (self.folder / "tokens").write_text(line + "\n")
        files = {"receive.tls.certificate": "certificate.pem", "receive.tls.key": "key.pem", "receive.tokens_file": "tokens"}
        pipeline = Pipeline(self, self.folder / "data", {key: str(self.folder / file) for key, file in files.items()})
        pipeline.headers["authorization"] = f"Bearer {token}"
        pipeline.start()
        return pipeline


if __name__ == "__main__":
    unittest.main()
