"""What the dashboards' charts ask, asked as their page does: no error, exact sums that agree, filters that hold, rights that hold."""

from __future__ import annotations

import datetime
import json
import time
import unittest
import urllib.request
from decimal import Decimal
from typing import Any

from place import SOURCES, START, STATES, ClickHouse, Superset, sales

from person import Refused, chosen, question  # isort: skip  (found through place)


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.clickhouse = ClickHouse(cls)
        cls.place = Superset(cls, cls.clickhouse.front.port)
        cls.place.set_up()
        cls.place.start()
        cls.admin, cls.viewer = cls.place.log_in("admin"), cls.place.log_in("viewer")
        cls.charts = cls.viewer.board("sales")
        cls.rows = [row for row in sales() if row["currency"] == "USD"]

    def answer(self, chart: str, *filters: dict[str, Any], board: str = "sales", time_range: str = "No filter") -> list[dict[str, Any]]:
        described = self.charts if board == "sales" else self.viewer.board(board)
        asked = question(described[chart], list(filters), time_range)
        (result,) = self.viewer.ask("POST", "/api/v1/chart/data?force=true", asked | {"force": True})["result"]
        self.assertIsNone(result["error"], chart)
        return result["data"]

    def total(self, chart: str, *filters: dict[str, Any], time_range: str = "No filter") -> Decimal:
        """The sum over all that a chart shows of sales."""
        rows = self.answer(chart, *filters, time_range=time_range)
        named = {"time", "state", "source", "source_state", "category", "sales__contribution", "orders"}
        found = sum((Decimal(repr(value)) for row in rows for key, value in row.items() if key not in named and value is not None), Decimal(0))
        return found.quantize(Decimal("0.01"))

    SUMMED = (
        "Total Sales",
        "Source by Amount",
        "State by Amount with Source breakdown",
        "Top Source, State by Amount",
        "Source, State by Amount",
        "Sales by category",
    )

    def minor(self, rows: list[dict[str, Any]]) -> Decimal:
        return Decimal(sum(row["total_minor"] for row in rows)) / 100

    def test_the_tutorials_panels_are_there_under_their_names(self) -> None:
        kinds = {
            "Total Sales": "big_number_total",
            "Source by Amount": "pie",
            "State by Amount with Source breakdown": "echarts_timeseries_bar",
            "Top Source, State by Amount": "table",
            "Source, State by Amount": "echarts_timeseries_bar",
        }
        self.assertEqual({name: self.charts[name]["form_data"]["viz_type"] for name in kinds}, kinds)
        one_dataset = {self.charts[name]["form_data"]["datasource"] for name in self.charts if name != "Freshness"}
        self.assertEqual(len(one_dataset), 1, "panels on one dataset cannot disagree")
        self.assertTrue(self.charts["Top Source, State by Amount"]["form_data"]["show_cell_bars"])
        self.assertEqual(self.charts["State by Amount with Source breakdown"]["form_data"]["stack"], "Stack")

    def test_each_chart_of_each_dashboard_is_answered_with_rows(self) -> None:
        for board in ("sales", "pipeline"):
            for name in self.viewer.board(board):
                with self.subTest(board=board, chart=name):
                    self.assertGreaterEqual(len(self.answer(name, board=board)), 1)

    def test_every_panel_sums_up_to_the_same_cents(self) -> None:
        expected = self.minor(self.rows)
        for name in self.SUMMED:
            with self.subTest(name):
                self.assertEqual(self.total(name), expected)
        self.assertEqual(self.answer("Orders"), [{"orders": sum(row["orders"] for row in self.rows)}])
        average = self.answer("Average order")[0]["average_order"]
        self.assertAlmostEqual(average, float(expected) / sum(row["orders"] for row in self.rows), places=6)

    def test_currencies_are_never_mixed(self) -> None:
        yen = [row for row in sales() if row["currency"] == "JPY"]
        for name in self.SUMMED:
            with self.subTest(name):
                self.assertEqual(self.total(name, chosen("currency", "JPY")), Decimal(sum(row["total_minor"] for row in yen)))

    def test_a_filter_changes_every_panel_alike(self) -> None:
        for column, value in (("state", "TX"), ("source", "Takeaway"), ("category", "MEAT")):
            expected = self.minor([row for row in self.rows if row[column] == value])
            for name in self.SUMMED:
                with self.subTest(column=column, chart=name):
                    self.assertEqual(self.total(name, chosen(column, value)), expected)

    def test_a_time_range_is_by_the_stores_clock(self) -> None:
        day = datetime.timedelta(days=1)
        first = START.replace(hour=0, minute=0)
        for zone, behind_h in (("UTC", 0), ("America/Chicago", 6), ("Asia/Tokyo", -9)):
            local = [row for row in self.rows if first <= row["minute"] - datetime.timedelta(hours=behind_h) < first + day]
            with self.subTest(zone):
                time_range = f"{first:%Y-%m-%dT%H:%M:%S} : {first + day:%Y-%m-%dT%H:%M:%S}"
                found = self.total("Total Sales", chosen("time_zone", zone), time_range=time_range)
                self.assertEqual(found, self.minor(local))
                newest = max(row["time"] for row in self.answer("Sales per minute", chosen("time_zone", zone)))
                wall = max(row["minute"] for row in self.rows) - datetime.timedelta(hours=behind_h)
                self.assertEqual(newest, wall.replace(tzinfo=datetime.UTC).timestamp() * 1000)

    def test_a_time_zone_that_is_no_name_is_utc_and_no_statement(self) -> None:
        for zone in ("UTC') UNION ALL SELECT 1 --", "'", "\\", "UTC\\') OR 1=1 --", "a;b", ""):
            with self.subTest(zone):
                self.assertEqual(self.total("Total Sales", chosen("time_zone", zone)), self.minor(self.rows))

    def test_per_minute_panels_show_the_newest_minutes(self) -> None:
        limit = self.charts["Sales per minute"]["form_data"]["row_limit"]
        newest = sorted({row["minute"] for row in self.rows})[-limit:]
        for name in ("Sales per minute", "Orders per second"):
            times = [row["time"] for row in self.answer(name)]
            self.assertEqual(sorted(times), [one.replace(tzinfo=datetime.UTC).timestamp() * 1000 for one in newest])
        rates = {row["time"]: row["orders_per_second"] for row in self.answer("Orders per second")}
        last = max(self.rows, key=lambda row: row["minute"])
        self.assertAlmostEqual(rates[last["minute"].replace(tzinfo=datetime.UTC).timestamp() * 1000], last["orders"] / 60)

    def test_freshness_is_the_age_of_the_newest_order(self) -> None:
        first, began = self.answer("Freshness")[0]["age"], time.monotonic()
        time.sleep(1)
        second = self.answer("Freshness")[0]["age"]
        self.assertGreaterEqual(second - first, 1000)
        self.assertLessEqual(second - first, (time.monotonic() - began) * 1000 + 1000)

    def test_the_ledger_of_the_second_dashboard_is_the_ledgers(self) -> None:
        counted = {
            name: self.answer(name, board="pipeline")[0]
            for name in ("Records", "Orders stored", "Duplicates", "Dead letters", "Records without an outcome", "Blocks stored more than once")
        }
        orders = sum(row["orders"] for row in sales())
        self.assertEqual(
            [list(value.values()) for value in counted.values()],
            [[orders + 3], [orders], [1], [2], [0], [0]],
        )
        (row,) = self.answer("Ledger by partition", board="pipeline")
        self.assertEqual((row["partition"], row["first_offset"], row["last_offset"], row["missing"]), (0, 0, orders + 2, 0))

    def test_filters_offer_what_there_is(self) -> None:
        datasets = {one["table_name"]: one["id"] for one in self.viewer.all("dataset")}
        offers = {
            ("Sales", "source"): set(SOURCES),
            ("Sales", "state"): set(STATES),
            ("Currencies", "currency"): {"USD", "JPY"},
        }
        for (dataset, column), expected in offers.items():
            query = {"columns": [column], "metrics": [], "filters": [], "orderby": [], "row_limit": 1000, "extras": {}}
            asked = {"datasource": {"id": datasets[dataset], "type": "table"}, "queries": [query], "result_type": "full"}
            (result,) = self.viewer.ask("POST", "/api/v1/chart/data", asked | {"result_format": "json"})["result"]
            self.assertEqual({row[column] for row in result["data"]}, expected)
        board = self.viewer.ask("GET", "/api/v1/dashboard/sales")["result"]
        filters = {one["name"]: one for one in json.loads(board["json_metadata"])["native_filter_configuration"]}
        self.assertEqual(list(filters), ["Time range", "Currency", "Source", "State", "Category", "Store time zone"])
        self.assertEqual(filters["Currency"]["defaultDataMask"]["filterState"]["value"], ["USD"])
        self.assertEqual(filters["Currency"]["controlValues"], filters["Store time zone"]["controlValues"])
        self.assertFalse(filters["Currency"]["controlValues"]["multiSelect"])
        self.assertTrue(filters["Currency"]["controlValues"]["enableEmptyFilter"], "it cannot be left empty")

    def test_answers_are_shared_for_a_moment_and_no_longer(self) -> None:
        def ask(person: Any) -> dict[str, Any]:
            return person.ask("POST", "/api/v1/chart/data", question(self.charts["Orders"], [chosen("state", "CA", "NY")]))["result"][0]

        # One of several, since the clock's second may turn between two questions.
        seen = []
        for _ in range(5):
            time.sleep(3.1)
            fresh, shared = ask(self.viewer), ask(self.admin)
            self.assertFalse(fresh["is_cached"], "an answer of 3 s ago is too old")
            self.assertEqual(fresh["data"], shared["data"])
            seen.append(bool(shared["is_cached"]))
            if seen[-1]:
                break
        self.assertTrue(any(seen), "another viewer's answer is used")
        before = ask(self.viewer)["data"][0]["orders"]
        added = [row | {"minute": row["minute"] + datetime.timedelta(days=30), "currency": "USD", "state": "CA", "orders": 5} for row in self.rows[:1]]
        self.clickhouse.insert(added, 10_000)
        self.addCleanup(self.remove, added)
        time.sleep(3.1)
        self.assertEqual(ask(self.viewer)["data"][0]["orders"], before + 5)

    def remove(self, added: list[dict[str, Any]]) -> None:
        """Takes a block out again: other tests know what is there."""
        minute = f"{added[0]['minute']:%Y-%m-%d %H:%M:%S}"
        where = f"minute = '{minute}' OR block = 'topic-0-10000-0'"
        self.clickhouse.client.ask(f"ALTER TABLE sales.sales_by_minute DELETE WHERE {where} SETTINGS mutations_sync = 2")

    def test_a_viewer_may_look_and_change_nothing(self) -> None:
        board = self.viewer.all("dashboard")[0]["id"]
        chart = self.viewer.all("chart")[0]["id"]
        self.assertEqual([one["slug"] for one in self.viewer.all("dashboard")], [one["slug"] for one in self.admin.all("dashboard")])
        database = self.admin.all("database")[0]["id"]
        forbidden = (
            ("PUT", f"/api/v1/dashboard/{board}", {"dashboard_title": "mine"}),
            ("DELETE", f"/api/v1/dashboard/{board}", None),
            ("PUT", f"/api/v1/chart/{chart}", {"slice_name": "mine"}),
            ("POST", "/api/v1/dashboard/", {"dashboard_title": "mine"}),
            ("POST", "/api/v1/sqllab/execute/", {"database_id": database, "sql": "SELECT 1"}),
            ("GET", "/api/v1/security/users/", None),
            ("GET", "/api/v1/assets/export/", None),
        )
        for method, path, body in forbidden:
            with self.subTest(path), self.assertRaises(Refused) as caught:
                self.viewer.ask(method, path, body)
            self.assertIn(caught.exception.status, (403, 404), path)

    def test_nobody_sees_anything_without_a_login(self) -> None:
        headers, self.viewer.headers = self.viewer.headers, {"Referer": self.viewer.address}
        opener, self.viewer.opener = self.viewer.opener, urllib.request.build_opener()
        try:
            for method, path, body in (
                ("POST", "/api/v1/chart/data", question(self.charts["Total Sales"])),
                ("GET", "/api/v1/dashboard/sales", None),
            ):
                with self.assertRaises(Refused) as caught:
                    self.viewer.ask(method, path, body)
                self.assertIn(caught.exception.status, (400, 401, 403, 404))
        finally:
            self.viewer.headers, self.viewer.opener = headers, opener


if __name__ == "__main__":
    unittest.main()
