"""What `stack` does without starting a service: settings, configuration files, fetching, protocol frames, and its own processes."""

import configparser
import dataclasses
import os
import shlex
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from services import cassandra, clickhouse, fetch, java, kafka, lifecycle, processes, supervisor, wire
from services.service import Service
from services.settings import NATIVE, Settings, StackError, parse_versions, read_settings


def settings(**environ: str) -> Settings:
    return read_settings(environ)


class Versions(unittest.TestCase):
    def test_comments_and_blank_lines_are_skipped_and_anything_else_refused(self) -> None:
        self.assertEqual(parse_versions("# a\n\nA_B=1=2\nC=\n"), {"A_B": "1=2", "C": ""})
        for line in ("export A=1", "A", "=1"):
            with self.assertRaises(StackError):
                parse_versions(line)

    def test_bash_reads_the_file_as_python_does(self) -> None:
        file = NATIVE.parent / "versions.env"
        values = parse_versions(file.read_text())
        script = 'set -a; . "$1"; shift; for key; do printf "%s=%s\\n" "$key" "${!key}"; done'
        done = subprocess.run(["bash", "-c", script, "bash", str(file), *values], capture_output=True, text=True, check=True)
        self.assertEqual(parse_versions(done.stdout), values)

    def test_the_requirements_pin_the_versions_of_versions_env(self) -> None:
        values = parse_versions((NATIVE.parent / "versions.env").read_text())
        pinned = (NATIVE / "requirements.txt").read_text()
        self.assertIn(f"\nchdb-core=={values['CHDB_CORE_VERSION']} ", "\n" + pinned)
        self.assertIn(f"\nsupervisor=={values['SUPERVISOR_VERSION']} ", "\n" + pinned)
        for file in ("requirements.txt", "requirements-test.txt"):
            for line in (NATIVE / file).read_text().splitlines():
                self.assertRegex(line, r"^([\w.-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?|    #.*|)$")

    def test_the_checksums_name_the_versions_of_versions_env(self) -> None:
        values = parse_versions((NATIVE.parent / "versions.env").read_text())
        self.assertIn(f"kafka_2.13-{values['KAFKA_VERSION']}.jar", fetch.checksum_file("kafka").read_text())
        self.assertIn(f"cassandra-all-{values['CASSANDRA_VERSION']}.jar", fetch.checksum_file("cassandra").read_text())


class Environment(unittest.TestCase):
    def test_the_base_moves_every_port_that_is_not_set_itself(self) -> None:
        plain = settings().ports
        moved = settings(STACK_PORT_BASE="20000", KAFKA_PORT="19092").ports
        self.assertEqual(moved, {k: 19092 if k == "KAFKA_PORT" else port + 20000 for k, port in plain.items()})

    def test_what_is_no_port_or_number_is_refused(self) -> None:
        for environ in ({"STACK_PORT_BASE": "60000"}, {"KAFKA_PORT": "kafka"}, {"STACK_UP_TIMEOUT": "soon"}):
            with self.subTest(environ), self.assertRaises(StackError):
                settings(**environ)

    def test_the_environment_wins_over_the_file(self) -> None:
        self.assertEqual(settings(CASSANDRA_HEAP="2g", KAFKA_VERSION="")["CASSANDRA_HEAP"], "2g")
        self.assertEqual(settings(KAFKA_VERSION="")["KAFKA_VERSION"], settings()["KAFKA_VERSION"])

    def test_a_long_home_gets_a_socket_that_a_path_may_name(self) -> None:
        short, long = settings(STACK_HOME="/tmp/a").socket, settings(STACK_HOME="/tmp/" + "a" * 120).socket
        self.assertEqual(short, Path("/tmp/a/run/supervisor.sock"))
        self.assertLess(len(str(long)), 100)
        self.assertNotEqual(long, settings(STACK_HOME="/tmp/" + "b" * 120).socket)


