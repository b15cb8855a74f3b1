"""What is under way: the ids of running queries, and the bytes of bodies held in memory. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse.errors import MEMORY_LIMIT_EXCEEDED, QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, refuse


class RunningQueries:
    """Refuses a query whose id is that of one still running, as a server does; the id is free again when that one ends."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def run(self, query_id: str) -> Iterator[None]:
        with self._lock:
            if query_id in self._ids:
                raise refuse(
                    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                    "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                    f"Query with id = {query_id} is already running",
                )
            self._ids.add(query_id)
        try:
            yield
        finally:
            with self._lock:
                self._ids.remove(query_id)

    def count(self) -> int:
        with self._lock:
            return len(self._ids)


class BodyBudget:
    """Limits the memory that all bodies take together: a body is whole in memory before its statement runs."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @contextmanager
    def account(self) -> Iterator[BodyAccount]:
        account = BodyAccount(self)
        try:
            yield account
        finally:
            self._change(-account.used)

    def _change(self, size: int) -> None:
        with self._lock:
            if size > 0 and self._used + size > self.limit:
                raise refuse(
                    MEMORY_LIMIT_EXCEEDED,
                    "MEMORY_LIMIT_EXCEEDED",
                    f"the bodies of all requests would take more than {self.limit} bytes",
                )
            self._used += size


class BodyAccount:
    """What one request has taken of the budget; given back when the request ends."""

    def __init__(self, budget: BodyBudget) -> None:
        self.used = 0
        self._budget = budget

    def take(self, size: int) -> None:
        self._budget._change(size)
        self.used += size
