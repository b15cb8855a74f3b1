"""What the supervisor needs to know of a service, and nothing of what the service is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from services.settings import Settings


@dataclasses.dataclass(frozen=True)
class Service:
    """One process of the stack.

    `ready` speaks the service's own protocol and returns None, or why it is not ready. A service that ends within `start_s` counts as
    failed to start; after three such ends in a row the supervisor gives up (FATAL). `stop_s` is how long it may take to stop by itself. `greeting` is
    what a person is told when it is ready: an address, and how to log in. `shown` are variables that `stack env` prints for it.
    """

    name: str
    version: str
    ports: Mapping[str, int]
    command: list[str]
    environment: Mapping[str, str]
    prepare: Callable[[], None]
    ready: Callable[[], str | None]
    start_s: int
    stop_s: int
    memory: str
    data: Path
    greeting: Callable[[], list[str]] = list
    shown: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def port(self) -> int:
        """The port that clients use."""
        return next(iter(self.ports.values()))


@dataclasses.dataclass(frozen=True)
class Option:
    """What a person may have beside the stack: `services` looks at the settings to choose, `fetch` downloads what they need, and
    returns where it is.

    A service is started after the one before it in the list, and stopped before the stores.
    """

    text: str
    services: Callable[[Settings], list[Service]]
    fetch: Callable[[Settings], list[Path]]
