"""Each alert is made to fire by causing what it is for, on an embedded pipeline under a real Prometheus, and clears when that is mended.

What only servers can do is in `test_on_the_stack.py`; `test_rules.py` holds the two together, and that no alert is left out.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from live import HOST, Clients, NodeExporter, Pipeline, Prometheus, eventually, order


class Alerts(unittest.TestCase):
    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="alerts-"))
        self.addCleanup(shutil.rmtree, folder, True)
        return folder

    def start(self, settings: dict[str, str] | None = None, data: Path | None = None) -> tuple[Pipeline, Prometheus]:
        pipeline = Pipeline(self, data or self.folder() / "data", settings)
        pipeline.start()
        prometheus = Prometheus(self, {"pipeline": [("embedded", pipeline.manage)]})
        prometheus.start()
        prometheus.sees(pipeline.manage)
        return pipeline, prometheus

    def test_stores_that_take_no_block_and_records_that_are_none(self) -> None:
        pipeline, prometheus = self.start({"log.max_queue_bytes": "64MiB"})
        self.assertEqual(pipeline.send([order(1)]), 202)
        eventually("it is stored", lambda: prometheus.query("tillflow_store_orders_total == 1"))
        pipeline.break_stores()
        # One order in ten is invalid, and each request brings enough that the lag passes 10,000 and grows.
        clients = Clients(self, pipeline, 1, lambda at: [order(at + n, quantity=0 if n % 10 == 0 else 1) for n in range(200)])
        prometheus.fires("StoreErrors", "FreshnessLate", "RejectionsHigh")
        prometheus.fires("LagGrowing")
        # The log is behind its processor, so what it holds can still be changed into what a foreign producer may have sent.
        with pipeline.sql("log.db") as log:
            (last,) = log.execute("SELECT max(offset) FROM orders_0").fetchone()
            log.execute("UPDATE orders_0 SET value = ? WHERE offset = ?", (b"no order", last))
        self.assertEqual(pipeline.send([order(1, quantity=7)]), 202, "an id that was stored, with another body")
        clients.stop()
        pipeline.mend_stores()
        prometheus.fires("DeadLetters", "ConflictingRepeats")
        prometheus.clears("StoreErrors", "FreshnessLate", "RejectionsHigh", "LagGrowing")
        prometheus.clears("DeadLetters", "ConflictingRepeats")

    def test_a_log_that_takes_nothing_or_takes_its_time_and_clients_that_are_too_many(self) -> None:
        limits = {"receive.max_in_flight_requests": "8", "receive.max_connections": "40"}
        pipeline, prometheus = self.start(limits)
        clients = Clients(self, pipeline, 4, lambda at: [order(at)])
        pipeline.break_log()
        prometheus.fires("IngestErrors")
        pipeline.mend_log()
        # From here on somebody else holds the log's file most of the time.
        with pipeline.sql("log.db") as log:

            def hold() -> None:
                log.execute("BEGIN IMMEDIATE")
                time.sleep(1)
                log.execute("COMMIT")

            prometheus.fires("IngestSlow", meanwhile=hold)
            crowd = Clients(self, pipeline, 24, lambda at: [order(at + 500_000)])
            prometheus.fires("IngestPushback", meanwhile=hold)
        crowd.stop()
        prometheus.clears("IngestErrors", "IngestSlow", "IngestPushback")
        clients.stop()
        idle = [socket.create_connection((HOST, pipeline.port), timeout=5) for _ in range(60)]
        prometheus.fires("ConnectionsRefused")
        for connection in idle:
            connection.close()
        prometheus.clears("ConnectionsRefused")

    def test_a_process_that_dies_again_and_again_and_a_partition_that_cannot_go_on(self) -> None:
        pipeline, prometheus = self.start()
        pipeline.break_stores()
        self.assertEqual(pipeline.send([order(number) for number in range(10)]), 202)
        pipeline.kill()
        prometheus.fires("TargetDown")

        def start_again() -> None:
            pipeline.start()
            prometheus.sees(pipeline.manage)
            pipeline.kill()

        prometheus.fires("Restarting", meanwhile=start_again)
        # Three of ten records go before they were stored, as under a retention that is too short.
        with pipeline.sql("log.db") as log:
            log.execute("DELETE FROM orders_0 WHERE offset < 3")
        pipeline.mend_stores()
        pipeline.start()
        prometheus.fires("PartitionStopped", "NotReady")
        pipeline.stop()
        pipeline.run("recover", "lost", "--partition", "0", "--from", "0", "--to", "2")
        pipeline.start()
        prometheus.clears("TargetDown", "PartitionStopped", "NotReady", "Restarting")
        eventually("the rest is stored", lambda: prometheus.query("tillflow_store_orders_total == 7"))

    def test_a_certificate_that_ends_soon_and_one_that_is_none(self) -> None:
        folder = self.folder()
        certificate, key = folder / "certificate.pem", folder / "key.pem"

        def issue(days: int) -> None:
            command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            command += ["-days", str(days), "-subj", "/CN=localhost", "-keyout", str(folder / "new.key"), "-out", str(folder / "new.pem")]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            (folder / "new.key").rename(key)
            (folder / "new.pem").rename(certificate)

        issue(2)
        _, prometheus = self.start({"receive.tls.certificate": str(certificate), "receive.tls.key": str(key)})
        prometheus.fires("CertificateEnds")
        certificate.write_text("no certificate\n")
        prometheus.fires("ReloadFailed")
        issue(90)
        prometheus.clears("CertificateEnds", "ReloadFailed")

    def test_books_that_do_not_balance_and_books_that_nobody_draws_up(self) -> None:
        folder = self.folder()
        pipeline = Pipeline(self, folder / "data")
        pipeline.start()
        exporter = NodeExporter(self, folder)
        exporter.start()
        prometheus = Prometheus(self, {"pipeline": [("embedded", pipeline.manage)], "machine": [("machine", exporter.port)]})
        prometheus.start()
        self.assertEqual(pipeline.send([order(number) for number in range(5)]), 202)
        eventually("they are stored", lambda: prometheus.query("tillflow_store_orders_total == 5"))
        file = folder / "ledger.prom"
        pipeline.run("ledger", "--metrics", str(file))
        eventually("the ledger is seen", lambda: prometheus.query("tillflow_observe_ledger_differences == 0"))
        with pipeline.sql("stores.db") as stores:
            stores.execute("CREATE TABLE taken AS SELECT * FROM orders LIMIT 1")
            stores.execute("DELETE FROM orders WHERE order_id IN (SELECT order_id FROM taken)")
        pipeline.run("ledger", "--metrics", str(file))
        prometheus.fires("LedgerDiffers")
        with pipeline.sql("stores.db") as stores:
            stores.execute("INSERT INTO orders SELECT * FROM taken")
            stores.execute("DROP TABLE taken")
        pipeline.run("ledger", "--metrics", str(file))
        prometheus.clears("LedgerDiffers")
        # As the file would be if the last ledger had been drawn up two days ago.
        old = [f"{line.split()[0]} {time.time() - 2 * 86400}" if line.startswith("tillflow_observe_ledger_at") else line
               for line in file.read_text().splitlines()]
        file.write_text("\n".join(old) + "\n")
        prometheus.fires("LedgerLate")
        pipeline.run("ledger", "--metrics", str(file))
        prometheus.clears("LedgerLate")

    def test_a_disk_that_fills(self) -> None:
        if os.geteuid() != 0:
            if os.environ.get("CI") == "true":
                self.fail("only root can mount the small disk that this fills, and CI leaves nothing out")
            self.skipTest("NOT RUN: only root can mount the small disk that this fills")
        disk = self.folder() / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        pipeline = Pipeline(self, disk / "data")
        pipeline.start()
        exporter = NodeExporter(self, disk)
        exporter.start()
        prometheus = Prometheus(self, {"pipeline": [("embedded", pipeline.manage)], "machine": [("machine", exporter.port)]})
        prometheus.start()
        prometheus.sees(exporter.port)
        # The exporter reads all disks of the machine, and one of the others may be nearly full too.
        the_disk = {"mountpoint": str(disk)}
        self.assertFalse(prometheus.firing() & {"LogDiskLow"} or prometheus.firing(**the_disk))
        (disk / "ballast").write_bytes(bytes(59 << 20))
        prometheus.fires("LogDiskLow")
        prometheus.fires("DiskLow", **the_disk)
        (disk / "ballast").unlink()
        prometheus.clears("LogDiskLow")
        prometheus.clears("DiskLow", **the_disk)


if __name__ == "__main__":
    unittest.main()
