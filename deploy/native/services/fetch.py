"""Downloads, once for all stacks of a machine, into the cache folder; each is checked before it is used.

A download is made in a folder of its own and renamed into place when it is whole: of two fetches at once the first rename wins and
the other one uses its result. The name of the final folder holds a hash of what it was made from, so that a changed version, pom or
requirement makes a new folder and never a mixture.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from services.settings import NATIVE, Settings, StackError

# The plugin is named with its version: what Maven takes without one depends on its own version.
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_TIMEOUT_S = 1200
# Packages of which there are no wheels, by the file of requirements that names them: small, and of Python alone.
FROM_SOURCE = {"requirements-superset.txt": "odfpy,wtforms-json"}
JAR_VERSIONS = {
    "kafka": {"kafka.version": "KAFKA_VERSION", "slf4j.version": "SLF4J_VERSION"},
    "cassandra": {"cassandra.version": "CASSANDRA_VERSION"},
}


def jars(settings: Settings, service: str, *, check: bool = True) -> Path:
    """The folder with the jars of `service`, fetched if it is not there, each file compared with the committed checksums."""
    pom = NATIVE / f"pom-{service}.xml"
    versions = [f"-D{name}={settings[key]}" for name, key in JAR_VERSIONS[service].items()]
    folder = settings.cache / _name(service, settings[f"{service.upper()}_VERSION"], pom.read_text(), *versions)

    def fetch(target: Path) -> None:
        _need("mvn", "Maven fetches the jars of Kafka and Cassandra: install it (Debian: apt-get install maven)")
        command = ["mvn", "-B", "-q", "-f", str(pom), COPY_DEPENDENCIES, *versions, "-DincludeScope=runtime"]
        _run([*command, f"-DoutputDirectory={target}"], f"fetch the jars of {service}")
        if check:
            verify(target, service)

    _once(settings, folder, fetch, f"{service} {settings[f'{service.upper()}_VERSION']} (jars, through Maven)")
    if check:
        verify(folder, service)
    return folder


def verify(folder: Path, service: str) -> None:
    """Compares the folder with deploy/native/SERVICE.sha256: no file may be missing, be another, or be there without being listed."""
    listed = {}
    for line in checksum_file(service).read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        listed[name] = digest
    found = {path.name: _sha256(path) for path in folder.iterdir()}
    wrong = sorted(name for name in listed.keys() | found.keys() if listed.get(name) != found.get(name))
    if wrong:
        names = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        raise StackError(
            f"{len(wrong)} files in {folder} are not as {checksum_file(service).name} lists them: {names}\n"
            "remove that folder to fetch them again; after a change of versions.env run `stack fetch --write-checksums`"
        )


def write_checksums(settings: Settings) -> None:
    """Lists what Maven gave, to be looked at and committed after a version was changed."""
    for service in JAR_VERSIONS:
        folder = jars(settings, service, check=False)
        lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
        checksum_file(service).write_text("".join(lines))
        print(f"wrote {checksum_file(service)}: {len(lines)} files")


def checksum_file(service: str) -> Path:
    return NATIVE / f"{service}.sha256"


def python(settings: Settings, requirements: str = "requirements.txt") -> Path:
    """The Python of a virtual environment that holds exactly the hashed packages of `requirements`."""
    source = NATIVE / requirements
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # By whatever name this Python was called, or from a virtual environment of it: it is one.
    interpreter = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    folder = settings.cache / _name(Path(requirements).stem, version, source.read_text(), interpreter)

    def fetch(target: Path) -> None:
        _run([sys.executable, "-m", "venv", str(target)], "make a virtual environment (Debian: apt-get install python3-venv)")
        # A venv is used from another folder than it is made in: so its programs are always started as modules of its Python.
        pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wheels = ["--only-binary=:all:", f"--no-binary={FROM_SOURCE.get(requirements, ':none:')}"]
        _run([*pip, "--no-compile", *wheels, "--require-hashes", "-r", str(source)], f"install {requirements}")

    _once(settings, folder, fetch, f"Python packages of {requirements} (through pip)")
    return folder / "bin" / "python"


def made_once(
    settings: Settings, what: str, version: str, made_from: list[str], make: Callable[[Path], None], text: str
) -> Path:
    """A folder of the cache that `make` fills, from nothing but what `made_from` says."""
    folder = settings.cache / _name(what, version, *made_from)
    _once(settings, folder, make, text)
    return folder


def clean(settings: Settings) -> None:
    """Removes the downloads, and nothing else that may lie in the cache folder."""
    for kind in (*JAR_VERSIONS, "requirements", "superset", "fetching"):
        for folder in settings.cache.glob(f"{kind}-*"):
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        settings.cache.rmdir()


def _once(settings: Settings, folder: Path, fetch: Callable[[Path], None], what: str) -> None:
    """Makes `folder` by `fetch` unless it is there."""
    if folder.is_dir():
        return
    print(f"fetching {what} ...", flush=True)
    settings.cache.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix="fetching-", dir=settings.cache))
    try:
        fetch(target)
        # mkdtemp lets only its owner in; the cache may be shared.
        target.chmod(0o755)
        try:
            target.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _name(what: str, version: str, *made_from: str) -> str:
    digest = hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:12]
    return f"{what}-{version}-{digest}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _need(program: str, why: str) -> None:
    if shutil.which(program) is None:
        raise StackError(f"{program} is not on the PATH. {why}")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            env=os.environ | {"PIP_NO_INPUT": "1"},
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"failed to {what}: not done after {FETCH_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise StackError(f"failed to {what}: exit {done.returncode}\n{done.stdout[-4000:].rstrip()}")