class Configuration(unittest.TestCase):
    def test_shared_settings_reach_kafka_and_cassandra(self) -> None:
        given = settings(STACK_PORT_BASE="100", KAFKA_BROKER_SESSION_TIMEOUT_MS="4321", CASSANDRA_CONCURRENT_WRITES="99")
        properties = kafka.properties(given, 1, Path("/d")).splitlines()
        self.assertIn("broker.session.timeout.ms=4321", properties)
        self.assertIn("advertised.listeners=PLAINTEXT://127.0.0.1:9192", properties)
        keys = [line.split("=")[0] for line in properties]
        self.assertEqual(len(keys), len(set(keys)))
        yaml = cassandra.yaml(given, Path("/d")).splitlines()
        for line in ("commitlog_sync: group", "commitlog_sync_group_window: 5ms", "concurrent_writes: 99", "native_transport_port: 9142"):
            self.assertIn(line, yaml)
        with self.assertRaises(StackError):
            cassandra.yaml(settings(CASSANDRA_COMMITLOG_SYNC="sometimes"), Path("/d"))

    def test_three_brokers_have_ports_of_their_own_and_outlive_any_one(self) -> None:
        three = settings(STACK_BROKERS="3")
        self.assertEqual(kafka.addresses(three), "127.0.0.1:9092,127.0.0.1:9102,127.0.0.1:9112")
        second = kafka.properties(three, 2, Path("/d")).splitlines()
        for line in (
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9103,3@127.0.0.1:9113",
            "default.replication.factor=3",
            "offsets.topic.replication.factor=3",
            "min.insync.replicas=2",
            "transaction.state.log.min.isr=2",
        ):
            self.assertIn(line, second)
        ports = [port for node in (1, 2, 3) for port in kafka.ports_of(three, node)]
        self.assertEqual(len(ports), len(set(ports)))
        self.assertEqual(kafka.addresses(settings()), "127.0.0.1:9092")
        with self.assertRaises(StackError):
            settings(STACK_BROKERS="2")

    def test_nothing_listens_but_on_loopback(self) -> None:
        texts = [kafka.properties(settings(), 1, Path("/d")), cassandra.yaml(settings(), Path("/d"))]
        for line in "\n".join(texts).splitlines():
            if "listen" in line and "//" in line or line.startswith(("listen_address", "rpc_address")):
                self.assertRegex(line, "127.0.0.1")
        self.assertIn("<listen_host>127.0.0.1</listen_host>", clickhouse.server_config(settings(), Path("/d")))

    def test_supervisord_gets_words_and_secrets_as_they_are(self) -> None:
        words = ["/usr/bin/java", "-cp", "/with space/100%/*", 'say "hi"', "back\\slash"]
        secret = 'a,b="%(ENV_HOME)s"'
        service = Service("x", "1", {"clients": 1}, words, {"SECRET": secret}, lambda: None, lambda: None, 1, 2, "1m", Path("/d"))
        parser = configparser.RawConfigParser(strict=True)
        parser.read_string(supervisor.config(settings(STACK_HOME="/tmp/50%"), [service]))
        expanded = {key: value.replace("%%", "%") for key, value in parser["program:x"].items()}
        self.assertEqual(shlex.split(expanded["command"]), words)
        self.assertEqual(shlex.split(expanded["environment"]), ["SECRET=" + secret])
        self.assertEqual(parser["supervisord"]["directory"], "/tmp/50%%")

    def test_java_s_version_is_read_in_both_ways_of_writing_it(self) -> None:
        self.assertEqual(java.parse_version('openjdk version "17.0.15" 2025-04-15'), 17)
        self.assertEqual(java.parse_version('java version "1.8.0_392"'), 8)
        self.assertIsNone(java.parse_version("no such thing"))

    def test_sizes_are_read_as_java_writes_them(self) -> None:
        self.assertEqual([clickhouse.memory_bytes(text) for text in ("512m", "2g", "1K", "77")], [512 << 20, 2 << 30, 1024, 77])


