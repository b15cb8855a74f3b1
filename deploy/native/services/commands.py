"""The commands of `stack`: what each does, in the order in which a user meets them."""

from __future__ import annotations

import argparse
import collections
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import cassandra, clickhouse, fetch, java, kafka, processes
from services.service import Service
from services.settings import HOST, Settings, StackError, read_settings
from services.supervisor import Supervisor

POLL_S = 0.25
LOG_LINES = 30
SERVICES = ("kafka", "cassandra", "clickhouse")
# The stores before the log: what still writes to them finds the log there, not the other way round.
STOP_ORDER = (("cassandra", "clickhouse"), ("kafka",))
# Cassandra at its default heap, Kafka and ClickHouse under load.
MEMORY_NEEDED_MIB = 3500

TOOLS = {
    "kafka-topics": "Kafka's own tool for topics",
    "kafka-tool": "any other of Kafka's tools, by the name of its class",
    "nodetool": "Cassandra's own tool for a node",
    "python": "the Python in which ClickHouse's front runs",
    "test-python": "a Python with clients of Cassandra and ClickHouse",
}


def main(arguments: list[str]) -> int:
    # What follows a tool's name is the tool's, options included.
    options = parser().parse_args(arguments[:1] if arguments[:1] and arguments[0] in TOOLS else arguments)
    options.arguments = arguments[1:]
    try:
        return int(options.run(read_settings(), options))
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="stack", description="Kafka, Cassandra and ClickHouse on this machine, without Docker.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    add("up", up, "fetch what is missing, start all services, wait until each is ready")
    add("down", down, "stop all services and leave no process")
    add("status", status, "show each service; exit 1 unless all are ready")
    logs_ = add("logs", logs, "show the end of the logs")
    logs_.add_argument("service", nargs="?", choices=[*SERVICES, "supervisord"])
    logs_.add_argument("-f", "--follow", action="store_true", help="go on showing what is logged")
    logs_.add_argument("-n", "--lines", type=int, default=LOG_LINES)
    add("env", env, "print the variables that point `pipeline` at this stack, to be evaluated by a shell")
    clean_ = add("clean", clean, "remove the data, configuration and logs of a stack that is down")
    clean_.add_argument("--all", action="store_true", help="remove the downloads too, which other stacks may use")
    fetch_ = add("fetch", fetch_all, "download and verify what `up` needs, and start nothing")
    fetch_.add_argument("--write-checksums", action="store_true", help="list what Maven gives as the jars to expect")
    add("ready", ready, "exit 0 if the service is ready").add_argument("service", choices=SERVICES)
    for name, text in TOOLS.items():
        add(name, tool, text).set_defaults(name=name)
    return top


def all_services(settings: Settings) -> list[Service]:
    return [kafka.service(settings), cassandra.service(settings), clickhouse.service(settings)]


def up(settings: Settings, _options: argparse.Namespace) -> int:
    began = time.monotonic()
    java.check()
    with _lock(settings):
        services = all_services(settings)
        python = fetch.python(settings)
        fetched = time.monotonic()
        supervisor = Supervisor(settings)
        if not supervisor.running():
            _end_leftovers(settings)
            _check_machine(services)
            settings.run.mkdir(parents=True, exist_ok=True)
            supervisor.start(python, services)
        for service in services:
            if supervisor.states()[service.name]["statename"] in ("STOPPED", "EXITED", "FATAL"):
                service.prepare()
                supervisor.start_service(service.name)
        failed = _wait_until_ready(settings, supervisor, services, fetched)
    if failed:
        return 1
    print(f"all ready after {time.monotonic() - began:.1f} s ({fetched - began:.1f} s of it to fetch and verify)")
    return 0


