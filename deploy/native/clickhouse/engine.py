"""The engine: chDB's sessions, and how a statement with its data is run in one. The only file that knows chDB.

Data of an INSERT goes through FROM INFILE on a file in memory. chDB's other two ways lose data in silence (chdb-core 26.9.0):
`send_insert().finish()` reports success when the insert failed behind the parser (a time-out, a kill, an exception in a column's
expression), and data behind the text of the statement ends at an empty line or any such bytes.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chdb import session as chdb_session

from clickhouse.errors import SESSION_IS_LOCKED, TOO_MANY_SIMULTANEOUS_QUERIES, from_engine, refuse
from clickhouse.statement import Insert, quote, quote_name, result_format

NAMED_SESSIONS_MAX = 256


@dataclasses.dataclass(frozen=True)
class Context:
    """What a request says beside its statement."""

    database: str | None = None
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_format: str = "TabSeparated"


@dataclasses.dataclass(frozen=True)
class Reply:
    data: bytes = b""
    format: str | None = None
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0


class _Named:
    """A session that outlives its request: temporary tables and SET live in it until it was idle for `timeout_s`."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.lock = threading.Lock()
        self.idle_until = 0.0


class Engine:
    """One engine on one data folder; sessions share it and run beside each other."""

    def __init__(self, path: Path, config: Path | None = None) -> None:
        """`config` is a file of server settings, as a server's config.xml."""
        self._path = f"file:{path}?config-file={config}" if config else str(path)
        self._lock = threading.Lock()
        self._named: dict[tuple[str, str], _Named] = {}
        # This session keeps the engine up for the life of the process.
        self._root = chdb_session.Session(self._path)
        self.version = self._text("SELECT version()")
        self.timezone = self._text("SELECT timezone()")

    def close(self) -> None:
        for named in self._named.values():
            named.session.close()
        self._root.close()

    @contextmanager
    def session(self, user: str, session_id: str | None, timeout_s: float, must_exist: bool, context: Context) -> Iterator[Any]:
        """A session of the request's own, or the one named by `session_id`, which one request at a time may use.

        What the request sets holds for the request alone: its own session ends with it, in a named one the settings are put back.
        """
        if session_id is None:
            session = self._new()
            try:
                with _engine_errors():
                    _apply(session, context)
                    yield session
            finally:
                session.close()
            return
        named = self._take(user, session_id, must_exist)
        try:
            with _engine_errors():
                _apply(named.session, context)
                try:
                    yield named.session
                finally:
                    for name in context.settings:
                        named.session.query(f"SET {name} = DEFAULT")
        finally:
            named.idle_until = time.monotonic() + timeout_s
            named.lock.release()

    def run(self, session: Any, sql: str, context: Context) -> Reply:
        """Runs a statement that has no data beside it."""
        result = session.query(sql, context.default_format, params=dict(context.parameters) or None)
        return _reply(result, result_format(sql, context.default_format))

    def insert(self, session: Any, insert: Insert, data: bytes, context: Context) -> Reply:
        """Runs an INSERT with its data, which is one part up to about a million rows, as on a server."""
        file = os.memfd_create("insert", os.MFD_CLOEXEC)
        try:
            _write(file, data)
            source = f"FROM INFILE '/proc/self/fd/{file}' COMPRESSION 'none'"
            sql = f"{insert.into} {source} {insert.settings} FORMAT {insert.format}"
            result = session.query(sql, "Null", params=dict(context.parameters) or None)
            return dataclasses.replace(_reply(result, None), data=b"")
        finally:
            os.close(file)

    def _text(self, sql: str) -> str:
        return bytes(self._root.query(sql, "TSVRaw").bytes()).decode().strip()

    def _new(self) -> Any:
        with self._lock:
            return chdb_session.Session(self._path)

    def _take(self, user: str, session_id: str, must_exist: bool) -> _Named:
        key = (user, session_id)
        with self._lock:
            now = time.monotonic()
            for idle in [k for k, n in self._named.items() if n.idle_until < now and not n.lock.locked()]:
                self._named.pop(idle).session.close()
            named = self._named.get(key)
            if named is None:
                if must_exist:
                    raise refuse(372, "SESSION_NOT_FOUND", f"Session {session_id} not found", 404)
                if len(self._named) >= NAMED_SESSIONS_MAX:
                    raise refuse(TOO_MANY_SIMULTANEOUS_QUERIES, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many sessions")
                named = self._named[key] = _Named(chdb_session.Session(self._path))
            if not named.lock.acquire(blocking=False):
                raise refuse(SESSION_IS_LOCKED, "SESSION_IS_LOCKED", f"Session {session_id} is locked by a concurrent client")
            return named


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise from_engine(error) from error


def _apply(session: Any, context: Context) -> None:
    if context.database:
        session.query(f"USE {quote_name(context.database)}")
    if context.settings:
        session.query("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in context.settings.items()))


def _reply(result: Any, format_name: str | None) -> Reply:
    return Reply(
        data=bytes(result.bytes() or b""),
        format=format_name,
        read_rows=int(result.rows_read()),
        read_bytes=int(result.bytes_read()),
        written_rows=int(result.rows_written()),
        written_bytes=int(result.bytes_written()),
    )


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
