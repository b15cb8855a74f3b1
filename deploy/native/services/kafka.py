"""Apache Kafka, as one broker that is its own KRaft controller, or as three that are each other's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from services import fetch, java, wire
from services.service import Service
from services.settings import HOST, Settings, StackError

# What the ports of one broker lie above those of the one before it.
NEXT_BROKER = 10


def services(settings: Settings) -> list[Service]:
    """A service for each broker. The first is called as the only one is."""
    return [service(settings, node) for node in range(1, settings.brokers + 1)]


def name_of(node: int) -> str:
    return "kafka" if node == 1 else f"kafka-{node}"


def ports_of(settings: Settings, node: int) -> tuple[int, int]:
    """The ports of a broker: for clients, and for the controllers among themselves."""
    above = NEXT_BROKER * (node - 1)
    return settings.ports["KAFKA_PORT"] + above, settings.ports["KAFKA_CONTROLLER_PORT"] + above


def addresses(settings: Settings) -> str:
    """All brokers, as clients are told of them."""
    return ",".join(f"{HOST}:{ports_of(settings, node)[0]}" for node in range(1, settings.brokers + 1))


def service(settings: Settings, node: int) -> Service:
    data = settings.data / name_of(node)
    jars = fetch.jars(settings, "kafka")
    config = settings.run / f"{name_of(node)}.properties"
    heap = settings["KAFKA_HEAP"]
    port, controller = ports_of(settings, node)
    options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
    options += ["-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]

    def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        config.write_text(properties(settings, node, data))
        if not (data / "meta.properties").exists():
            _format(settings, jars, config)

    return Service(
        name=name_of(node),
        version=settings["KAFKA_VERSION"],
        ports={"clients": port, "controller": controller},
        command=[java.program(), *options, *_logging(settings), "-cp", f"{jars}/*", "kafka.Kafka", str(config)],
        environment={},
        prepare=prepare,
        ready=lambda: wire.kafka_ready(port, node),
        start_s=20,
        stop_s=30,
        memory=heap,
        data=data,
    )


def properties(settings: Settings, node: int, data: Path) -> str:
    """A broker's configuration. Internal topics are small: the brokers serve one pipeline here."""
    clients, controller = ports_of(settings, node)
    nodes = range(1, settings.brokers + 1)
    voters = ",".join(f"{other}@{HOST}:{ports_of(settings, other)[1]}" for other in nodes)
    # With three, what two have outlives any one.
    copies, enough = (3, 2) if settings.brokers == 3 else (1, 1)
    return f"""\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{HOST}:{clients},CONTROLLER://{HOST}:{controller}
advertised.listeners=PLAINTEXT://{HOST}:{clients}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
auto.create.topics.enable={settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]}
default.replication.factor={copies}
min.insync.replicas={enough}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=10
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={enough}
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={enough}
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms={settings["KAFKA_BROKER_SESSION_TIMEOUT_MS"]}
broker.heartbeat.interval.ms={settings["KAFKA_BROKER_HEARTBEAT_INTERVAL_MS"]}
"""


def tool(settings: Settings, main_class: str, arguments: list[str]) -> list[str]:
    """The command line of one of Kafka's own tools."""
    return [*_tool(settings, fetch.jars(settings, "kafka")), main_class, *arguments]


def topics(settings: Settings, arguments: list[str]) -> list[str]:
    server = ["--bootstrap-server", addresses(settings)]
    return tool(settings, "org.apache.kafka.tools.TopicCommand", [*server, *arguments])


def _tool(settings: Settings, jars: Path) -> list[str]:
    return [java.program(), "-Xmx256m", "-XX:TieredStopAtLevel=1", *_logging(settings), "-cp", f"{jars}/*"]


def _logging(settings: Settings) -> list[str]:
    prefix = "-Dorg.slf4j.simpleLogger"
    level = f"{prefix}.defaultLogLevel={settings['KAFKA_LOG_LEVEL']}"
    return [level, f"{prefix}.showDateTime=true", f"{prefix}.dateTimeFormat=HH:mm:ss.SSS"]


def _format(settings: Settings, jars: Path, config: Path) -> None:
    """A KRaft broker starts only on a folder that bears its cluster's id."""
    arguments = ["format", "-t", settings["KAFKA_CLUSTER_ID"], "-c", str(config)]
    command = [*_tool(settings, jars), "kafka.tools.StorageTool", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise StackError(f"failed to format Kafka's data folder:\n{(done.stdout + done.stderr).rstrip()}")
