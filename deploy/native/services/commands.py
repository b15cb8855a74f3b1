"""The commands of `stack`: what each does, in the order in which a user meets them."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress

from services import cassandra, fetch, kafka, processes, superset
from services import options as beside
from services.lifecycle import LOG_LINES, all_services, chosen, down, locked, not_ready, stop, tail, up
from services.options import OPTIONS, parse
from services.settings import HOST, Settings, StackError, read_settings
from services.supervisor import Supervisor

TOOLS = {
    "kafka-topics": "Kafka's own tool for topics",
    "kafka-tool": "any other of Kafka's tools, by the name of its class",
    "nodetool": "Cassandra's own tool for a node",
    "python": "the Python in which ClickHouse's front runs",
    "superset-python": "the Python in which Superset runs, as it is set up",
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

    up_ = add("up", lambda settings, o: up(settings, o.service, parse(o.with_)), "fetch what is missing, start all services, wait until each is ready")
    up_.add_argument("service", nargs="*", help="start these alone")
    names = "; ".join(f"{name}: {option.text}" for name, option in OPTIONS.items())
    help_ = f"bring these up beside the stack, until it goes down ({names})"
    up_.add_argument("--with", dest="with_", metavar="NAME,...", default="", help=help_)
    add("down", lambda settings, _: down(settings), "stop all services and leave no process")
    stop_ = add("stop", lambda settings, o: stop(settings, o.service), "stop services; they stay down until the next `up`")
    stop_.add_argument("service", nargs="+")
    add("status", status, "show each service; exit 1 unless all are ready")
    logs_ = add("logs", logs, "show the end of the logs")
    logs_.add_argument("service", nargs="?")
    logs_.add_argument("-f", "--follow", action="store_true", help="go on showing what is logged")
    logs_.add_argument("-n", "--lines", type=int, default=LOG_LINES)
    add("env", env, "print the variables that point `pipeline` at this stack, to be evaluated by a shell")
    clean_ = add("clean", clean, "remove the data, configuration and logs of a stack that is down")
    clean_.add_argument("--all", action="store_true", help="remove the downloads too, which other stacks may use")
    fetch_ = add("fetch", fetch_all, "download and verify what `up` needs, and start nothing")
    fetch_.add_argument("--with", dest="with_", metavar="NAME,...", default="", help="what `up --with` the same needs, too")
    fetch_.add_argument("--write-checksums", action="store_true", help="list what Maven gives as the jars to expect")
    add("ready", ready, "exit 0 if the service is ready").add_argument("service")
    for name, text in TOOLS.items():
        add(name, tool, text).set_defaults(name=name)
    return top


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
        # It was brought up with other settings, if this one is unknown to it.
        info = states.get(service.name, {"pid": 0, "statename": "STOPPED", "spawnerr": "", "description": "not of this stack"})
        reason = not_ready(service) if info["pid"] else info["spawnerr"] or info["description"]
        state = "ready" if reason is None else info["statename"].lower()
        all_ready = all_ready and reason is None
        memory = processes.memory_mib(info["pid"]) if info["pid"] else None
        since = f"{info['now'] - info['start']} s" if info["pid"] else "-"
        row = f"{service.name:<11} {state:<9} {info['pid'] or '-':>8} {service.port:>6} {memory or '-':>6}  {since}"
        print(row + (f"  ({reason})" if reason else ""))
    return 0 if all_ready else 1


def logs(settings: Settings, options: argparse.Namespace) -> int:
    files = sorted(settings.logs.glob("*.log"))
    existing = [file for file in files if options.service in (None, file.stem)]
    if not existing:
        raise StackError(f"there is no log{f' of {options.service}' if options.service else ''} in {settings.logs}")
    if options.follow:
        return subprocess.call(["tail", "-n", str(options.lines), "-F", *map(str, existing)])
    for file in existing:
        if len(existing) > 1:
            print(f"==> {file} <==")
        print("\n".join(tail(file, options.lines)))
    return 0


def env(settings: Settings, _options: argparse.Namespace) -> int:
    ports = settings.ports
    print(f"export PIPELINE_KAFKA_BROKERS={kafka.addresses(settings)}")
    if settings.brokers == 3:
        # As `pipeline schema apply` is to make the topics.
        print("export PIPELINE_KAFKA_REPLICATION_FACTOR=3")
        print("export PIPELINE_KAFKA_MIN_INSYNC_REPLICAS=2")
    print(f"export PIPELINE_CASSANDRA_NODES={HOST}:{ports['CASSANDRA_PORT']}")
    print(f"export PIPELINE_CLICKHOUSE_URL=http://{HOST}:{ports['CLICKHOUSE_HTTP_PORT']}")
    if login := settings.login:
        print("export STACK_SECURED=1")
        for store in ("CASSANDRA", "CLICKHOUSE"):
            print(f"export PIPELINE_{store}_USER={login.user}")
            print(f"export PIPELINE_{store}_PASSWORD_FILE={login.file}")
        print("export PIPELINE_KAFKA_CLIENT_SECURITY_PROTOCOL=sasl_plaintext")
        print("export PIPELINE_KAFKA_CLIENT_SASL_MECHANISMS=PLAIN")
        print(f"export PIPELINE_KAFKA_CLIENT_SASL_USERNAME={login.user}")
        print(f"export PIPELINE_KAFKA_CLIENT_SASL_PASSWORD_FILE={login.file}")
    for service in beside.services(settings):
        for name, value in service.shown.items():
            print(f"export {name}={shlex.quote(value)}")
    # Where `pipeline ledger`, `order` and `sales` are to look.
    print("export PIPELINE_MODE=servers")
    return 0


def clean(settings: Settings, options: argparse.Namespace) -> int:
    with locked(settings):
        if Supervisor(settings).running() or processes.of_stack(settings.home):
            raise StackError("the stack is up: `stack down` first")
        for folder in (settings.data, settings.run, settings.logs):
            shutil.rmtree(folder, ignore_errors=True)
        print(f"removed data, configuration and logs in {settings.home}")
    (settings.home / "lock").unlink(missing_ok=True)
    # Unless something that is not the stack's lies there.
    with suppress(OSError):
        settings.home.rmdir()
    if options.all:
        fetch.clean(settings)
        print(f"removed the downloads in {settings.cache}")
    return 0


def fetch_all(settings: Settings, options: argparse.Namespace) -> int:
    if options.write_checksums:
        fetch.write_checksums(settings)
    for service in fetch.JAR_VERSIONS:
        print(fetch.jars(settings, service))
    print(fetch.python(settings))
    for name in parse(options.with_):
        print(*OPTIONS[name].fetch(settings), sep="\n")
    return 0


def ready(settings: Settings, options: argparse.Namespace) -> int:
    # A name that stands for several, as kafka may, is the first one's.
    service = chosen(settings, [options.service])[0]
    reason = not_ready(service)
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
    elif options.name == "superset-python":
        os.environ.update(superset.environment(settings) | superset.compiled(settings))
        command = [str(fetch.python(settings, superset.REQUIREMENTS)), *rest]
    else:
        command = [str(fetch.python(settings, "requirements-test.txt")), *rest]
    sys.stdout.flush()
    os.execv(command[0], command)


