"""Apache Superset: dashboards of sales, and of the pipeline's ledger, over ClickHouse. What it shows is in grafana-superset/superset."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from services import fetch, mariadb
from services.processes import MARK
from services.service import Option, Service
from services.settings import HOST, REPOSITORY, Settings, StackError, write_secret

FOLDER = REPOSITORY / "grafana-superset" / "superset"
REQUIREMENTS = "requirements-superset.txt"
SET_UP = FOLDER / "set_up.py"
SET_UP_TIMEOUT_S = 900
REPLY_TIMEOUT_S = 5.0
# Each is a request that waits for ClickHouse, seldom longer than milliseconds.
THREADS = 16
METADATA = ("sqlite", "mariadb")


def services(settings: Settings) -> list[Service]:
    if settings["SUPERSET_METADATA"] not in METADATA:
        raise StackError(f"SUPERSET_METADATA is {settings['SUPERSET_METADATA']!r}; it is one of {', '.join(METADATA)}")
    if settings["SUPERSET_METADATA"] == "sqlite":
        return [service(settings, None)]
    password = _secrets(settings) / "metadata_password"
    if not password.exists():
        write_secret(password, secrets.token_urlsafe(24) + "\n")
    database = mariadb.service(settings, password)
    return [database, service(settings, database)]


def service(settings: Settings, database: Service | None) -> Service:
    """`database` is where it keeps its own data, if not in a file."""
    port, variables = settings.ports["SUPERSET_PORT"], environment(settings) | compiled(settings)

    def prepare() -> None:
        for folder in ("home", "cache"):
            (_data(settings) / folder).mkdir(parents=True, exist_ok=True)
        if database is None:
            _copy_schema(settings, variables)
        else:
            _wait_for(database)
        _set_up(settings, variables)

    return Service(
        name="superset",
        version=settings["SUPERSET_VERSION"],
        ports={"people": port},
        command=[
            *[str(fetch.python(settings, REQUIREMENTS)), "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--workers", "1"],
            *["--worker-class", "gthread", "--threads", str(THREADS), "--timeout", "120", "--no-control-socket"],
            "superset.app:create_app()",
        ],
        environment=variables,
        prepare=prepare,
        ready=lambda: superset_ready(port),
        start_s=20,
        stop_s=30,
        memory="400m",
        data=_data(settings),
        greeting=lambda: greeting(settings),
        shown={"SUPERSET_URL": f"http://{HOST}:{port}", "SUPERSET_SECRETS": str(_secrets(settings))},
    )


def environment(settings: Settings) -> dict[str, str]:
    """What superset_config.py and set_up.py read, and what makes Superset find the former."""
    data = _data(settings)
    if settings["SUPERSET_METADATA"] == "sqlite":
        # Threads share its connections, and one that writes makes others wait.
        uri = f"sqlite:///{_sqlite(settings)}?check_same_thread=false&timeout=30"
    else:
        uri = f"mysql+pymysql://{mariadb.USER}@{HOST}:{settings.ports['MARIADB_PORT']}/{mariadb.DATABASE}?charset=utf8mb4"
    variables = {
        "SUPERSET_CONFIG_PATH": str(FOLDER / "superset_config.py"),
        "SUPERSET_HOME": str(data / "home"),
        "SUPERSET_SECRETS": str(_secrets(settings)),
        "SUPERSET_CACHE": str(data / "cache"),
        "SUPERSET_METADATA_URI": uri,
        "SUPERSET_CLICKHOUSE_URL": f"http://{HOST}:{settings.ports['CLICKHOUSE_HTTP_PORT']}",
        "SUPERSET_CLICKHOUSE_USER": settings["CLICKHOUSE_USER"],
        "FLASK_APP": "superset",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.login:
        variables["SUPERSET_CLICKHOUSE_PASSWORD_FILE"] = str(settings.login.file)
    elif settings["CLICKHOUSE_PASSWORD"]:
        variables["SUPERSET_CLICKHOUSE_PASSWORD"] = settings["CLICKHOUSE_PASSWORD"]
    return variables


def compiled(settings: Settings) -> dict[str, str]:
    """Compiled files go beside the packages that they are of, and none into the repository."""
    return {"PYTHONPYCACHEPREFIX": str(fetch.python(settings, REQUIREMENTS).parent.parent / "compiled")}


def superset_ready(port: int) -> str | None:
    """The page that people log in on: /health is answered even where every page ends in an error."""
    connection = http.client.HTTPConnection(HOST, port, timeout=REPLY_TIMEOUT_S)
    try:
        connection.request("GET", "/login/")
        reply = connection.getresponse()
        reply.read()
    finally:
        connection.close()
    return None if reply.status == 200 else f"it answers {reply.status}"


def greeting(settings: Settings) -> list[str]:
    address, folder = f"http://{HOST}:{settings.ports['SUPERSET_PORT']}", _secrets(settings)

    def password(name: str) -> str:
        key = f"SUPERSET_{name.upper()}_PASSWORD"
        return f"the password is in ${key}" if os.environ.get(key) else f"the password is in {folder / f'{name}_password'}"

    return [
        f"superset: {address}/superset/dashboard/sales/ and {address}/superset/dashboard/pipeline/",
        f"superset: log in as viewer to look ({password('viewer')}), as admin to change ({password('admin')})",
    ]


def _data(settings: Settings) -> Path:
    return settings.data / "superset"


def _secrets(settings: Settings) -> Path:
    return _data(settings) / "secrets"


def _sqlite(settings: Settings) -> Path:
    return _data(settings) / "superset.db"


def _copy_schema(settings: Settings, variables: dict[str, str]) -> None:
    """A new SQLite file begins as a copy of one with schema and roles, which is made once for all stacks of a version."""
    if _sqlite(settings).exists():
        return
    made = fetch.made_once(
        settings,
        "superset-schema",
        settings["SUPERSET_VERSION"],
        [SET_UP.read_text(), (FOLDER / "superset_config.py").read_text(), (fetch.NATIVE / REQUIREMENTS).read_text()],
        lambda folder: _make_schema(settings, variables, folder),
        "Superset's empty metadata (made here)",
    )
    unfinished = _sqlite(settings).with_suffix(".unfinished")
    shutil.copyfile(made / "superset.db", unfinished)
    unfinished.chmod(0o600)
    unfinished.rename(_sqlite(settings))


def _make_schema(settings: Settings, variables: dict[str, str], folder: Path) -> None:
    file = folder / "superset.db"
    # No secret of a stack is in it, nor need one be.
    own = {"SUPERSET_METADATA_URI": f"sqlite:///{file}", "SUPERSET_SECRET_KEY": secrets.token_urlsafe(32)}
    _run_set_up(settings, variables | own, "--schema")
    with sqlite3.connect(file) as connection:
        # Its log is written into the file itself, which is copied alone.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _wait_for(database: Service) -> None:
    deadline = time.monotonic() + database.start_s * 6
    while True:
        try:
            reason = database.ready()
        except OSError as error:
            reason = str(error)
        if reason is None:
            return
        if time.monotonic() > deadline:
            raise StackError(f"{database.name} is not ready: {reason}")
        time.sleep(0.25)


def _set_up(settings: Settings, variables: dict[str, str]) -> None:
    print("superset: bringing its metadata up to date ...", flush=True)
    _run_set_up(settings, variables)


def _run_set_up(settings: Settings, variables: dict[str, str], *arguments: str) -> None:
    log = settings.logs / "superset-set-up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [str(fetch.python(settings, REQUIREMENTS)), str(SET_UP), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=SET_UP_TIMEOUT_S,
            env=os.environ | {MARK: str(settings.home)} | variables,
        )
    if done.returncode != 0:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise StackError(f"Superset's metadata cannot be brought up to date: exit {done.returncode}; the end of {log}:\n{end}")


def _check_python() -> None:
    if sys.version_info[:2] != (3, 11):
        raise StackError(
            f"Superset's packages are pinned for Python 3.11, this is {sys.version.split()[0]}: run python3.11 deploy/native/stack"
        )


def _fetch(settings: Settings) -> list[Path]:
    _check_python()
    return [fetch.python(settings, REQUIREMENTS)]


OPTION = Option("dashboards of sales for people, on SUPERSET_PORT", services, _fetch)
