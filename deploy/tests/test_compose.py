"""The compose files are sound, and bring up what the native stack brings up: versions, ports, settings and readiness."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path
from urllib.parse import unquote

from sources import COMPOSE, ONE_BROKER, REPOSITORY, THREE_BROKERS, compose_config, native, services, text, versions

from services import cassandra, clickhouse, kafka, prometheus, wire  # isort: skip  (the native stack's, found through sources)
from services.settings import NATIVE_DEFAULTS  # isort: skip

SERVERS = {"kafka", "cassandra", "clickhouse"}
OURS = {"schema", "ingest", "processor", "loadgen", "ledger"}
# Of profile `superset`: our image of it, and where it keeps its own data.
SUPERSET = {"superset-secrets", "superset-set-up", "superset"}
BESIDE = SUPERSET | {"mysql"}
WATCHING = {"prometheus", "node-exporter", "grafana"}
ONE_SHOT = {"schema", "loadgen", "ledger", "superset-secrets", "superset-set-up"}
GIB = 1 << 30


def settings_of(cassandra_service: dict) -> dict[str, str]:
    """What Cassandra is told by system properties: settings of its configuration by name, other properties by whole name."""
    return dict(re.findall(r"-D(\S+?)=(\S+)", cassandra_service["environment"]["JVM_EXTRA_OPTS"]))


class Files(unittest.TestCase):
    def test_each_file_is_read_with_each_profile_without_a_word(self) -> None:
        core = SERVERS | OURS - {"loadgen", "ledger"}
        load = core | {"loadgen"}
        brokers = {"kafka-2", "kafka-3"}
        for files, profiles, expected in (
            (ONE_BROKER, (), core),
            (ONE_BROKER, ("load",), load),
            (ONE_BROKER, ("ledger",), core | {"ledger"}),
            (ONE_BROKER, ("prometheus",), core | {"prometheus", "node-exporter"}),
            (ONE_BROKER, ("grafana",), core | WATCHING),
            (ONE_BROKER, ("superset",), core | BESIDE),
            (THREE_BROKERS, (), core | brokers),
            (THREE_BROKERS, ("load",), load | brokers),
            (THREE_BROKERS, ("grafana", "ledger"), core | brokers | WATCHING | {"ledger"}),
        ):
            with self.subTest(files=files, profiles=profiles):
                done = compose_config(*files, profiles=profiles)
                # A variable that is not set is a warning on standard error, and an empty string in the file.
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(set(json.loads(done.stdout)["services"]), expected)

    def test_versions_env_is_what_compose_reads_by_itself(self) -> None:
        link = COMPOSE / ".env"
        self.assertTrue(link.is_symlink(), ".env is a link, not a copy")
        self.assertEqual(link.readlink().as_posix(), "../versions.env")

    def test_without_versions_env_it_stops_and_says_what_to_pass(self) -> None:
        done = compose_config(*ONE_BROKER, environ={"COMPOSE_ENV_FILES": "/dev/null"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--env-file deploy/versions.env", done.stderr)

    def test_no_version_stands_twice(self) -> None:
        for name in ("compose.yaml", "compose.three-brokers.yaml", "Dockerfile"):
            for key, value in versions().items():
                if key.endswith("_VERSION"):
                    self.assertNotIn(value, text("deploy", "compose", name), f"{name} holds {key}")


class Agreement(unittest.TestCase):
    def test_images_are_those_of_versions_env(self) -> None:
        for files in (ONE_BROKER, THREE_BROKERS):
            for name, service in services(files).items():
                # A further broker is kafka-2, and node-exporter is its own name.
                whole, first = name.upper().replace("-", "_"), name.split("-")[0].upper()
                server = whole if f"{whole}_IMAGE" in versions() else first
                if name in SUPERSET:
                    self.assertEqual(service["image"], "tillflow-superset:local", name)
                elif f"{server}_IMAGE" in versions():
                    self.assertEqual(service["image"], f"{versions()[f'{server}_IMAGE']}:{versions()[f'{server}_VERSION']}")
                else:
                    self.assertEqual(service["image"], "tillflow:local", name)

    def test_ports_on_the_host_are_those_of_versions_env(self) -> None:
        published = {
            (name, port["target"]): int(port["published"]) for name, service in services().items() for port in service.get("ports", [])
        }
        expected = {
            ("kafka", 9092): "KAFKA_PORT",
            ("cassandra", 9042): "CASSANDRA_PORT",
            ("clickhouse", 8123): "CLICKHOUSE_HTTP_PORT",
            ("ingest", 8080): "INGEST_PORT",
            ("ingest", 9090): "MANAGE_PORT",
            ("processor", 9090): "PROCESSOR_MANAGE_PORT",
            ("prometheus", 9090): "PROMETHEUS_PORT",
            ("grafana", 3000): "GRAFANA_PORT",
            ("superset", 8088): "SUPERSET_PORT",
        }
        for where, key in expected.items():
            self.assertEqual(published.pop(where), int(versions()[key]), key)
        self.assertEqual(published, {})

    def test_kafka_has_the_native_brokers_settings(self) -> None:
        properties = dict(line.split("=", 1) for line in kafka.properties(native(), 1, Path("/data")).splitlines())
        environment = services()["kafka"]["environment"]
        theirs = {key[len("KAFKA_") :].lower().replace("_", "."): value for key, value in environment.items() if key.startswith("KAFKA_")}
        # Where it listens and keeps its data differs, and a container's listener for other containers has a name of its own.
        of_its_own = {
            "advertised.listeners",
            "controller.quorum.voters",
            "inter.broker.listener.name",
            "listener.security.protocol.map",
            "listeners",
            "log.dirs",
        }
        heap = theirs.pop("heap.opts")
        self.assertEqual(
            {key: value for key, value in theirs.items() if key not in of_its_own},
            {key: value for key, value in properties.items() if key not in of_its_own},
        )
        self.assertEqual(set(theirs), set(properties))
        self.assertIn(f"-Xmx{NATIVE_DEFAULTS['KAFKA_HEAP']}", heap.split())
        self.assertIn("-XX:MaxDirectMemorySize=256m", heap.split())

    def test_cassandra_has_the_native_nodes_settings(self) -> None:
        yaml = cassandra.yaml(native(), Path("/data"))
        ours = dict(re.findall(r"^(\w+): (\S.*)$", yaml, re.MULTILINE))
        given = settings_of(services()["cassandra"])
        prefix = "cassandra.settings."
        theirs = {key[len(prefix) :]: value for key, value in given.items() if key.startswith(prefix)}
        # The entry point of the image fills these in, or the image has them so: cassandra_latest.yaml, and Cassandra's defaults.
        of_the_image = {
            "cluster_name", "listen_address", "rpc_address", "storage_port", "native_transport_port", "start_native_transport",
            "commitlog_directory", "saved_caches_directory", "hints_directory", "cdc_raw_directory",
            "num_tokens", "partitioner", "endpoint_snitch", "authenticator", "authorizer", "role_manager",
            "storage_compatibility_mode", "hinted_handoff_enabled", "user_defined_functions_enabled", "materialized_views_enabled",
        }  # fmt: skip
        # A dropped table leaves a snapshot on a server, and none on a developer's machine.
        different = {"auto_snapshot"}
        expected = {key: value for key, value in ours.items() if key not in of_the_image | different}
        # The image's configuration has the period of the other kind of commitlog_sync, which must be taken back.
        self.assertEqual(theirs.pop("commitlog_sync_period"), "0ms")
        self.assertEqual(theirs, expected)
        self.assertEqual(given["cassandra.config.allow_system_properties"], "true")
        for nested in ("class_name: TrieMemtable", "selected_format: bti"):
            self.assertIn(nested, yaml, "cassandra_latest.yaml has it, so the native node must")
        self.assertIn("/etc/cassandra/cassandra_latest.yaml", services()["cassandra"]["entrypoint"][-1])

    def test_cassandra_runs_in_the_native_nodes_jvm(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "jamm-0.jar").touch()
            options = cassandra.jvm_options(native(), Path(folder), Path("/config"), Path("/data"))
        service = services()["cassandra"]
        theirs = service["environment"]["JVM_EXTRA_OPTS"].split()
        for option in ("skip_wait_for_gossip_to_settle", "ring_delay_ms", "superuser_setup_delay_ms"):
            (ours,) = [one for one in options if one.startswith(f"-Dcassandra.{option}=")]
            self.assertIn(ours, theirs)
        (direct,) = [one for one in options if one.startswith("-XX:MaxDirectMemorySize=")]
        self.assertIn(direct, theirs)
        self.assertIn(f"-Xmx{service['environment']['MAX_HEAP_SIZE']}", options)
        self.assertEqual(service["environment"]["CASSANDRA_CLUSTER_NAME"], NATIVE_DEFAULTS["CASSANDRA_CLUSTER_NAME"])

    def test_clickhouse_has_the_native_servers_settings(self) -> None:
        ours = xml.fromstring(clickhouse.engine_config(native()))
        theirs = xml.fromstring(text("deploy", "compose", "clickhouse.xml"))
        service = services()["clickhouse"]
        for setting in ours:
            if setting.tag == "max_server_memory_usage":
                # The image derives it from the container's limit.
                self.assertEqual(service["deploy"]["resources"]["limits"]["memory"], setting.text)
            else:
                self.assertEqual(theirs.findtext(setting.tag), setting.text, setting.tag)
        mounted = {volume["target"]: volume for volume in service["volumes"] if volume["type"] == "bind"}
        self.assertEqual(list(mounted), ["/etc/clickhouse-server/config.d/tillflow.xml"])
        self.assertTrue(Path(mounted.popitem()[1]["source"]).is_file())

    def test_health_is_asked_in_the_services_own_protocol_as_native_does(self) -> None:
        def question(name: str, files: tuple[str, ...] = ONE_BROKER) -> str:
            return services(files)[name]["healthcheck"]["test"][-1].replace("$$", "$")

        # The broker lists itself, by the id that it was given.
        for name in ("kafka", "kafka-2", "kafka-3"):
            self.assertIn("kafka-broker-api-versions.sh", question(name, THREE_BROKERS))
            self.assertIn('grep -q "(id: $KAFKA_NODE_ID "', question(name, THREE_BROKERS))
        self.assertEqual(services()["kafka"]["environment"]["KAFKA_NODE_ID"], "1")
        # The same query is answered.
        query = re.search(r"'(SELECT [^']*)'", question("cassandra"))
        assert query
        self.assertIn(f'"{query[1]}"', Path(wire.__file__).read_text())
        # As the pipeline's user, over the pipeline's interface.
        native_query = re.search(r'body="([^"]*)"', Path(clickhouse.__file__).read_text())
        assert native_query
        asked = question("clickhouse")
        self.assertIn(f"http://127.0.0.1:8123/?query={native_query[1]}'", unquote(asked))
        self.assertIn("X-ClickHouse-User: $CLICKHOUSE_USER", asked)
        self.assertIn("X-ClickHouse-Key: $CLICKHOUSE_PASSWORD", asked)
        for name in ("ingest", "processor"):
            self.assertIn("GET /readyz ", question(name))


class Pipeline(unittest.TestCase):
    def test_it_is_pointed_at_addresses_where_the_servers_listen(self) -> None:
        for files in (ONE_BROKER, THREE_BROKERS):
            all_services = services(files)
            brokers = [name for name in all_services if name.startswith("kafka")]
            for name in OURS - {"loadgen"}:
                environment = all_services[name]["environment"]
                self.assertEqual(environment["PIPELINE_KAFKA_BROKERS"], ",".join(f"{broker}:19092" for broker in sorted(brokers)))
                self.assertEqual(environment["PIPELINE_CASSANDRA_NODES"], "cassandra:9042")
                self.assertEqual(environment["PIPELINE_CLICKHOUSE_URL"], "http://clickhouse:8123")
                for key in ("USER", "PASSWORD"):
                    self.assertEqual(
                        environment[f"PIPELINE_CLICKHOUSE_{key}"], all_services["clickhouse"]["environment"][f"CLICKHOUSE_{key}"]
                    )
            for broker in brokers:
                environment = all_services[broker]["environment"]
                self.assertIn("INSIDE://:19092", environment["KAFKA_LISTENERS"].split(","))
                self.assertIn(f"INSIDE://{broker}:19092", environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
                self.assertEqual(all_services[broker]["hostname"], broker)

    def test_it_is_told_only_what_it_knows(self) -> None:
        def names(table: dict, prefix: str = "PIPELINE") -> set[str]:
            found = set()
            for key, value in table.items():
                name = f"{prefix}_{key.upper()}"
                found |= names(value, name) if isinstance(value, dict) else {name}
            return found

        known = names(tomllib.loads(text("pipeline", "default.toml")))
        for name in OURS - {"loadgen"}:
            for key in services(THREE_BROKERS)[name]["environment"]:
                self.assertIn(key, known, f"{name}: the pipeline has no such setting")

    def test_it_starts_when_what_it_needs_is_there(self) -> None:
        def conditions(name: str, files: tuple[str, ...] = ONE_BROKER) -> dict[str, str]:
            return {on: how["condition"] for on, how in services(files)[name]["depends_on"].items()}

        healthy, ended = "service_healthy", "service_completed_successfully"
        self.assertEqual(conditions("schema"), dict.fromkeys(SERVERS, healthy))
        self.assertEqual(conditions("ingest"), {"schema": ended, "kafka": healthy})
        self.assertEqual(conditions("processor"), {"schema": ended} | dict.fromkeys(SERVERS, healthy))
        self.assertEqual(conditions("loadgen"), {"ingest": healthy, "processor": healthy})
        for name in ("schema", "ingest", "processor"):
            self.assertLessEqual({"kafka", "kafka-2", "kafka-3"}, conditions(name, THREE_BROKERS).keys())

    def test_it_has_no_more_rights_than_it_needs(self) -> None:
        for name in OURS:
            service = services()[name]
            self.assertTrue(service["read_only"], name)
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"], name)
            if name != "ledger":
                self.assertNotIn("volumes", service, f"{name}: the schema is compiled in")
            # It is built here, and in no registry.
            self.assertEqual(service["pull_policy"], "never", name)
        built = [name for name in OURS if "build" in services()[name]]
        self.assertEqual(built, ["schema"], "one service builds the image that all use")

    def test_it_may_take_longer_to_stop_than_it_takes(self) -> None:
        drain = tomllib.loads(text("pipeline", "default.toml"))["shutdown"]["drain_timeout"]
        for name in ("ingest", "processor"):
            self.assertGreater(int(services()[name]["stop_grace_period"].removesuffix("s")), int(drain.removesuffix("s")))


class Watching(unittest.TestCase):
    """Prometheus and Grafana are given the files of grafana-superset, where each looks for them."""

    def mounted(self, name: str) -> dict[str, Path]:
        return {volume["target"]: Path(volume["source"]) for volume in services()[name]["volumes"] if volume["type"] == "bind"}

    def test_prometheus_reads_the_native_stacks_configuration_and_rules(self) -> None:
        folder = REPOSITORY / "grafana-superset" / "prometheus"
        mounted = self.mounted("prometheus")
        self.assertEqual(mounted["/etc/prometheus/prometheus.yml"], folder / "prometheus.yml")
        self.assertEqual(mounted["/etc/prometheus/rules"], folder / "rules")
        self.assertIn("--config.file=/etc/prometheus/prometheus.yml", services()["prometheus"]["command"])

    def test_its_targets_are_services_of_compose_with_the_native_stacks_jobs(self) -> None:
        folder = self.mounted("prometheus")["/etc/prometheus/targets"]
        self.assertEqual(folder, COMPOSE / "prometheus")
        native_jobs = prometheus.targets(native())
        self.assertEqual({file.stem for file in folder.glob("*.yml")}, native_jobs.keys())
        for name, jobs in native_jobs.items():
            found = re.findall(r'targets: \["([\w-]+):(\d+)"\], labels: \{ job: (\w+) \}', (folder / f"{name}.yml").read_text())
            self.assertEqual([job for _, _, job in found], [job for job, _ in jobs])
            for host, _, _ in found:
                self.assertIn(host, {*services(), "localhost"})

    def test_grafana_reads_data_source_and_dashboards_from_where_they_are_provisioned(self) -> None:
        folder = REPOSITORY / "grafana-superset" / "grafana"
        mounted = self.mounted("grafana")
        self.assertEqual(mounted["/etc/grafana/provisioning"], folder / "provisioning")
        provider = (folder / "provisioning" / "dashboards" / "tillflow.yml").read_text()
        (path,) = re.findall(r"^ +path: (\S+)$", provider, re.MULTILINE)
        self.assertEqual(mounted[path], folder / "dashboards")
        environment = services()["grafana"]["environment"]
        home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertTrue((folder / "dashboards" / Path(home).name).is_file(), home)
        self.assertEqual(str(Path(home).parent), path)
        self.assertEqual(environment["PROMETHEUS_URL"], "http://prometheus:9090")

    def test_nobody_has_a_password_that_stands_in_a_file(self) -> None:
        environment = services()["grafana"]["environment"]
        self.assertEqual(environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"], "true")
        self.assertEqual(environment["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer")
        self.assertFalse([key for key in environment if "PASSWORD" in key])

    def test_the_ledger_writes_where_node_exporter_reads(self) -> None:
        (volume,) = services()["ledger"]["volumes"]
        file = services()["ledger"]["command"][-1]
        self.assertEqual(str(Path(file).parent), volume["target"])
        self.assertEqual(Path(file).suffix, ".prom")
        exporter = services()["node-exporter"]
        self.assertIn(f"--collector.textfile.directory={volume['target']}", exporter["command"])
        self.assertIn((volume["source"], volume["target"]), {(one["source"], one["target"]) for one in exporter["volumes"]})
        self.assertIn(f"install --directory --owner=tillflow --group=tillflow {volume['target']}", text("deploy", "compose", "Dockerfile"))


class Operation(unittest.TestCase):
    def test_nothing_is_reachable_from_other_machines_unless_asked(self) -> None:
        for files in (ONE_BROKER, THREE_BROKERS):
            for bind, environ in (("127.0.0.1", {}), ("0.0.0.0", {"BIND": "0.0.0.0"})):
                addresses = [port["host_ip"] for service in services(files, **environ).values() for port in service.get("ports", [])]
                self.assertGreaterEqual(len(addresses), 6)
                self.assertEqual(set(addresses), {bind})

    def test_each_service_is_watched_limited_and_logged(self) -> None:
        for files in (ONE_BROKER, THREE_BROKERS):
            for name, service in services(files).items():
                self.assertEqual(service["restart"], "no" if name in ONE_SHOT else "unless-stopped", name)
                self.assertEqual("healthcheck" in service, name not in ONE_SHOT, name)
                self.assertEqual(service["logging"], {"driver": "local", "options": {"max-size": "10m", "max-file": "3"}}, name)
                self.assertIn("memory", service["deploy"]["resources"]["limits"], name)
                self.assertNotIn("privileged", service)

    def test_all_of_it_fits_a_laptop_of_16_gb(self) -> None:
        for files in (ONE_BROKER, THREE_BROKERS):
            limits = {name: int(service["deploy"]["resources"]["limits"]["memory"]) for name, service in services(files).items()}
            # WSL2 takes half of the machine's memory unless told otherwise.
            self.assertLessEqual(sum(limit for name, limit in limits.items() if name not in BESIDE | WATCHING | {"ledger"}), 8 * GIB)
            # Superset and its database, and what operators look at, need a machine that is larger by as much as they take.
            self.assertLessEqual(sum(limit for name, limit in limits.items() if name in BESIDE - ONE_SHOT), 1.5 * GIB)
            self.assertLessEqual(sum(limits[name] for name in WATCHING), GIB)

    def test_each_server_keeps_its_data_in_a_volume_of_its_own(self) -> None:
        kept = []
        for name, service in services(THREE_BROKERS).items():
            # Who has to read a password has it beside his data.
            volumes = [volume for volume in service.get("volumes", []) if volume["type"] == "volume" and volume["target"] != "/secrets"]
            self.assertEqual(len(volumes), 0 if name in OURS - {"ledger"} | SUPERSET else 1, name)
            # Node exporter reads what the ledger writes.
            kept += [volume["source"] for volume in volumes if not volume.get("read_only")]
        self.assertEqual(
            sorted(kept), ["cassandra", "clickhouse", "grafana", "kafka", "kafka-2", "kafka-3", "ledger", "mysql", "prometheus"]
        )
        self.assertEqual(services()["kafka"]["environment"]["KAFKA_LOG_DIRS"], services()["kafka"]["volumes"][0]["target"])

    def test_three_brokers_are_one_quorum_that_outlives_one_of_them(self) -> None:
        brokers = {name: service["environment"] for name, service in services(THREE_BROKERS).items() if name.startswith("kafka")}
        ids = {environment["KAFKA_NODE_ID"]: name for name, environment in brokers.items()}
        self.assertEqual(ids, {"1": "kafka", "2": "kafka-2", "3": "kafka-3"})
        of_its_own = {"KAFKA_NODE_ID", "KAFKA_ADVERTISED_LISTENERS"}
        shared = [{key: value for key, value in environment.items() if key not in of_its_own} for environment in brokers.values()]
        self.assertEqual(shared[0], shared[1])
        self.assertEqual(shared[0], shared[2])
        port = versions()["KAFKA_CONTROLLER_PORT"]
        self.assertEqual(shared[0]["KAFKA_CONTROLLER_QUORUM_VOTERS"], f"1@kafka:{port},2@kafka-2:{port},3@kafka-3:{port}")
        one = services()["kafka"]["environment"]
        changed = {key: value for key, value in shared[0].items() if one[key] != value}
        for key in ("KAFKA_CONTROLLER_QUORUM_VOTERS", "KAFKA_HEAP_OPTS"):
            changed.pop(key)
        # Everything that is kept is on three brokers and acknowledged by two.
        self.assertEqual({key: "2" if "MIN_I" in key else "3" for key in changed}, changed)
        self.assertEqual(len(changed), 7)
        outside = [environment["KAFKA_ADVERTISED_LISTENERS"].split("OUTSIDE://")[1] for environment in brokers.values()]
        published = [f"127.0.0.1:{services(THREE_BROKERS)[name]['ports'][0]['published']}" for name in brokers]
        self.assertEqual(outside, published)
        self.assertEqual(len(set(outside)), 3)


if __name__ == "__main__":
    unittest.main()
