"""supervisord: its configuration, its start, and its XML-RPC interface over a Unix socket."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from services.processes import MARK
from services.service import Service
from services.settings import Settings, StackError

START_TIMEOUT_S = 20
CALL_TIMEOUT_S = 10
# The code of supervisord's fault for a process that is not there to be stopped.
NOT_RUNNING = 70


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=CALL_TIMEOUT_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self.path)


class Supervisor:
    """The supervisor of one stack, which may or may not be running."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.logs / "supervisord.log"
        self.config = settings.run / "supervisord.conf"

    def start(self, python: Path, services: list[Service]) -> None:
        """Starts supervisord, with no service started yet, and waits until it answers."""
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        # The configuration holds ClickHouse's password.
        self.config.touch(mode=0o600)
        self.config.write_text(config(self.settings, services))
        environment = os.environ | {MARK: str(self.settings.home)}
        done = subprocess.run(
            [str(python), "-m", "supervisor.supervisord", "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            env=environment,
            cwd=self.settings.home,
        )
        if done.returncode != 0:
            raise StackError(f"supervisord does not start:\n{(done.stdout + done.stderr).rstrip()}")
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.running():
            if time.monotonic() > deadline:
                raise StackError(f"supervisord does not answer; see {self.log}")
            time.sleep(0.05)

    def configured_otherwise(self, services: list[Service]) -> bool:
        """Whether it was started with other settings than those of now."""
        return self.config.read_text() != config(self.settings, services)

    def add(self, services: list[Service]) -> None:
        """Makes services known to a supervisor that runs; those that it knew, and their processes, are left as they are."""
        self.config.write_text(config(self.settings, services))
        ((added, _changed, _removed),) = self._call("reloadConfig")
        for name in added:
            self._call("addProcessGroup", name)

    def running(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except StackError:
            return False

    def start_service(self, name: str) -> None:
        """Returns at once: what a service needs until it is ready is its own check's business."""
        self._call("startProcess", name, False)

    def stop_service(self, name: str) -> None:
        """Returns at once. One that has ended in the meantime is no error."""
        try:
            self._call("stopProcess", name, False)
        except StackError as error:
            if not isinstance(fault := error.__cause__, xmlrpc.client.Fault) or fault.faultCode != NOT_RUNNING:
                raise

    def states(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of each service: statename, pid, start, now, description."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def shutdown(self) -> None:
        self._call("shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        # A transport keeps one connection and supervisord closes idle ones: so each call has its own.
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(self.settings.socket))
        try:
            with proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise StackError(f"supervisord does not answer: {error}") from error
        except xmlrpc.client.Fault as fault:
            raise StackError(f"supervisord refuses {method}{arguments}: {fault.faultString}") from fault


def config(settings: Settings, services: list[Service]) -> str:
    """supervisord's configuration file. A percent sign is doubled: supervisord expands %(name)s."""
    parts = [
        f"""\
[supervisord]
logfile={_value(settings.logs / "supervisord.log")}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={_value(settings.run / "supervisord.pid")}
directory={_value(settings.home)}
nocleanup=true

[unix_http_server]
file={_value(settings.socket)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    for service in services:
        environment = ",".join(f'{key}="{_quote(value)}"' for key, value in service.environment.items())
        parts.append(
            f"""\
[program:{service.name}]
command={_value(" ".join(_shell(word) for word in service.command))}
environment={_value(environment)}
autostart=false
autorestart=true
startsecs={service.start_s}
startretries=2
stopsignal=TERM
stopwaitsecs={service.stop_s}
killasgroup=true
redirect_stderr=true
stdout_logfile={_value(settings.logs / f"{service.name}.log")}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""
        )
    return "\n".join(parts)


def _value(text: object) -> str:
    return str(text).replace("%", "%%")


def _shell(word: str) -> str:
    return '"' + _quote(word) + '"'


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
