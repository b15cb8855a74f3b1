"""What `up --with` brings up beside Kafka, Cassandra and ClickHouse.

An option is a name that a person gives, and the services that it stands for. What a stack was brought up with is remembered until it
goes down, so that the other commands know of it without being told again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from services import prometheus, superset
from services.service import Option, Service
from services.settings import Settings, StackError


OPTIONS: dict[str, Option] = {"superset": superset.OPTION, "prometheus": prometheus.OPTION}


def parse(text: str) -> list[str]:
    """The names in `superset,prometheus`, in the order of OPTIONS."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := names - OPTIONS.keys():
        raise StackError(f"there is no option {', '.join(sorted(unknown))}; there are {', '.join(OPTIONS)}")
    return [name for name in OPTIONS if name in names]


def remembered(settings: Settings) -> list[str]:
    """What the stack was brought up with."""
    try:
        return parse(_file(settings).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []


def remember(settings: Settings, names: Iterable[str]) -> None:
    _file(settings).parent.mkdir(parents=True, exist_ok=True)
    _file(settings).write_text(",".join(names), encoding="utf-8")


def forget(settings: Settings) -> None:
    _file(settings).unlink(missing_ok=True)


def services(settings: Settings) -> list[Service]:
    """The services of what is remembered."""
    return [service for name in remembered(settings) for service in OPTIONS[name].services(settings)]


def _file(settings: Settings) -> Path:
    return settings.run / "with"
