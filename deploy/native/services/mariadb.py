"""MariaDB, where Superset keeps its own data if that is not to be a file: Debian's server as an ordinary process of the stack."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from services.service import Service
from services.settings import HOST, Settings, StackError
from services.wire import connect, receive

HINT = "Debian: apt-get install mariadb-server-core"
DATABASE = USER = "superset"


def service(settings: Settings, password: Path) -> Service:
    """`password` is the file of the one user's password, who may log in over TCP; there is no other login."""
    data, port, run = settings.data / "mariadb", settings.ports["MARIADB_PORT"], settings.run
    start = run / "mariadb.sql"
    me = pwd.getpwuid(os.getuid()).pw_name

    def prepare() -> None:
        data.parent.mkdir(parents=True, exist_ok=True)
        if not (data / "mysql").exists():
            _install(data, me)
        start.touch(mode=0o600)
        # Run by the server at every start, before it listens: a password that was changed is changed there, too.
        start.write_text(statements(password.read_text(encoding="utf-8").strip()), encoding="utf-8")

    return Service(
        name="mariadb",
        version="Debian's",
        ports={"clients": port},
        command=[
            _program("mariadbd"),
            # It reads no configuration of the machine's.
            "--no-defaults",
            f"--user={me}",
            f"--datadir={data}",
            f"--bind-address={HOST}",
            f"--port={port}",
            f"--socket={run / 'mariadb.sock'}",
            f"--pid-file={run / 'mariadb.pid'}",
            f"--init-file={start}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci",
            "--innodb-buffer-pool-size=64M",
        ],
        environment={},
        prepare=prepare,
        ready=lambda: ready(port),
        start_s=10,
        stop_s=30,
        memory="200m",
        data=data,
    )


def statements(password: str) -> str:
    """One statement a line: this is how the server reads its init file."""
    literal = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"""\
CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS '{USER}'@'{HOST}';
ALTER USER '{USER}'@'{HOST}' IDENTIFIED BY '{literal}';
GRANT ALL ON {DATABASE}.* TO '{USER}'@'{HOST}';
"""


def ready(port: int) -> str | None:
    """The server's greeting, which it sends to everyone who connects; an error instead says that it will not talk."""
    with connect(port) as connection:
        size = int.from_bytes(receive(connection, 4)[:3], "little")
        greeting = receive(connection, size)
    if greeting[0] == 10:
        return None
    return f"it greets with {greeting[3:].decode(errors='replace')}" if greeting[0] == 255 else f"it greets with byte {greeting[0]}"


def _install(data: Path, me: str) -> None:
    """Makes the tables that a server starts from, beside their place and renamed when they are whole."""
    unfinished = data.with_name("mariadb.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [_program("mariadb-install-db"), "--no-defaults", f"--user={me}", f"--datadir={unfinished}", "--skip-test-db"]
    command += ["--auth-root-authentication-method=socket"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise StackError(f"failed to make MariaDB's data folder:\n{(done.stdout + done.stderr)[-4000:].rstrip()}")
    shutil.rmtree(data, ignore_errors=True)
    unfinished.rename(data)


def _program(name: str) -> str:
    # Debian keeps servers where only root's PATH looks.
    if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        return found
    raise StackError(f"{name} is not on the PATH. SUPERSET_METADATA=mariadb needs it ({HINT}); SUPERSET_METADATA=sqlite does not")