class Fetching(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.settings = dataclasses.replace(settings(), cache=Path(folder.name) / "cache")

    def test_of_many_fetches_at_once_each_finds_one_whole_result(self) -> None:
        folder = self.settings.cache / "kafka-1"
        together = threading.Barrier(8)

        def make(target: Path) -> None:
            together.wait(10)
            for i in range(20):
                (target / str(i)).write_text("x")

        with ThreadPoolExecutor(8) as pool:
            for each in [pool.submit(fetch._once, self.settings, folder, make, "a test") for _ in range(8)]:
                each.result()
        self.assertEqual([path.name for path in self.settings.cache.iterdir()], ["kafka-1"])
        self.assertEqual(len(list(folder.iterdir())), 20)

    def test_a_fetch_that_fails_leaves_nothing(self) -> None:
        def fail(target: Path) -> None:
            (target / "half").write_text("x")
            raise StackError("no network")

        with self.assertRaises(StackError):
            fetch._once(self.settings, self.settings.cache / "kafka-1", fail, "a test")
        self.assertEqual(list(self.settings.cache.iterdir()), [])

    def test_a_jar_that_is_another_missing_or_unlisted_is_refused(self) -> None:
        names = [line.split()[1] for line in fetch.checksum_file("kafka").read_text().splitlines()]
        folder = self.settings.cache / "jars"
        folder.mkdir(parents=True)
        (folder / names[0]).write_bytes(b"another")
        (folder / "unlisted.jar").write_bytes(b"")
        with self.assertRaises(StackError) as caught:
            fetch.verify(folder, "kafka")
        self.assertTrue(str(caught.exception).startswith(f"{len(names) + 1} files in"))

    def test_clean_takes_the_downloads_and_leaves_the_rest(self) -> None:
        for name in ("kafka-1", "requirements-3", "fetching-x", "mine"):
            (self.settings.cache / name).mkdir(parents=True)
        fetch.clean(self.settings)
        self.assertEqual([path.name for path in self.settings.cache.iterdir()], ["mine"])


class Frames(unittest.TestCase):
    def metadata(self, *brokers: tuple[int, str, str | None]) -> bytes:
        out = struct.pack(">ii", 7, len(brokers))
        for node, host, rack in brokers:
            out += struct.pack(">ih", node, len(host)) + host.encode() + struct.pack(">i", 9092)
            out += struct.pack(">h", -1) if rack is None else struct.pack(">h", len(rack)) + rack.encode()
        return out + struct.pack(">i", 1)

    def test_brokers_are_read_with_and_without_racks(self) -> None:
        self.assertEqual(wire.kafka_brokers(self.metadata((1, "127.0.0.1", None), (23, "b", "rack"))), [1, 23])
        self.assertEqual(wire.kafka_brokers(self.metadata()), [])

    def test_a_port_that_takes_connections_and_says_nonsense_is_not_ready(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

            def answer() -> None:
                for _ in range(2):
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            for check in (lambda: wire.kafka_ready(port, 1), lambda: wire.cassandra_ready(port)):
                with self.assertRaises((ValueError, ConnectionError, struct.error)):
                    check()
            thread.join(10)


class Restarting:
    """A supervisor whose service has just ended, and is started anew before it is told to stay down."""

    def __init__(self) -> None:
        self.seen = iter(["EXITED", "STARTING", "STARTING", "STOPPING", "STOPPED"])
        self.state, self.stopped = "RUNNING", 0

    def states(self) -> dict[str, dict[str, object]]:
        self.state = next(self.seen, self.state)
        return {"cassandra": {"statename": self.state, "pid": 0 if self.state in ("EXITED", "STOPPED") else 7}}

    def stop_service(self, name: str) -> None:
        assert self.state == "STARTING", self.state
        self.stopped += 1


class Stopping(unittest.TestCase):
    def test_a_service_that_is_about_to_be_restarted_is_told_again_to_stay_down(self) -> None:
        supervisor = Restarting()
        self.assertEqual(lifecycle._stop_services(cast(Any, supervisor), ["cassandra"], 5), [])
        self.assertGreaterEqual(supervisor.stopped, 1)
        self.assertEqual(supervisor.state, "STOPPED")


class Processes(unittest.TestCase):
    def test_a_stack_s_processes_are_found_by_their_mark_and_ended(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
            command = [sys.executable, "-c", code]
            stubborn = subprocess.Popen(command, env=os.environ | {processes.MARK: name}, stdout=subprocess.PIPE)
            other = subprocess.Popen(command, env=os.environ | {processes.MARK: name + "2"}, stdout=subprocess.PIPE)
            for process in (stubborn, other):
                process.stdout.readline()
            self.assertEqual(processes.of_stack(home), [stubborn.pid])
            self.assertEqual(processes.end([stubborn.pid], 0.3), [stubborn.pid])
            self.assertEqual(stubborn.wait(10), -9)
            self.assertEqual(processes.of_stack(home), [])
            self.assertIsNone(other.poll())
            other.kill()
            for process in (stubborn, other):
                process.wait(10)
                process.stdout.close()

    def test_who_listens_on_a_port_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.assertEqual(processes.listeners(server.getsockname()[1]), [os.getpid()])


if __name__ == "__main__":
    unittest.main()
