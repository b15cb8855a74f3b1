"""One Apache Kafka broker that is its own KRaft controller."""

from __future__ import annotations

import subprocess
from pathlib import Path

from services import fetch, java, wire
from services.service import Service
from services.settings import HOST, Settings, StackError, write_secret

NODE = 1
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def service(settings: Settings) -> Service:
    data = settings.data / "kafka"
    jars = fetch.jars(settings, "kafka")
    config = settings.run / "kafka.properties"
    heap = settings["KAFKA_HEAP"]
    port = settings.ports["KAFKA_PORT"]
    options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
    options += ["-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]

    def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        write_secret(config, properties(settings, data))
        write_secret(_client_config(settings), client_properties(settings))
        if not (data / "meta.properties").exists():
            _format(settings, jars, config)

    return Service(
        name="kafka",
        version=settings["KAFKA_VERSION"],
        ports={"clients": port, "controller": settings.ports["KAFKA_CONTROLLER_PORT"]},
        command=[java.program(), *options, *_logging(settings), "-cp", f"{jars}/*", "kafka.Kafka", str(config)],
        environment={},
        prepare=prepare,
        ready=lambda: wire.kafka_ready(port, NODE, settings.login),
        start_s=20,
        stop_s=30,
        memory=heap,
        data=data,
    )


def properties(settings: Settings, data: Path) -> str:
    """The broker's configuration. Internal topics are small: one broker serves one pipeline here."""
    clients, controller = settings.ports["KAFKA_PORT"], settings.ports["KAFKA_CONTROLLER_PORT"]
    # The name of the listener that clients use is that of its protocol.
    protocol, sasl = "PLAINTEXT", ""
    if login := settings.login:
        protocol = "SASL_PLAINTEXT"
        user = f'username="{login.user}" password="{login.password}" user_{login.user}="{login.password}"'
        sasl = f"""\
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={PLAIN} required {user};
"""
    return f"""\
process.roles=broker,controller
node.id={NODE}
controller.quorum.voters={NODE}@{HOST}:{controller}
listeners={protocol}://{HOST}:{clients},CONTROLLER://{HOST}:{controller}
advertised.listeners={protocol}://{HOST}:{clients}
listener.security.protocol.map={protocol}:{protocol},CONTROLLER:PLAINTEXT
inter.broker.listener.name={protocol}
controller.listener.names=CONTROLLER
log.dirs={data}
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
auto.create.topics.enable={settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]}
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=10
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms={settings["KAFKA_BROKER_SESSION_TIMEOUT_MS"]}
broker.heartbeat.interval.ms={settings["KAFKA_BROKER_HEARTBEAT_INTERVAL_MS"]}
{sasl}"""


def client_properties(settings: Settings) -> str:
    """What Kafka's own tools need to know to log in."""
    login = settings.login
    if login is None:
        return ""
    return f"""\
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config={PLAIN} required username="{login.user}" password="{login.password}";
"""


def tool(settings: Settings, main_class: str, arguments: list[str]) -> list[str]:
    """The command line of one of Kafka's own tools."""
    return [*_tool(settings, fetch.jars(settings, "kafka")), main_class, *arguments]


def topics(settings: Settings, arguments: list[str]) -> list[str]:
    server = ["--bootstrap-server", f"{HOST}:{settings.ports['KAFKA_PORT']}"]
    if settings.login:
        server += ["--command-config", str(_client_config(settings))]
    return tool(settings, "org.apache.kafka.tools.TopicCommand", [*server, *arguments])


def _client_config(settings: Settings) -> Path:
    return settings.run / "kafka-client.properties"


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
