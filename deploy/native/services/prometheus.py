"""Prometheus and node exporter, as the distribution packages them, with the configuration of `grafana-superset/prometheus`."""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path

from services.service import Option, Service
from services.settings import HOST, REPOSITORY, Settings, StackError

SOURCE = REPOSITORY / "grafana-superset" / "prometheus"
# By Debian's package, the names that the program has there and elsewhere.
PROGRAMS = {"prometheus": ("prometheus",), "prometheus-node-exporter": ("prometheus-node-exporter", "node_exporter")}
REPLY_TIMEOUT_S = 5.0


def programs(_settings: Settings) -> list[Path]:
    """Where the two programs are. They come from the distribution, not from a download of ours."""
    found = {package: program(package) for package in PROGRAMS}
    if missing := [package for package, path in found.items() if not path]:
        raise StackError(f"{' and '.join(missing)} not found: apt-get install --no-install-recommends {' '.join(missing)}")
    return [Path(path) for path in found.values() if path]


def program(package: str) -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS[package])), None)


def services(settings: Settings) -> list[Service]:
    return [node_exporter(settings), prometheus(settings)]


def ledger_file(settings: Settings) -> Path:
    """Where `pipeline ledger --metrics` is to write, so that Prometheus hears of it."""
    return settings.data / "ledger" / "ledger.prom"


def node_exporter(settings: Settings) -> Service:
    port = settings.ports["NODE_EXPORTER_PORT"]
    folder = ledger_file(settings).parent

    return Service(
        name="node-exporter",
        version="on PATH",
        ports={"scrapers": port},
        command=[
            # Without one `up` has ended before.
            program("prometheus-node-exporter") or "node_exporter",
            f"--web.listen-address={HOST}:{port}",
            f"--collector.textfile.directory={folder}",
        ],
        environment={},
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
        ready=lambda: answers(port, "/"),
        start_s=1,
        stop_s=10,
        memory="64m",
        data=folder,
    )


def prometheus(settings: Settings) -> Service:
    port = settings.ports["PROMETHEUS_PORT"]
    config = settings.run / "prometheus"
    data = settings.data / "prometheus"

    def prepare() -> None:
        data.mkdir(parents=True, exist_ok=True)
        write_config(config, targets(settings))

    return Service(
        name="prometheus",
        version="on PATH",
        ports={"clients": port},
        command=[
            "prometheus",
            f"--config.file={config / 'prometheus.yml'}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={settings['PROMETHEUS_RETENTION']}",
            f"--web.listen-address={HOST}:{port}",
        ],
        environment={},
        prepare=prepare,
        ready=lambda: answers(port, "/-/ready"),
        start_s=3,
        stop_s=30,
        memory="256m",
        data=data,
        greeting=lambda: [
            f"Prometheus: http://{HOST}:{port}/alerts; it asks nobody for a login",
            f"  further processes to scrape: a file {config / 'targets'}/pipeline-NAME.yml, as those beside it",
            f"  the ledger's figures: pipeline ledger --metrics {ledger_file(settings)}",
        ],
    )


def targets(settings: Settings) -> dict[str, list[tuple[str, str]]]:
    """By file, each job and where it listens. The pipeline's processes are not the stack's, so its base does not move them."""
    ports = settings.ports
    return {
        "pipeline": [("ingest", f"{HOST}:{settings['MANAGE_PORT']}"), ("processor", f"{HOST}:{settings['PROCESSOR_MANAGE_PORT']}")],
        "machine": [("machine", f"{HOST}:{ports['NODE_EXPORTER_PORT']}")],
        "prometheus": [("prometheus", f"{HOST}:{ports['PROMETHEUS_PORT']}")],
    }


def write_config(folder: Path, wanted: dict[str, list[tuple[str, str]]]) -> None:
    """The repository's configuration and rules as they are, and the targets of this stack. Other files of targets are left alone."""
    shutil.copytree(SOURCE / "rules", folder / "rules", dirs_exist_ok=True)
    shutil.copy(SOURCE / "prometheus.yml", folder)
    (folder / "targets").mkdir(exist_ok=True)
    for name, jobs in wanted.items():
        groups = [{"targets": [address], "labels": {"job": job}} for job, address in jobs]
        # JSON is YAML.
        (folder / "targets" / f"{name}.yml").write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")


def answers(port: int, path: str) -> str | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=REPLY_TIMEOUT_S)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read(200)
    finally:
        connection.close()
    return None if reply.status == 200 else f"it answers {reply.status}: {body.decode(errors='replace').strip()}"


OPTION = Option("Prometheus and node exporter, with alerts", services, programs)
