"""Up and down: what starts, stops, waits, and makes sure that nothing is left."""

from __future__ import annotations

import collections
import fcntl
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import cassandra, clickhouse, fetch, java, kafka, options, processes
from services.service import Service
from services.settings import HOST, Settings, StackError
from services.supervisor import Supervisor

POLL_S = 0.25
LOG_LINES = 30
PORT_WAIT_S = 5
# States of supervisord: those that it leaves by itself no more, and those in which it can be told to stop a service.
AT_REST = ("STOPPED", "FATAL")
STOPPABLE = ("STARTING", "RUNNING", "BACKOFF")
# The stores before the log: what still writes to them finds the log there, not the other way round.
STOP_ORDER = (("cassandra", "clickhouse"), ("kafka", "kafka-2", "kafka-3"))
# Cassandra at its default heap, Kafka and ClickHouse under load.
MEMORY_NEEDED_MIB = 3500


def all_services(settings: Settings) -> list[Service]:
    """The three that every stack has, and those that this one was brought up with."""
    core = [*kafka.services(settings), cassandra.service(settings), clickhouse.service(settings)]
    return core + options.services(settings)


def chosen(settings: Settings, names: list[str]) -> list[Service]:
    """The services of these names, or all; `kafka` stands for all brokers."""
    services = all_services(settings)
    unknown = set(names) - {service.name for service in services}
    if unknown:
        raise StackError(f"there is no service {', '.join(sorted(unknown))}")
    return [service for service in services if not names or service.name in names or service.name.split("-")[0] in names]


def up(settings: Settings, names: list[str], with_: list[str]) -> int:
    """Starts what does not run, all or the named, and waits until each of them is ready; the exit code."""
    began = time.monotonic()
    java.check()
    with locked(settings):
        supervisor = Supervisor(settings)
        running, before = supervisor.running(), options.remembered(settings)
        # Of a stack that went down without a word nothing is remembered.
        known = before if running else []
        if running and supervisor.configured_otherwise(all_services(settings)):
            print("stack: it is up with other settings than these: `stack down` first to apply them", file=sys.stderr)
            if set(with_) - set(known):
                return 1
        wanted = [name for name in options.OPTIONS if name in {*known, *with_}]
        for name in wanted:
            options.OPTIONS[name].fetch(settings)
        python = fetch.python(settings)
        options.remember(settings, wanted)
        every, services = all_services(settings), chosen(settings, names)
        fetched = time.monotonic()
        if not running:
            _end_leftovers(settings)
            _check_machine(services)
            settings.run.mkdir(parents=True, exist_ok=True)
            supervisor.start(python, every)
        elif added := [service for service in every if service.name not in supervisor.states()]:
            _check_machine(added)
            supervisor.add(every)
        for service in services:
            if supervisor.states()[service.name]["statename"] in ("STOPPED", "EXITED", "FATAL"):
                service.prepare()
                supervisor.start_service(service.name)
        failed = _wait_until_ready(settings, supervisor, services, fetched)
    if failed:
        return 1
    print(f"all ready after {time.monotonic() - began:.1f} s ({fetched - began:.1f} s of it to fetch and verify)")
    for service in services:
        for line in service.greeting():
            print(line)
    return 0


def _wait_until_ready(settings: Settings, supervisor: Supervisor, services: list[Service], began: float) -> bool:
    """Prints each service as it gets ready; returns whether one failed, whose log it then shows."""
    waiting = {service.name: service for service in services}
    # To prepare a service may take as long as to start it, and is not waiting.
    deadline = time.monotonic() + settings.up_timeout_s
    reasons: dict[str, str] = {}
    while waiting:
        states = supervisor.states()
        for name, service in list(waiting.items()):
            reason = not_ready(service)
            if reason is None:
                del waiting[name]
                took = time.monotonic() - began
                print(f"{name:<11} {service.version:<14} {HOST}:{service.port:<6} ready after {took:.1f} s", flush=True)
                continue
            reasons[name] = reason
            if states[name]["statename"] == "FATAL":
                _show_failure(settings, name, f"{name} does not start")
                return True
        if waiting and time.monotonic() > deadline:
            for name in waiting:
                _show_failure(settings, name, f"{name} is not ready after {settings.up_timeout_s:.0f} s: {reasons[name]}")
            return True
        if waiting:
            time.sleep(POLL_S)
    return False


def not_ready(service: Service) -> str | None:
    """Why a service is not ready; None if it is."""
    try:
        return service.ready()
    except Exception as error:  # A server that is starting may answer anything, or break off anywhere.
        return f"{type(error).__name__}: {error}"


