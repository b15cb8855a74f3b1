"""Orders go in over HTTP, and are read back by tools that are not ours: kcat, Cassandra's driver, ClickHouse's client."""

import json
import os
import shutil
import subprocess
import time
import unittest
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
from cassandra.cluster import Cluster

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "pipeline"
NEEDED = ("PIPELINE_KAFKA_BROKERS", "PIPELINE_CASSANDRA_NODES", "PIPELINE_CLICKHOUSE_URL")
NAME = f"read_back_{os.getpid()}"
SETTINGS = {
    "mode": "servers",
    "receive.listen": "127.0.0.1:0",
    "manage.listen": "127.0.0.1:0",
    "kafka.topic": NAME,
    "kafka.dead_topic": f"{NAME}.dead",
    "kafka.group": NAME,
    "cassandra.keyspace": NAME,
    "clickhouse.database": NAME,
    "process.block_interval": "200ms",
}
PARTITIONS = 6
ORDERS = 60
HOUR = 1_795_345_200
DEADLINE_S = 60


def murmur2(key: bytes) -> int:
    """As Java's producers compute it, written apart from the product's own."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def bodies() -> dict[str, bytes]:
    """Orders by id, as a client might write them: spaces, text that is not ASCII, fields that nobody knows."""
    found = {}
    for number in range(ORDERS):
        id_ = f"order-{number}"
        order = {
            "order_id": id_,
            "customer_id": 1000 + number,
            "source": ("Online", "Dine In", "In Store")[number % 3],
            "quantity": 1 + number % 7,
            "total": f"{number * 7}.{number % 100:02}",
            "currency": "USD",
            "state": ("TX", "CA")[number % 2],
            "store_id": number,
            "product_id": 10_000 + number,
            "category": ("GROCERY", "DRUG GM")[number // 2 % 2],
            "created_at": f"2026-11-22T11:{number % 60:02}:00.5Z",
            "note": "Ærø, 5 €",
        }
        found[id_] = json.dumps(order, ensure_ascii=False, separators=(" ,  ", " : ")).encode()
    return found


def program(*arguments: str) -> list[str]:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return [str(PROGRAM), *arguments, *settings]


class ReadBack(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        missing = [name for name in NEEDED if name not in os.environ]
        assert not missing, f"{missing} must name servers: without them nothing is checked"
        assert shutil.which("kcat"), "kcat must be installed: Debian's package is called kcat"
        assert PROGRAM.exists(), f"{PROGRAM} is not there: `cargo build -p pipeline` makes it"
        host, port = os.environ["PIPELINE_CASSANDRA_NODES"].split(",")[0].rsplit(":", 1)
        cls.cassandra = Cluster([host], port=int(port))
        cls.addClassCleanup(cls.cassandra.shutdown)
        cls.session = cls.cassandra.connect()
        cls.clickhouse = clickhouse_connect.get_client(dsn=os.environ["PIPELINE_CLICKHOUSE_URL"])
        cls.addClassCleanup(cls.clickhouse.close)
        subprocess.run(program("schema", "apply"), check=True, stdout=subprocess.DEVNULL, timeout=DEADLINE_S)
        cls.addClassCleanup(cls.clickhouse.command, f"DROP DATABASE {NAME} SYNC")
        cls.addClassCleanup(cls.session.execute, f"DROP KEYSPACE {NAME}")
        cls.sent = bodies()
        started = time.time_ns()
        orders = cls.start("ingest", "taken at ")
        cls.start("process", "are at ")
        for body in cls.sent.values():
            request = urllib.request.Request(orders, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                assert reply.status == 202, reply.status
        cls.between = (started, time.time_ns())
        cls.stored()

    @classmethod
    def start(cls, command: str, marker: str) -> str:
        """Starts a process and returns the address that it says behind the marker."""
        process = subprocess.Popen(program(command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.addClassCleanup(process.stdout.close)
        cls.addClassCleanup(process.wait, DEADLINE_S)
        cls.addClassCleanup(process.terminate)
        for line in process.stdout:
            if marker in line:
                return line.split(marker)[1].split()[0]
        raise AssertionError(f"`pipeline {command}` ended before it was up")

    @classmethod
    def stored(cls) -> None:
        """Waits until the sums of all orders are there."""
        deadline = time.monotonic() + DEADLINE_S
        query = f"SELECT sum(orders) FROM {NAME}.sales"
        while (found := cls.clickhouse.query(query).result_rows[0][0]) != ORDERS:
            assert time.monotonic() < deadline, f"only {found} orders are stored"
            time.sleep(0.1)

    def records(self) -> list[tuple[int, str, dict[str, str], bytes]]:
        """All records of the topic as kcat tells them: partition, key, headers, value."""
        command = ["kcat", "-b", os.environ["PIPELINE_KAFKA_BROKERS"], "-C", "-t", NAME, "-o", "beginning", "-e", "-q"]
        text = subprocess.run(
            [*command, "-f", r"%p\t%k\t%h\t%S\t%s"], check=True, capture_output=True, timeout=DEADLINE_S
        ).stdout
        found = []
        while text:
            partition, key, headers, length, text = text.split(b"\t", 4)
            pairs = dict(header.split("=", 1) for header in headers.decode().split(","))
            found.append((int(partition), key.decode(), pairs, text[: int(length)]))
            text = text[int(length) :]
        return found

    def test_kcat_reads_each_order_byte_for_byte_where_its_key_belongs(self) -> None:
        records = self.records()
        self.assertEqual({key: value for _, key, _, value in records}, self.sent)
        self.assertEqual(len(records), ORDERS)
        for partition, key, headers, _ in records:
            self.assertEqual(headers.keys(), {"received_at", "schema"})
            self.assertEqual(headers["schema"], "order.v1")
            self.assertTrue(self.between[0] <= int(headers["received_at"]) <= self.between[1], headers)
            self.assertEqual(partition, (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS, key)

    def test_the_driver_of_cassandra_reads_an_order_with_all_its_columns(self) -> None:
        received = {key: (partition, headers["received_at"]) for partition, key, headers, _ in self.records()}
        hour = datetime.fromtimestamp(HOUR, UTC)
        places = set()
        for id_, body in self.sent.items():
            bucket = (murmur2(id_.encode()) & 0x7FFFFFFF) % PARTITIONS
            query = f"SELECT * FROM {NAME}.orders WHERE hour = %s AND bucket = %s AND order_id = %s"
            row = self.session.execute(query, (hour, bucket, id_)).one()._asdict()
            sent = json.loads(body)
            created_at = datetime.fromisoformat(sent["created_at"])
            expected = {name: sent[name] for name in sent.keys() - {"total", "created_at", "note"}} | {
                "hour": hour.replace(tzinfo=None),
                "bucket": bucket,
                "total_minor": int(Decimal(sent["total"]) * 100),
                "created_at": int(created_at.timestamp() * 2) * 500_000_000,
                "received_at": int(received[id_][1]),
                "partition": received[id_][0],
            }
            topic, offset = row.pop("topic"), row.pop("offset")
            self.assertTrue(topic)
            places.add((row["partition"], offset))
            self.assertEqual(row, expected)
        self.assertEqual(len(places), ORDERS, "no two orders have one place in the log")

    def test_the_client_of_clickhouse_reads_the_sums_to_the_cent_and_the_blocks(self) -> None:
        orders, quantity, total = Counter(), Counter(), Counter()
        for order in map(json.loads, self.sent.values()):
            key = (order["source"], order["state"])
            orders[key] += 1
            quantity[key] += order["quantity"]
            total[key] += Decimal(order["total"])
        query = f"SELECT source, state, sum(orders), sum(quantity), sum(total) FROM {NAME}.sales GROUP BY source, state"
        found = {tuple(row[:2]): tuple(row[2:]) for row in self.clickhouse.query(query).result_rows}
        self.assertEqual(found, {key: (orders[key], quantity[key], total[key]) for key in orders})
        self.assertTrue(all(isinstance(row[2], Decimal) for row in found.values()), "money is no float")

        query = f"SELECT partition, first, last, blocks, records, orders, total_minor FROM {NAME}.blocks"
        blocks = sorted(self.clickhouse.query(query).result_rows)
        self.assertEqual({block[3] for block in blocks}, {1}, "a block is there twice")
        self.assertEqual(sum(block[5] for block in blocks), ORDERS)
        self.assertEqual(sum(block[6] for block in blocks), int(sum(total.values()) * 100))
        ends = Counter(partition for partition, *_ in self.records())
        for partition in range(PARTITIONS):
            own = [block[1:3] for block in blocks if block[0] == partition]
            covered = [offset for first, last in own for offset in range(first, last + 1)]
            self.assertEqual(covered, list(range(ends[partition])), f"partition {partition} has a gap or an overlap")


if __name__ == "__main__":
    unittest.main()
