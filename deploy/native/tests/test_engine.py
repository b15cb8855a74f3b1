"""What `pipeline` relies on in ClickHouse, tried on the engine: parts, deduplication tokens, query ids, settings, errors."""

import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from tests import rollups
from tests.front import EngineTest, Refused


class Parts(EngineTest):
    def test_one_insert_is_one_part_with_its_block_row_whatever_its_times(self) -> None:
        rollups.create(self.client)
        self.client.ask("SYSTEM STOP MERGES sales")
        # 20,000 sums that lie two hours apart: from 2020 to 2024.
        rollups.insert(self.client, "wide", rollups.block("wide", 19, minutes=20_000, step_min=120))
        columns = "_part part, count() rows, countIf(block = 'wide') blocks, uniqExact(toYear(minute)) years"
        parts = self.client.rows(f"SELECT {columns} FROM sales GROUP BY part")
        self.assertEqual([(p["rows"], p["blocks"]) for p in parts], [(20_001, 1)])
        self.assertGreaterEqual(parts[0]["years"], 6)

    def test_half_a_million_rows_are_still_one_part(self) -> None:
        self.client.ask("CREATE TABLE big (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
        self.client.ask("SYSTEM STOP MERGES big")
        data = b"".join(b"%d\t%020d\n" % (i, i) for i in range(500_000))
        self.client.ask("INSERT INTO big FORMAT TSV", data)
        where = "active AND database = currentDatabase() AND table = 'big'"
        parts = self.client.rows(f"SELECT count() parts, sum(rows) rows FROM system.parts WHERE {where}")
        self.assertEqual(parts, [{"parts": 1, "rows": 500_000}])

    def test_merges_keep_sums_and_block_rows(self) -> None:
        rollups.create(self.client)
        for i in range(20):
            rollups.insert(self.client, f"b{i}", rollups.block(f"b{i}", i, minutes=50))
        self.client.ask("OPTIMIZE TABLE sales FINAL")
        sums = self.client.rows("SELECT sum(orders) orders, toInt64(sum(total_minor)) total, count() rows FROM sales WHERE block = ''")
        self.assertEqual(sums, [{"orders": 3000, "total": 300_000, "rows": 50}])
        # `last` is not summed, and the block rows of different blocks stay apart.
        blocks = self.client.rows("SELECT count() n, max(blocks) b, sum(last) l FROM sales WHERE block != ''")
        self.assertEqual(blocks, [{"n": 20, "b": 1, "l": 190}])


class Tokens(EngineTest):
    def test_the_first_insert_of_a_token_wins_whole(self) -> None:
        rollups.create(self.client)
        rollups.insert(self.client, "t", rollups.block("t", 9, minutes=10))
        for other in (rollups.block("t", 9, minutes=10), rollups.block("t", 99, minutes=500, orders=7)):
            rollups.insert(self.client, "t", other)
        self.assertEqual(self.client.rows("SELECT sum(orders) o, sum(blocks) b, max(last) l FROM sales"), [{"o": 30, "b": 1, "l": 9}])

    def test_of_many_at_once_exactly_one_wins(self) -> None:
        rollups.create(self.client)
        # The query id is free here: this is about the token alone.
        with ThreadPoolExecutor(8) as pool:
            for round_ in range(10):
                token = f"r{round_}"
                blocks = [rollups.block(token, n, minutes=n + 1) for n in range(8)]
                tries = [pool.submit(rollups.insert, self.client, token, b, query_id=f"{token}-{n}") for n, b in enumerate(blocks)]
                for each in tries:
                    each.result()
                rows = self.client.rows(f"SELECT sum(blocks) b, any(last) l FROM sales WHERE block = '{token}'")
                self.assertEqual(rows[0]["b"], 1)
        blocks = self.client.rows("SELECT sum(last + 1) * 3 orders FROM sales WHERE block != ''")
        self.assertEqual(self.client.rows("SELECT sum(orders) orders FROM sales"), blocks)

    def test_the_same_rows_under_another_token_are_stored_again(self) -> None:
        rollups.create(self.client)
        data = rollups.block("x", 1, minutes=5)
        for token in ("one", "two"):
            rollups.insert(self.client, token, data)
        self.assertEqual(self.client.rows("SELECT sum(orders) o FROM sales"), [{"o": 30}])

    def test_a_token_is_forgotten_when_the_window_has_passed_over_it(self) -> None:
        rollups.create(self.client, window=10)
        for i in range(11):
            rollups.insert(self.client, f"w{i}", rollups.block(f"w{i}", i, minutes=1))
        rollups.insert(self.client, "w10", rollups.block("w10", 10, minutes=1))
        rollups.insert(self.client, "w1", rollups.block("w1", 1, minutes=1))
        rollups.insert(self.client, "w0", rollups.block("w0", 0, minutes=1))
        doubled = self.client.rows("SELECT block, sum(blocks) n FROM sales WHERE block != '' GROUP BY block HAVING n > 1")
        self.assertEqual(doubled, [{"block": "w0", "n": 2}])

    def test_deduplicate_insert_decides_whether_a_token_counts(self) -> None:
        # Since 26.x it does, and insert_deduplicate counts only where deduplicate_insert leaves the choice to it.
        rollups.create(self.client)
        choices = {
            "server": {},
            "enabled": {"deduplicate_insert": "enable"},
            "old-off-alone": {"insert_deduplicate": 0},
            "disabled": {"deduplicate_insert": "disable"},
            "old-off": {"deduplicate_insert": "backward_compatible_choice", "insert_deduplicate": 0},
        }
        for token, settings in choices.items():
            for _ in range(2):
                rollups.insert(self.client, token, rollups.block(token, 1, minutes=1), **settings)
        rows = self.client.rows("SELECT block, sum(blocks) n FROM sales WHERE block != '' GROUP BY block")
        stored = {row["block"]: row["n"] for row in rows}
        self.assertEqual(stored, {"server": 1, "enabled": 1, "old-off-alone": 1, "disabled": 2, "old-off": 2})


class QueryIds(EngineTest):
    def test_an_id_is_echoed_and_refused_while_it_runs(self) -> None:
        query_id = f"{self.client.database}-0-17-0"
        self.assertEqual(self.client.ask_headers("SELECT 1", query_id=query_id)[1]["X-ClickHouse-Query-Id"], query_id)
        sleep = f"SELECT sleep(3), '{query_id}'"
        thread = threading.Thread(target=self.client.ask, args=(sleep,), kwargs={"query_id": query_id})
        thread.start()
        deadline = time.monotonic() + 2.5
        while not self.client.count("system.processes", f"startsWith(query, 'SELECT sleep') AND query LIKE '%{query_id}%'"):
            self.assertLess(time.monotonic(), deadline, "the first query was not seen running")
        with self.assertRaises(Refused) as caught:
            self.client.ask("SELECT 1", query_id=query_id)
        thread.join()
        self.assertEqual(caught.exception.code, 216)
        self.assertEqual(self.client.ask("SELECT 1", query_id=query_id), "1\n")


class Settings(EngineTest):
    WANTED = {"async_insert": "0", "insert_deduplicate": "1", "insert_deduplication_token": "a-b-1", "max_execution_time": "30"}

    def test_a_statement_reads_back_the_settings_it_was_sent_with(self) -> None:
        names = ", ".join(f"'{name}'" for name in self.WANTED)
        rows = self.client.rows(f"SELECT name, value FROM system.settings WHERE name IN ({names})", **self.WANTED)
        self.assertEqual({row["name"]: row["value"] for row in rows}, self.WANTED)
        # They are the request's: the next one has the server's own.
        rows = self.client.rows(f"SELECT name, value FROM system.settings WHERE name IN ({names}) AND changed")
        self.assertEqual(rows, [])

    def test_an_insert_with_data_runs_under_its_settings(self) -> None:
        columns = ", ".join(f"{name} String DEFAULT toString(getSetting('{name}'))" for name in self.WANTED)
        self.client.ask(f"CREATE TABLE seen (a UInt8, {columns}) ENGINE = MergeTree ORDER BY a")
        self.client.ask("INSERT INTO seen (a) FORMAT TSV", b"1\n", **self.WANTED)
        row = self.client.rows(f"SELECT {', '.join(self.WANTED)} FROM seen")[0]
        wanted = self.WANTED | {"insert_deduplicate": row["insert_deduplicate"]}
        self.assertIn(row["insert_deduplicate"], ("1", "true"))
        self.assertEqual({name: value.replace("false", "0") for name, value in row.items()}, wanted)

    def test_an_answered_insert_can_be_read_at_once_without_async_insert(self) -> None:
        rollups.create(self.client)
        slow = {"wait_for_async_insert": 0, "async_insert_busy_timeout_min_ms": 20_000, "async_insert_busy_timeout_max_ms": 20_000}
        for i in range(20):
            rollups.insert(self.client, f"a{i}", rollups.block(f"a{i}", i, minutes=1), **slow)
            self.assertEqual(self.client.count("sales", f"block = 'a{i}'"), 1)
        self.assertEqual(self.client.count("system.asynchronous_inserts"), 0)

    def test_an_insert_over_its_time_is_an_error_and_stores_nothing(self) -> None:
        self.client.ask("CREATE TABLE slow (a UInt32, b UInt8 MATERIALIZED sleepEachRow(0.01)) ENGINE = MergeTree ORDER BY a")
        data = b"".join(b"%d\n" % i for i in range(250))
        with self.assertRaises(Refused) as caught:
            self.client.ask("INSERT INTO slow (a) FORMAT TSV", data, max_execution_time=1)
        self.assertEqual(caught.exception.code, 159)
        self.assertEqual(self.client.count("slow"), 0)
        self.client.ask("INSERT INTO slow (a) FORMAT TSV", data, max_execution_time=30)
        self.assertEqual(self.client.count("slow"), 250)


class Failures(EngineTest):
    def test_an_insert_that_fails_behind_the_parser_is_an_error(self) -> None:
        self.client.ask("CREATE TABLE picky (a UInt32, b UInt8 MATERIALIZED throwIf(a = 50)) ENGINE = MergeTree ORDER BY a")
        data = b"".join(b"%d\n" % i for i in range(100))
        with self.assertRaises(Refused) as caught:
            self.client.ask("INSERT INTO picky (a) FORMAT TSV", data)
        self.assertEqual(caught.exception.code, 395)
        self.assertEqual(self.client.count("picky"), 0)

    def test_an_insert_that_is_killed_is_an_error(self) -> None:
        self.client.ask("CREATE TABLE slow (a UInt32, b UInt8 MATERIALIZED sleepEachRow(0.01)) ENGINE = MergeTree ORDER BY a")
        failures: list[BaseException] = []

        def insert() -> None:
            try:
                self.client.ask("INSERT INTO slow (a) FORMAT TSV", b"".join(b"%d\n" % i for i in range(290)))
            except Refused as error:
                failures.append(error)

        thread = threading.Thread(target=insert)
        thread.start()
        deadline = time.monotonic() + 2.5
        killed = ""
        while not killed and time.monotonic() < deadline:
            mine = "query ILIKE 'INSERT INTO slow%' AND current_database = currentDatabase()"
            killed = self.client.ask(f"KILL QUERY WHERE {mine} ASYNC")
        thread.join()
        self.assertTrue(killed, "the insert was not seen running")
        self.assertEqual((len(failures), self.client.count("slow")), (1, 0))

    def test_data_is_taken_byte_by_byte(self) -> None:
        # Line breaks, empty lines and semicolons are what a client's parser would end an INSERT's data at.
        self.client.ask("CREATE TABLE raw (i UInt16, s String) ENGINE = MergeTree ORDER BY i")
        values = [b"\n", b"\n\n", b";", b"\n\n;\n", b"\r\n", b"", bytes(range(256)) * 20, b"' FORMAT TSV\n"]
        data = b"".join(i.to_bytes(2, "little") + _varint(len(v)) + v for i, v in enumerate(values))
        self.client.ask("INSERT INTO raw FORMAT RowBinary", data)
        stored = [row["h"] for row in self.client.rows("SELECT hex(s) h FROM raw ORDER BY i")]
        self.assertEqual(stored, [value.hex().upper() for value in values])


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


if __name__ == "__main__":
    unittest.main()
