"""The same orders through the tutorial's job and through the sums here, both asked by ClickHouse as a dashboard asks."""

from __future__ import annotations

import datetime
import unittest
from collections import defaultdict
from typing import Any

from place import START, ClickHouse

import tutorial  # isort: skip  (found through place)


def sums(given: list[tutorial.Order]) -> list[dict[str, Any]]:
    """What the pipeline would store of them."""
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for order in given:
        minute = START + datetime.timedelta(minutes=order.at_s // 60)
        both = found[minute, order.source, order.state]
        both[0] += 1
        both[1] += order.total_minor
    return [
        {
            "minute": minute,
            # A currency that no other sale of the tests is in.
            "currency": "EUR",
            "source": source,
            "state": state,
            "category": "none",
            "orders": count,
            "quantity": count,
            "total_minor": total,
        }
        for (minute, source, state), (count, total) in found.items()
    ]


class Tutorial(unittest.TestCase):
    def test_it_shows_eleven_and_a_half_times_the_sales_after_five_minutes(self) -> None:
        given = tutorial.orders(300)
        client = ClickHouse(type(self))
        self.addCleanup(self.doClassCleanups)
        ask = client.client.ask
        ask("CREATE TABLE sales.tutorial (at_s UInt32, source String, state String, total_minor Int64) ENGINE = MergeTree ORDER BY at_s")
        ask("INSERT INTO sales.tutorial FORMAT TSV", "\n".join("\t".join(map(str, row)) for row in tutorial.appended(given)).encode())
        # In five blocks, whose minutes, channels and states overlap.
        stored = sums(given)
        for i in range(5):
            client.insert(stored[i::5], 1_000_000 * (i + 1))
        wrong = int(ask("SELECT sum(total_minor) FROM sales.tutorial"))
        here = int(ask("SELECT toInt64(sum(total) * 100) FROM sales.sales WHERE currency = 'EUR'"))
        self.assertEqual(here, tutorial.truth(given))
        self.assertEqual(round(wrong / here, 1), 11.5)

    def test_the_longer_it_runs_the_more_it_is_wrong(self) -> None:
        factors = [tutorial.shown(given) / tutorial.truth(given) for given in map(tutorial.orders, (300, 600, 3600))]
        self.assertEqual([round(factor, 1) for factor in factors], [11.5, 21.5, 121.5])

    def test_each_order_counts_for_every_trigger_after_it(self) -> None:
        one = [tutorial.Order(1, "Online", "CA", 100), tutorial.Order(31, "Online", "CA", 1)]
        # At 15 s 100, at 30 s nothing new, at 45 s 101.
        self.assertEqual([(row[0], row[3]) for row in tutorial.appended(one)], [(15, 100), (45, 101)])


if __name__ == "__main__":
    unittest.main()