def _wait_until_ready(settings: Settings, supervisor: Supervisor, services: list[Service], began: float) -> bool:
    """Prints each service as it gets ready; returns whether one failed, whose log it then shows."""
    waiting = {service.name: service for service in services}
    reasons: dict[str, str] = {}
    while waiting:
        states = supervisor.states()
        for name, service in list(waiting.items()):
            reason = _not_ready(service)
            if reason is None:
                del waiting[name]
                took = time.monotonic() - began
                print(f"{name:<11} {service.version:<14} {HOST}:{service.port:<6} ready after {took:.1f} s", flush=True)
                continue
            reasons[name] = reason
            if states[name]["statename"] == "FATAL":
                _show_failure(settings, name, f"{name} does not start")
                return True
        if waiting and time.monotonic() - began > settings.up_timeout_s:
            for name in waiting:
                _show_failure(settings, name, f"{name} is not ready after {settings.up_timeout_s:.0f} s: {reasons[name]}")
            return True
        if waiting:
            time.sleep(POLL_S)
    return False


def _not_ready(service: Service) -> str | None:
    try:
        return service.ready()
    except Exception as error:  # A server that is starting may answer anything, or break off anywhere.
        return f"{type(error).__name__}: {error}"


def _show_failure(settings: Settings, name: str, what: str) -> None:
    log = settings.logs / f"{name}.log"
    print(f"stack: {what}; the end of {log}:", file=sys.stderr)
    for line in _tail(log, LOG_LINES):
        print(f"  {line}", file=sys.stderr)
    print("stack: the other services were left as they are; `stack down` stops them", file=sys.stderr)


def _check_machine(services: list[Service]) -> None:
    for service in services:
        for purpose, port in service.ports.items():
            if _taken(port):
                holders = ", ".join(f"{i} ({processes.command_line(i)[:80]})" for i in processes.listeners(port))
                raise StackError(
                    f"port {port} ({service.name}, {purpose}) is taken by process {holders or 'of another user'}\n"
                    "set STACK_PORT_BASE, or the port's own variable: see deploy/README.md"
                )
    available = processes.memory_available_mib()
    if available is not None and available < MEMORY_NEEDED_MIB:
        print(f"stack: only {available} MiB of memory are available and the stack takes about {MEMORY_NEEDED_MIB}", file=sys.stderr)


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


def down(settings: Settings, _options: argparse.Namespace) -> int:
    began = time.monotonic()
    with _lock(settings):
        supervisor = Supervisor(settings)
        if supervisor.running():
            _stop(settings, supervisor)
        killed = processes.end(processes.of_stack(settings.home), 60)
    left = processes.of_stack(settings.home)
    if left:
        raise StackError(f"processes are left: {', '.join(f'{i} ({processes.command_line(i)[:80]})' for i in left)}")
    if killed:
        print(f"stack: {len(killed)} processes did not end by themselves and were killed", file=sys.stderr)
    print(f"all stopped after {time.monotonic() - began:.1f} s, no process left")
    return 0


def _stop(settings: Settings, supervisor: Supervisor) -> None:
    cassandra_log = settings.logs / "cassandra.log"
    size = cassandra_log.stat().st_size if cassandra_log.exists() else 0
    ran = supervisor.states().get("cassandra", {}).get("statename") in ("STARTING", "RUNNING")
    for group in STOP_ORDER:
        for name in group:
            if supervisor.states()[name]["statename"] in ("STARTING", "RUNNING", "BACKOFF"):
                supervisor.stop_service(name)
        deadline = time.monotonic() + 70
        while any(supervisor.states()[name]["pid"] for name in group) and time.monotonic() < deadline:
            time.sleep(0.1)
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


