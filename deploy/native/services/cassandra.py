"""One Apache Cassandra node. The jar brings no configuration, so all of it is written here."""

from __future__ import annotations

from pathlib import Path

from services import fetch, java, wire
from services.service import Service
from services.settings import HOST, Settings, StackError

# What Cassandra's distribution opens for itself in its jvm17-server.options.
EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
OPENS = (
    "java.base/java.lang.module",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.rmi/sun.rmi.transport.tcp",
    "jdk.management/com.sun.management.internal",
)
# The last that the node logs of a stop by SIGTERM, which drains: it takes no more writes, and what it holds is in its tables.
DRAINED = "Cassandra shutdown complete"


def service(settings: Settings) -> Service:
    data = settings.data / "cassandra"
    jars = fetch.jars(settings, "cassandra")
    config = settings.run / "cassandra"
    ports = settings.ports

    def prepare() -> None:
        for folder in (data, config / "triggers"):
            folder.mkdir(parents=True, exist_ok=True)
        (config / "cassandra.yaml").write_text(yaml(settings, data))
        (config / "logback.xml").write_text(logback(settings["CASSANDRA_LOG_LEVEL"]))
        (config / "jvm.options").write_text("\n".join(_quote(o) for o in jvm_options(settings, jars, config, data)) + "\n")

    return Service(
        name="cassandra",
        version=settings["CASSANDRA_VERSION"],
        ports={
            "clients": ports["CASSANDRA_PORT"],
            "storage": ports["CASSANDRA_STORAGE_PORT"],
            "jmx": ports["CASSANDRA_JMX_PORT"],
        },
        command=[java.program(), f"@{config}/jvm.options", "org.apache.cassandra.service.CassandraDaemon"],
        environment={},
        prepare=prepare,
        ready=lambda: wire.cassandra_ready(ports["CASSANDRA_PORT"], settings.login),
        # A node whose port is taken finds that out at the end of its start, up to 20 s after it began.
        start_s=30,
        stop_s=60,
        memory=settings["CASSANDRA_HEAP"],
        data=data,
    )


def yaml(settings: Settings, data: Path) -> str:
    """The node's configuration: sized for a developer's machine, durable against the death of the process."""
    window = ""
    if settings["CASSANDRA_COMMITLOG_SYNC"] == "group":
        window = f"commitlog_sync_group_window: {settings['CASSANDRA_COMMITLOG_SYNC_GROUP_WINDOW']}"
    elif settings["CASSANDRA_COMMITLOG_SYNC"] == "periodic":
        window = "commitlog_sync_period: 1000ms"
    elif settings["CASSANDRA_COMMITLOG_SYNC"] != "batch":
        raise StackError("CASSANDRA_COMMITLOG_SYNC is none of group, batch, periodic")
    return f"""\
cluster_name: {settings["CASSANDRA_CLUSTER_NAME"]}
num_tokens: 16
allocate_tokens_for_local_replication_factor: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "{HOST}:{settings.ports["CASSANDRA_STORAGE_PORT"]}"
listen_address: {HOST}
storage_port: {settings.ports["CASSANDRA_STORAGE_PORT"]}
rpc_address: {HOST}
start_native_transport: true
native_transport_port: {settings.ports["CASSANDRA_PORT"]}
authenticator: {"PasswordAuthenticator" if settings.login else "AllowAllAuthenticator"}
authorizer: AllowAllAuthorizer
role_manager: CassandraRoleManager
data_file_directories:
  - "{data}/data"
commitlog_directory: "{data}/commitlog"
saved_caches_directory: "{data}/saved_caches"
hints_directory: "{data}/hints"
cdc_raw_directory: "{data}/cdc_raw"
commitlog_sync: {settings["CASSANDRA_COMMITLOG_SYNC"]}
{window}
commitlog_segment_size: 16MiB
commitlog_total_space: 512MiB
memtable:
  configurations:
    default:
      class_name: TrieMemtable
memtable_heap_space: 192MiB
memtable_offheap_space: 192MiB
memtable_allocation_type: offheap_objects
file_cache_size: 64MiB
key_cache_size: 16MiB
concurrent_reads: 16
concurrent_writes: {settings["CASSANDRA_CONCURRENT_WRITES"]}
concurrent_compactors: 1
compaction_throughput: 32MiB/s
stream_throughput_outbound: 24MiB/s
disk_optimization_strategy: ssd
storage_compatibility_mode: NONE
sstable:
  selected_format: bti
auto_snapshot: false
hinted_handoff_enabled: true
user_defined_functions_enabled: false
materialized_views_enabled: false
batch_size_warn_threshold: {settings["CASSANDRA_BATCH_SIZE_WARN_THRESHOLD"]}
batch_size_fail_threshold: {settings["CASSANDRA_BATCH_SIZE_FAIL_THRESHOLD"]}
"""


def logback(level: str) -> str:
    """Logs to stderr, which the supervisor keeps; StorageService says how the node starts and when it is drained."""
    return f"""\
<configuration>
  <appender name="ERR" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d{{HH:mm:ss.SSS}} %-5level %logger{{0}} %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.service.StorageService" level="INFO"/>
  <root level="{level}"><appender-ref ref="ERR"/></root>
</configuration>
"""


def jvm_options(settings: Settings, jars: Path, config: Path, data: Path) -> list[str]:
    heap = settings["CASSANDRA_HEAP"]
    agents = sorted(jars.glob("jamm-*.jar"))
    if len(agents) != 1:
        raise StackError(f"{jars} holds {len(agents)} jamm jars instead of one")
    return [
        f"-Xms{heap}",
        f"-Xmx{heap}",
        "-XX:MaxDirectMemorySize=512m",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=100",
        "-XX:+ParallelRefProcEnabled",
        "-XX:+ExitOnOutOfMemoryError",
        "-Xss512k",
        "-XX:+UseThreadPriorities",
        "-XX:+PerfDisableSharedMem",
        "-Djava.net.preferIPv4Stack=true",
        "-Djdk.attach.allowAttachSelf=true",
        "-Dio.netty.tryReflectionSetAccessible=true",
        "-Djna.nosys=true",
        *(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS),
        *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENS),
        f"-javaagent:{agents[0]}",
        f"-Dlogback.configurationFile={config}/logback.xml",
        f"-Dcassandra.config=file://{config}/cassandra.yaml",
        f"-Dcassandra.storagedir={data}",
        f"-Dcassandra.logdir={data}/logs",
        f"-Dcassandra.triggers_dir={config}/triggers",
        f"-Dcassandra.jmx.local.port={settings.ports['CASSANDRA_JMX_PORT']}",
        "-Dcassandra-foreground=yes",
        # One node has nobody to gossip with: with Cassandra's own delays of 30 s and more, a first start takes 43 s.
        "-Dcassandra.skip_wait_for_gossip_to_settle=0",
        "-Dcassandra.ring_delay_ms=1000",
        "-Dcassandra.superuser_setup_delay_ms=0",
        "-cp",
        f"{config}:{jars}/*",
    ]


def nodetool(settings: Settings, arguments: list[str]) -> list[str]:
    """The command line of nodetool, which talks to the node over JMX."""
    jars = fetch.jars(settings, "cassandra")
    return [
        java.program(),
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        f"-Dlogback.configurationFile={settings.run}/cassandra/logback.xml",
        "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
        "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
        "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        "-cp",
        f"{jars}/*",
        "org.apache.cassandra.tools.NodeTool",
        *("-h", HOST, "-p", str(settings.ports["CASSANDRA_JMX_PORT"])),
        *arguments,
    ]


def _quote(option: str) -> str:
    """An option as Java reads it from an @file."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