def _show_failure(settings: Settings, name: str, what: str) -> None:
    log = settings.logs / f"{name}.log"
    print(f"stack: {what}; the end of {log}:", file=sys.stderr)
    for line in tail(log, LOG_LINES):
        print(f"  {line}", file=sys.stderr)
    print("stack: the other services were left as they are; `stack down` stops them", file=sys.stderr)


def _check_machine(services: list[Service]) -> None:
    for service in services:
        for purpose, port in service.ports.items():
            _check_port(service.name, purpose, port)
    available = processes.memory_available_mib()
    if available is not None and available < MEMORY_NEEDED_MIB:
        print(f"stack: only {available} MiB of memory are available and the stack takes about {MEMORY_NEEDED_MIB}", file=sys.stderr)


def _check_port(service: str, purpose: str, port: int) -> None:
    # What held the port may be ending just now.
    deadline = time.monotonic() + PORT_WAIT_S
    while _taken(port):
        if time.monotonic() < deadline:
            time.sleep(POLL_S)
            continue
        holders = ", ".join(f"process {i} ({processes.command_line(i)[:80]})" for i in processes.listeners(port))
        first, last = processes.outgoing_ports()
        if not holders and first <= port <= last:
            holders = f"an outgoing connection: the system takes ports {first} to {last} for these, so choose a lower one"
        raise StackError(
            f"port {port} ({service}, {purpose}) is taken by {holders or 'a process of another user'}\n"
            "set STACK_PORT_BASE, or the port's own variable: see deploy/README.md"
        )


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _end_leftovers(settings: Settings) -> None:
    """Services whose supervisor was killed go on without it, and would hold ports and data."""
    left = processes.of_stack(settings.home)
    if left:
        print(f"stack: ending {len(left)} processes whose supervisor is gone", file=sys.stderr)
        processes.end(left, 60)


def down(settings: Settings) -> int:
    """Stops all services, and any process of the stack that has lost its supervisor; the exit code."""
    began = time.monotonic()
    with locked(settings):
        supervisor = Supervisor(settings)
        if supervisor.running():
            _stop(settings, supervisor)
        killed = processes.end(processes.of_stack(settings.home), 60)
    left = processes.of_stack(settings.home)
    options.forget(settings)
    if left:
        raise StackError(f"processes are left: {', '.join(f'{i} ({processes.command_line(i)[:80]})' for i in left)}")
    if killed:
        print(f"stack: {len(killed)} processes did not end by themselves and were killed", file=sys.stderr)
    print(f"all stopped after {time.monotonic() - began:.1f} s, no process left")
    return 0


def stop(settings: Settings, names: list[str]) -> int:
    """Stops the named services alone, which stay down until the next `up`; the exit code."""
    with locked(settings):
        supervisor = Supervisor(settings)
        # Of several brokers each is stopped by its own name.
        services = [service for service in chosen(settings, names) if service.name in names]
        wait_s = max(service.stop_s for service in services) + 10
        left = _stop_services(supervisor, [service.name for service in services], wait_s)
    if left:
        raise StackError(f"{', '.join(left)} did not stop")
    return 0


def _stop_services(supervisor: Supervisor, names: list[str], wait_s: float) -> list[str]:
    """Returns those that still run."""
    known = set(names) & set(supervisor.states())
    deadline = time.monotonic() + wait_s
    while left := {
        name: state["statename"]
        for name, state in supervisor.states().items()
        if name in known and state["statename"] not in AT_REST
    }:
        # Again and again: one that has just ended by itself is started anew before it can be told to stay down.
        for name, state in left.items():
            if state in STOPPABLE:
                supervisor.stop_service(name)
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return list(left)


def _stop(settings: Settings, supervisor: Supervisor) -> None:
    cassandra_log = settings.logs / "cassandra.log"
    size = cassandra_log.stat().st_size if cassandra_log.exists() else 0
    ran = not_ready(cassandra.service(settings)) is None
    # What reads from the stores goes before them.
    beside = supervisor.states().keys() - {name for group in STOP_ORDER for name in group}
    for group in (sorted(beside), *STOP_ORDER):
        _stop_services(supervisor, list(group), 70)
    if ran and not _says(cassandra_log, size, cassandra.DRAINED):
        print("stack: Cassandra ended without being drained: it will replay its commit log", file=sys.stderr)
    ids = processes.of_stack(settings.home)
    supervisor.shutdown()
    processes.wait(ids, 20)


def _says(log: Path, start: int, word: str) -> bool:
    try:
        with log.open("rb") as file:
            file.seek(start if log.stat().st_size >= start else 0)
            return word.encode() in file.read()
    except OSError:
        return False


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a log."""
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            return [line.rstrip("\n") for line in collections.deque(text, maxlen=lines)]
    except OSError as error:
        return [f"({error})"]


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """One command at a time changes a stack."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(f"another `stack` command is at work on {settings.home}") from None
        yield
