"""Why the tutorial's dashboard is wrong: a model of its job, in virtual time.

The job keeps the sums by channel and state of all orders that it has seen. Every 15 s, if any order has come since, it appends all of
them to a table; what was appended before stays. The dashboard adds the table up. So an order counts once for each trigger since it
came: `python tutorial.py` prints by how much the total is wrong.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict

TRIGGER_S = 15
PER_SECOND = 2
SOURCES = ("Dine In", "Takeaway", "Home Delivery", "In Store", "Online")
STATES = ("CA", "NY", "OH", "TX", "WA")
# The tutorial's price of one piece, in cents.
PRICE = 300_00


@dataclasses.dataclass(frozen=True)
class Order:
    at_s: float
    source: str
    state: str
    total_minor: int


def orders(seconds: int) -> list[Order]:
    """Orders at an even pace, the first at 0 and the last when the time is over."""
    return [
        Order(i / PER_SECOND, SOURCES[i % len(SOURCES)], STATES[i // len(SOURCES) % len(STATES)], PRICE)
        for i in range(seconds * PER_SECOND + 1)
    ]


def appended(given: list[Order]) -> list[tuple[int, str, str, int]]:
    """The rows that the job appends: trigger, source, state, and the sum so far. A trigger sees what came before it."""
    rows: list[tuple[int, str, str, int]] = []
    sums: dict[tuple[str, str], int] = defaultdict(int)
    left = sorted(given, key=lambda order: order.at_s)
    trigger = 0
    while left:
        trigger += TRIGGER_S
        come = [order for order in left if order.at_s < trigger]
        left = left[len(come) :]
        for order in come:
            sums[order.source, order.state] += order.total_minor
        if come:
            rows += [(trigger, source, state, total) for (source, state), total in sums.items()]
    return rows


def truth(given: list[Order]) -> int:
    return sum(order.total_minor for order in given)


def shown(given: list[Order]) -> int:
    """What the tutorial's dashboard says that they come to."""
    return sum(total for _, _, _, total in appended(given))


def main() -> int:
    print(f"{'orders for':>10} {'sold, USD':>16} {'tutorial shows':>18} {'times too much':>15}")
    for minutes in (1, 2, 5, 10, 30, 60):
        given = orders(minutes * 60)
        true, wrong = truth(given), shown(given)
        print(f"{minutes:>6} min {true / 100:>16,.2f} {wrong / 100:>18,.2f} {wrong / true:>15.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
