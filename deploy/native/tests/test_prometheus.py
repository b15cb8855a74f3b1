"""Prometheus beside the stack: the repository's own configuration, the stack's targets, and a clear word where a package is missing."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from services import options, prometheus
from services.settings import REPOSITORY, StackError, read_settings


class Prometheus(unittest.TestCase):
    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="prometheus-"))
        self.addCleanup(shutil.rmtree, self.home)
        self.settings = read_settings({"STACK_HOME": str(self.home), "STACK_PORT_BASE": "20000"})

    def test_a_missing_package_is_named_with_the_command_that_brings_it(self) -> None:
        with mock.patch.object(shutil, "which", lambda program: None if program == "prometheus" else f"/bin/{program}"):
            with self.assertRaisesRegex(StackError, r"^prometheus not found: apt-get install --no-install-recommends prometheus$"):
                options.OPTIONS["prometheus"].fetch(self.settings)

    def test_it_scrapes_itself_and_the_machine_where_this_stack_has_them_and_the_pipeline_where_that_listens(self) -> None:
        exporter, server = prometheus.services(self.settings)
        server.prepare()
        folder = self.home / "run" / "prometheus"
        found = {
            file.stem: [(group["labels"]["job"], group["targets"]) for group in json.loads(file.read_text())]
            for file in (folder / "targets").glob("*.yml")
        }
        self.assertEqual(found["machine"], [("machine", [f"127.0.0.1:{exporter.port}"])])
        self.assertEqual(found["prometheus"], [("prometheus", [f"127.0.0.1:{server.port}"])])
        # The pipeline's processes are no part of the stack: its base does not move them.
        self.assertEqual(found["pipeline"], [("ingest", ["127.0.0.1:9090"]), ("processor", ["127.0.0.1:9091"])])
        self.assertEqual((exporter.port, server.port), (29100, 29095))
        for service in (exporter, server):
            self.assertIn(f"--web.listen-address=127.0.0.1:{service.port}", service.command)
        # A person's own targets outlive the next start.
        own = folder / "targets" / "pipeline-second.yml"
        own.write_text("[]")
        server.prepare()
        self.assertTrue(own.exists())

    def test_what_it_runs_with_is_the_repositorys_and_sound(self) -> None:
        _, server = prometheus.services(self.settings)
        server.prepare()
        folder = self.home / "run" / "prometheus"
        source = REPOSITORY / "grafana-superset" / "prometheus"
        for file in ("prometheus.yml", "rules/alerts.yml", "rules/recording.yml"):
            self.assertEqual((folder / file).read_bytes(), (source / file).read_bytes())
        self.assertTrue(shutil.which("promtool"), "apt-get install --no-install-recommends prometheus")
        done = subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("WARNING", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
