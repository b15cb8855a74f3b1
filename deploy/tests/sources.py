"""What the tests of the deployment compare: the repository's files, Compose's own reading of its files, and the native stack."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEPLOY = REPOSITORY / "deploy"
COMPOSE = DEPLOY / "compose"
ONE_BROKER = ("compose.yaml",)
THREE_BROKERS = ("compose.yaml", "compose.three-brokers.yaml")

# The native stack's modules, from where they are.
sys.path.insert(0, str(DEPLOY / "native"))
sys.dont_write_bytecode = True

from services import settings as native_settings  # noqa: E402


def text(*path: str) -> str:
    return REPOSITORY.joinpath(*path).read_text(encoding="utf-8")


@functools.cache
def versions() -> dict[str, str]:
    return native_settings.parse_versions(text("deploy", "versions.env"))


def native(environ: dict[str, str] | None = None) -> native_settings.Settings:
    """The native stack's settings as they are where nobody set anything."""
    return native_settings.read_settings(environ or {"HOME": "/nowhere", "STACK_HOME": "/nowhere", "STACK_CACHE": "/nowhere"})


def missing(what: str, how: str) -> NoReturn:
    """Fails where CI runs, and says elsewhere what was left out."""
    if os.environ.get("CI") == "true":
        raise AssertionError(f"{what} is not here, and CI leaves nothing out. {how}")
    raise unittest.SkipTest(f"NOT RUN: {what} is not here. {how}")


def program(name: str, how: str) -> str:
    return shutil.which(name) or missing(name, how)


@functools.cache
def docker_compose() -> tuple[str, ...]:
    """Compose: the one that was built for this, else the machine's own."""
    (version,) = re.findall(r"github.com/docker/compose/v2 v(\S+)", text("deploy", "compose", "config-check", "go.mod"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tillflow"
    if (built := cache / f"docker-compose-{version}").exists():
        return (str(built),)
    if found := shutil.which("docker-compose"):
        return (found,)
    if (found := shutil.which("docker")) and subprocess.run([found, "compose", "version"], capture_output=True).returncode == 0:
        return (found, "compose")
    missing("docker-compose", "Build it: deploy/compose/config-check/build")


def compose_config(*files: str, profiles: tuple[str, ...] = (), environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` says of `files`, from another folder and with nothing in the environment but `environ`."""
    command = list(docker_compose())
    for file in files:
        command += ["--file", str(COMPOSE / file)]
    for profile in profiles:
        command += ["--profile", profile]
    with tempfile.TemporaryDirectory() as elsewhere:
        clean = {"PATH": os.environ["PATH"], "HOME": elsewhere} | (environ or {})
        command += ["config", "--format", "json"]
        return subprocess.run(command, cwd=elsewhere, env=clean, capture_output=True, text=True, timeout=60)


@functools.cache
def _services(files: tuple[str, ...], environ: tuple[tuple[str, str], ...]) -> str:
    done = compose_config(*files, profiles=("load", "ledger", "grafana", "superset"), environ=dict(environ))
    if done.returncode != 0:
        raise AssertionError(f"docker compose config {' '.join(files)}: {done.stderr}")
    return done.stdout


def services(files: tuple[str, ...] = ONE_BROKER, **environ: str) -> dict[str, dict]:
    """The services, with everything merged and filled in, those of profiles too."""
    return json.loads(_services(files, tuple(sorted(environ.items()))))["services"]
