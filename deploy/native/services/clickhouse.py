"""ClickHouse: its server where one is on the PATH, else the same engine (chDB) behind `deploy/native/clickhouse`."""

from __future__ import annotations

import base64
import http.client
import shutil
from pathlib import Path
from xml.sax.saxutils import escape

from services import fetch
from services.service import Service
from services.settings import HOST, NATIVE, Settings

REPLY_TIMEOUT_S = 5.0


def service(settings: Settings) -> Service:
    server = server_program()
    port = settings.ports["CLICKHOUSE_HTTP_PORT"]
    # The two keep their data apart: nobody has tried whether one opens the other's.
    data = settings.data / ("clickhouse-server" if server else "clickhouse")
    credentials = {"CLICKHOUSE_USER": settings["CLICKHOUSE_USER"], "CLICKHOUSE_PASSWORD": settings["CLICKHOUSE_PASSWORD"]}
    config = settings.run / "clickhouse.xml"

    def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        config.write_text(server_config(settings, data) if server else engine_config(settings))

    if server:
        command = [*server, f"--config-file={config}"]
        environment = credentials
    else:
        command = [str(fetch.python(settings)), "-m", "clickhouse", "--path", str(data), "--port", str(port)]
        command += ["--config", str(config)]
        environment = credentials | {"PYTHONPATH": str(NATIVE), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return Service(
        name="clickhouse",
        version="server on PATH" if server else f"chDB {settings['CHDB_CORE_VERSION']}",
        ports={"clients": port},
        command=command,
        environment=environment,
        prepare=prepare,
        ready=lambda: clickhouse_ready(port, credentials["CLICKHOUSE_USER"], credentials["CLICKHOUSE_PASSWORD"]),
        start_s=10,
        stop_s=30,
        memory=settings["CLICKHOUSE_MEMORY"],
        data=data,
    )


def server_program() -> list[str] | None:
    """`clickhouse server` or `clickhouse-server`, whichever is on the PATH."""
    if found := shutil.which("clickhouse"):
        return [found, "server"]
    if found := shutil.which("clickhouse-server"):
        return [found]
    return None


def clickhouse_ready(port: int, user: str, password: str) -> str | None:
    """One query with the configured user: a server that answers /ping may still refuse every query."""
    connection = http.client.HTTPConnection(HOST, port, timeout=REPLY_TIMEOUT_S)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    try:
        connection.request("POST", "/", body="SELECT 1", headers={"Authorization": f"Basic {token}"})
        reply = connection.getresponse()
        body = reply.read(1000)
    finally:
        connection.close()
    if reply.status == 200 and body == b"1\n":
        return None
    return f"it answers {reply.status}: {body.decode(errors='replace').strip()}"


def engine_config(settings: Settings) -> str:
    """chDB's settings of the kind that a server reads from its configuration file."""
    return f"""\
<clickhouse>
{_shared_config(settings)}
</clickhouse>
"""


def _shared_config(settings: Settings) -> str:
    return f"""\
  <timezone>UTC</timezone>
  <mark_cache_size>268435456</mark_cache_size>
  <max_server_memory_usage>{memory_bytes(settings["CLICKHOUSE_MEMORY"])}</max_server_memory_usage>"""


def server_config(settings: Settings, data: Path) -> str:
    """The real server's configuration: loopback, HTTP only, one user from the environment."""
    user = settings["CLICKHOUSE_USER"]
    return f"""\
<clickhouse>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>{HOST}</listen_host>
  <http_port>{settings.ports["CLICKHOUSE_HTTP_PORT"]}</http_port>
  <path>{escape(str(data))}/</path>
  <tmp_path>{escape(str(data))}/tmp/</tmp_path>
  <user_files_path>{escape(str(data))}/user_files/</user_files_path>
  <format_schema_path>{escape(str(data))}/format_schemas/</format_schema_path>
{_shared_config(settings)}
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <{user}>
      <password from_env="CLICKHOUSE_PASSWORD"/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </{user}>
  </users>
</clickhouse>
"""


def memory_bytes(text: str) -> int:
    """A size as Java's options write it: 512m, 2g, or plain bytes."""
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    unit = units.get(text[-1:].lower())
    return int(text[:-1]) * unit if unit else int(text)