def status(settings: Settings, _options: argparse.Namespace) -> int:
    supervisor = Supervisor(settings)
    if not supervisor.running():
        left = processes.of_stack(settings.home)
        print(f"down ({settings.home})" + (f", but {len(left)} processes run without a supervisor" if left else ""))
        return 1
    states = supervisor.states()
    print(f"{'service':<11} {'state':<9} {'pid':>8} {'port':>6} {'MiB':>6}  since")
    all_ready = True
    for service in all_services(settings):
        info = states[service.name]
        reason = _not_ready(service) if info["pid"] else info["spawnerr"] or info["description"]
        state = "ready" if reason is None else info["statename"].lower()
        all_ready = all_ready and reason is None
        memory = processes.memory_mib(info["pid"]) if info["pid"] else None
        since = f"{info['now'] - info['start']} s" if info["pid"] else "-"
        row = f"{service.name:<11} {state:<9} {info['pid'] or '-':>8} {service.port:>6} {memory or '-':>6}  {since}"
        print(row + (f"  ({reason})" if reason else ""))
    return 0 if all_ready else 1


def logs(settings: Settings, options: argparse.Namespace) -> int:
    names = [options.service] if options.service else [*SERVICES, "supervisord"]
    files = [settings.logs / f"{name}.log" for name in names]
    existing = [file for file in files if file.exists()]
    if not existing:
        raise StackError(f"there is no log in {settings.logs}")
    if options.follow:
        return subprocess.call(["tail", "-n", str(options.lines), "-F", *map(str, existing)])
    for file in existing:
        if len(existing) > 1:
            print(f"==> {file} <==")
        print("\n".join(_tail(file, options.lines)))
    return 0


def env(settings: Settings, _options: argparse.Namespace) -> int:
    ports = settings.ports
    print(f"export PIPELINE_KAFKA_BROKERS={HOST}:{ports['KAFKA_PORT']}")
    print(f"export PIPELINE_CASSANDRA_NODES={HOST}:{ports['CASSANDRA_PORT']}")
    print(f"export PIPELINE_CLICKHOUSE_URL=http://{HOST}:{ports['CLICKHOUSE_HTTP_PORT']}")
    return 0


def clean(settings: Settings, options: argparse.Namespace) -> int:
    with _lock(settings):
        if Supervisor(settings).running() or processes.of_stack(settings.home):
            raise StackError("the stack is up: `stack down` first")
        for folder in (settings.data, settings.run, settings.logs):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"removed data, configuration and logs in {settings.home}")
    (settings.home / "lock").unlink(missing_ok=True)
    try:
        settings.home.rmdir()
    except OSError:
        # Something that is not the stack's lies there.
        pass
    if options.all:
        shutil.rmtree(settings.cache, ignore_errors=True)
        print(f"removed the downloads in {settings.cache}")
    return 0


def fetch_all(settings: Settings, options: argparse.Namespace) -> int:
    if options.write_checksums:
        fetch.write_checksums(settings)
    for service in fetch.JAR_VERSIONS:
        print(fetch.jars(settings, service))
    print(fetch.python(settings))
    return 0


def ready(settings: Settings, options: argparse.Namespace) -> int:
    service = next(service for service in all_services(settings) if service.name == options.service)
    reason = _not_ready(service)
    if reason:
        print(f"stack: {service.name} is not ready: {reason}", file=sys.stderr)
    return 1 if reason else 0


def tool(settings: Settings, options: argparse.Namespace) -> int:
    """Becomes the tool, so that its input, signals and exit code are the user's."""
    rest = options.arguments
    if options.name == "kafka-topics":
        command = kafka.topics(settings, rest)
    elif options.name == "kafka-tool":
        if not rest:
            raise StackError("kafka-tool needs the name of a class, as org.apache.kafka.tools.GetOffsetShell")
        command = kafka.tool(settings, rest[0], rest[1:])
    elif options.name == "nodetool":
        command = cassandra.nodetool(settings, rest)
    elif options.name == "python":
        command = [str(fetch.python(settings)), *rest]
    else:
        command = [str(fetch.python(settings, "requirements-test.txt")), *rest]
    sys.stdout.flush()
    os.execv(command[0], command)


def _tail(file: Path, lines: int) -> list[str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            return [line.rstrip("\n") for line in collections.deque(text, maxlen=lines)]
    except OSError as error:
        return [f"({error})"]


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """One command at a time changes a stack."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StackError(f"another `stack` command is at work on {settings.home}") from None
        yield
