"""A table of the shape that `pipeline` keeps its sums in, and blocks for it: what the tests insert."""

from __future__ import annotations

import datetime

from tests.front import Client

EPOCH = "1970-01-01 00:00:00"
INSERT = "INSERT INTO sales FORMAT TSV"


def create(client: Client, window: int = 1000) -> None:
    client.ask(
        f"""CREATE TABLE sales (minute DateTime('UTC'), source LowCardinality(String), block String, orders UInt64, total_minor Int128,
        blocks UInt64, last Int64) ENGINE = SummingMergeTree((orders, total_minor, blocks)) ORDER BY (minute, source, block)
        SETTINGS non_replicated_deduplication_window = {window}"""
    )


def block(token: str, last: int, minutes: int, step_min: int = 1, orders: int = 3) -> bytes:
    """The sums of `minutes` minutes, and the block's own row."""
    start = datetime.datetime(2020, 1, 1)
    lines = [f"{EPOCH}\t\t{token}\t0\t0\t1\t{last}"]
    for i in range(minutes):
        minute = start + datetime.timedelta(minutes=i * step_min)
        lines.append(f"{minute:%Y-%m-%d %H:%M:%S}\tOnline\t\t{orders}\t{orders * 100}\t0\t0")
    return ("\n".join(lines) + "\n").encode()


def insert(client: Client, token: str, data: bytes, **settings: object) -> None:
    client.ask(INSERT, data, **({"insert_deduplication_token": token, "query_id": token, "async_insert": 0} | settings))
