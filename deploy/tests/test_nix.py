"""The flake evaluates, is formatted, and takes what the other ways of running the stack take."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import unittest

from sources import DEPLOY, REPOSITORY, program, text, versions

FLAKE = text("flake.nix")
NIX_FILES = ("flake.nix", "deploy/nix/stub/flake.nix")
CARGO_HAS_IT = "cargo install --locked"


class Flake(unittest.TestCase):
    def run_it(self, *command: str) -> str:
        done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_it_evaluates_for_every_system_and_what_is_wrong_is_refused(self) -> None:
        program("nix", "Debian: apt-get install nix-bin")
        said = self.run_it(str(DEPLOY / "nix" / "stub" / "check.sh"))
        self.assertRegex(said, r"evaluated \d+ outputs")
        self.assertEqual(said.count("\nrefused: "), 6)

    def test_it_is_formatted(self) -> None:
        self.run_it(program("nixfmt", f"{CARGO_HAS_IT} nixfmt_rs"), "--check", *NIX_FILES)

    def test_it_has_no_dead_code(self) -> None:
        self.run_it(program("deadnix", f"{CARGO_HAS_IT} deadnix"), "--fail", *NIX_FILES)

    def test_versions_of_servers_stand_in_versions_env_alone(self) -> None:
        for key, value in versions().items():
            if key.endswith("_VERSION"):
                self.assertNotIn(value, FLAKE, key)
        # What runs the servers is the native stack itself, so versions, settings and readiness are its own.
        self.assertIn("${./deploy}/native/stack", FLAKE)
        self.assertTrue(os.access(DEPLOY / "native" / "stack", os.X_OK))
        for server in ("apacheKafka", "cassandra", "clickhouse"):
            self.assertNotRegex(FLAKE, rf"pkgs\.{server}\b")

    def test_it_has_the_java_and_the_python_that_the_native_stack_needs(self) -> None:
        self.assertIn("pkgs.jdk17_headless", FLAKE)
        (least,) = re.findall(r"sys\.version_info < \((\d+), (\d+)\)", text("deploy", "native", "stack"))
        (python,) = set(re.findall(r"pkgs\.python(\d)(\d+)\b", FLAKE))
        self.assertGreaterEqual(tuple(map(int, python)), tuple(map(int, least)))

    def test_its_binaries_are_the_images_binaries(self) -> None:
        dockerfile = text("deploy", "compose", "Dockerfile")
        self.assertEqual(set(re.findall(r'"--bin=(\w+)"', FLAKE)), set(re.findall(r"--bin (\w+)", dockerfile)))
        (features,) = re.findall(r"--features (\S+)", dockerfile)
        self.assertIn(f'buildFeatures = [ "{features}" ]', FLAKE)
        # Whoever loads the image has what compose would otherwise build.
        image = re.search(r"image: (\w+):\$\{TILLFLOW_TAG:-(\w+)\}", text("deploy", "compose", "compose.yaml"))
        assert image
        self.assertIn(f'name = "{image[1]}";\n            tag = "{image[2]}";', FLAKE)
        (user,) = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
        self.assertIn(f'User = "{user}"', FLAKE)

    def test_its_sources_have_every_member_of_the_workspace(self) -> None:
        for path in ("Cargo.lock", "Cargo.toml", *tomllib.loads(text("Cargo.toml"))["workspace"]["members"]):
            self.assertRegex(FLAKE, rf"(?m)^ +\./{re.escape(path)}$")
        self.assertIn("./deploy/schema", FLAKE)


if __name__ == "__main__":
    unittest.main()
