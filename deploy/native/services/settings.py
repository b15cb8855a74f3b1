"""Where the stack's settings come from: the environment, over deploy/versions.env."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

NATIVE = Path(__file__).resolve().parent.parent
REPOSITORY = NATIVE.parent.parent
VERSIONS = NATIVE.parent / "versions.env"
HOST = "127.0.0.1"

# What each default port is for, as `up` and `status` name it.
PORTS = (
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "CASSANDRA_PORT",
    "CASSANDRA_STORAGE_PORT",
    "CASSANDRA_JMX_PORT",
    "CLICKHOUSE_HTTP_PORT",
    "SUPERSET_PORT",
    "MARIADB_PORT",
    "PROMETHEUS_PORT",
    "NODE_EXPORTER_PORT",
)

# A Unix socket's path may have 107 bytes on Linux.
SOCKET_PATH_BYTES_MAX = 107


class StackError(Exception):
    """A failure that the user can act on: printed as it is, without a traceback."""


@dataclasses.dataclass(frozen=True)
class Login:
    """The one user of a secured stack. Its password is random, made at the first `up`, and stands in a file of its own."""

    user: str
    password: str = dataclasses.field(repr=False)
    file: Path


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that one stack needs to know. Two stacks differ in `home` and in the ports, and may share `cache`."""

    home: Path
    cache: Path
    values: Mapping[str, str]
    ports: Mapping[str, int]
    up_timeout_s: float
    brokers: int
    login: Login | None = None

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def socket(self) -> Path:
        """The supervisor's socket: in the stack's home unless that path is too long for a socket."""
        path = self.run / "supervisor.sock"
        # supervisord binds PATH.PID first and then links it, which takes up to 8 bytes more.
        if len(os.fsencode(path)) + 8 <= SOCKET_PATH_BYTES_MAX:
            return path
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tillflow-stack-{os.getuid()}-{name}.sock"


# What only the native stack sets. Memory is for a developer's machine: Cassandra takes its heap and about half a GiB more.
NATIVE_DEFAULTS = {
    "KAFKA_HEAP": "512m",
    "KAFKA_LOG_LEVEL": "warn",
    "KAFKA_CLUSTER_ID": "dGlsbGZsb3ctbmF0aXZlMQ",
    "CASSANDRA_HEAP": "1g",
    "CASSANDRA_LOG_LEVEL": "WARN",
    "CASSANDRA_CLUSTER_NAME": "tillflow",
    "CLICKHOUSE_USER": "default",
    "CLICKHOUSE_PASSWORD": "",
    "CLICKHOUSE_MEMORY": "2g",
    "SUPERSET_METADATA": "sqlite",
    "PROMETHEUS_RETENTION": "15d",
}


def parse_versions(text: str) -> dict[str, str]:
    """Reads KEY=VALUE lines; blank lines and lines that start with # are skipped."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator or not key.isidentifier():
            raise StackError(f"{VERSIONS}:{number}: not KEY=VALUE: {line}")
        values[key] = value
    return values


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The environment wins over versions.env; STACK_PORT_BASE is added to those ports that the environment does not set."""
    values = NATIVE_DEFAULTS | parse_versions(VERSIONS.read_text(encoding="utf-8"))
    base = _number(environ, "STACK_PORT_BASE", "0")
    ports = {}
    for key in PORTS:
        port = _number(environ, key, "0") or _number(values, key, "0") + base
        if not 1 <= port <= 65535:
            raise StackError(f"{key} is {port}, which is not a port")
        ports[key] = port
    for key in values:
        if environ.get(key):
            values[key] = environ[key]
    cache = environ.get("STACK_CACHE") or os.path.join(
        environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tillflow", "stack"
    )
    brokers = _number(environ, "STACK_BROKERS", "1")
    # Two would be no better than one: both must have a record, so that the loss of either stops all.
    if brokers not in (1, 3):
        raise StackError(f"STACK_BROKERS is {brokers}: there is one broker, or there are three")
    home = Path(environ.get("STACK_HOME") or REPOSITORY / ".stack").absolute()
    login = _login(home) if environ.get("STACK_SECURED", "") not in ("", "0") else None
    if login:
        values |= {"CLICKHOUSE_USER": login.user, "CLICKHOUSE_PASSWORD": login.password}
    return Settings(
        home=home,
        cache=Path(cache).absolute(),
        values=values,
        ports=ports,
        up_timeout_s=float(_number(environ, "STACK_UP_TIMEOUT", "180")),
        brokers=brokers,
        login=login,
    )


def write_secret(file: Path, text: str) -> None:
    """Writes a file that nobody else may read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def _login(home: Path) -> Login:
    """In the folder of the data, since Cassandra keeps a digest of the password there: `clean` removes both."""
    file = home / "data" / "password"
    if not file.exists():
        write_secret(file, secrets.token_hex(16) + "\n")
    return Login("tillflow", file.read_text(encoding="utf-8").strip(), file)


def _number(values: Mapping[str, str], key: str, default: str) -> int:
    text = values.get(key) or default
    try:
        return int(text)
    except ValueError:
        raise StackError(f"{key} is {text!r}, which is not a number") from None
