"""Fits the small table that synthetic orders are drawn from: aggregates of the data set, no line of it."""

import json
from collections import Counter, defaultdict

from orders import SOURCES, cents_of, read_departments, read_transactions, rfc3339, rows_of, source_of, state_of

# Fuel is counted in thousandths of a gallon. A quantity above this is such a volume and taken as one item.
VOLUME_ABOVE = 100
# A department, or a quantity, with fewer lines says little and is left out.
DEPARTMENT_LINES_MIN = 100
QUANTITY_LINES_MIN = 10
# These stores keep weights of their own; those of the tail share one.
STORES_WITH_WEIGHT = 60
# The dearest thousandth is left out: a straight line up to one extreme price would draw far too many dear items.
PRICE_PERMILLES = (*range(0, 950, 50), 950, 975, 990, 999)

NOTE = (
    "Aggregate statistics, no line of the data. {dataset} is published under the MIT licence; it says that its data "
    "is simulated after real grocery shopping, and provided by 84.51° for research and education."
)


def quantiles(values, permilles):
    """Nearest-rank quantiles of integers, so that nothing is rounded."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, len(ordered) * permille // 1000)] for permille in permilles]


def unit_price_of(cents, quantity):
    """Cents per piece, halves up."""
    return (2 * cents + quantity) // (2 * quantity)


def fit(tables, dataset, wheel_sha256):
    departments = read_departments(tables)
    lines_of_basket, baskets = Counter(), {}
    quantities, prices, products = Counter(), defaultdict(list), defaultdict(set)
    lines = total_minor = 0
    for row in rows_of(read_transactions(tables)):
        quantity, (cents, _) = row["quantity"], cents_of(row["sales_value"])
        if quantity == 0:
            continue
        pieces = 1 if quantity > VOLUME_ABOVE else quantity
        lines, total_minor = lines + 1, total_minor + cents
        lines_of_basket[row["basket_id"]] += 1
        baskets[row["basket_id"]] = (row["household_id"], row["store_id"], int(rfc3339(row["second"])[11:13]))
        quantities[pieces] += 1
        department = departments.get(row["product_id"])
        prices[department].append(unit_price_of(cents, pieces))
        products[department].add(row["product_id"])

    households, stores, hours = zip(*baskets.values())
    by_store = sorted(Counter(stores).items(), key=lambda store: (-store[1], store[0]))
    tail = defaultdict(list)
    for store, _ in sorted(by_store[STORES_WITH_WEIGHT:]):
        tail[state_of(store)].append(store)
    sizes, by_hour, by_source = Counter(lines_of_basket.values()), Counter(hours), Counter(map(source_of, households))
    kept = {name: found for name, found in prices.items() if name is not None and len(found) >= DEPARTMENT_LINES_MIN}
    return {
        "source": {
            "command": "python3 loadgen/completejourney/completejourney.py fit",
            "dataset": dataset,
            "wheel_sha256": wheel_sha256,
            "lines": lines,
            "total_minor": total_minor,
            "note": NOTE.format(dataset=dataset),
        },
        "households": len(set(households)),
        "baskets_by_hour_utc": [by_hour[hour] for hour in range(24)],
        "baskets_by_source": [[source, by_source[source]] for source in SOURCES],
        "baskets_by_lines": [[size, sizes[size]] for size in sorted(sizes)],
        "lines_by_quantity": [[n, quantities[n]] for n in sorted(quantities) if quantities[n] >= QUANTITY_LINES_MIN],
        "price_permilles": list(PRICE_PERMILLES),
        "departments": [
            {"name": name, "lines": len(found), "products": len(products[name]),
             "unit_price_minor": quantiles(found, PRICE_PERMILLES)}
            for name, found in sorted(kept.items(), key=lambda department: (-len(department[1]), department[0]))
        ],
        "stores": [[store, state_of(store), visits] for store, visits in by_store[:STORES_WITH_WEIGHT]],
        "tail_stores": {
            "baskets": sum(visits for _, visits in by_store[STORES_WITH_WEIGHT:]),
            "ids_by_state": dict(sorted(tail.items())),
        },
    }


def to_text(table):
    """JSON with one line for each department and each short list, so that a diff can be read."""
    parts = []
    for key, value in table.items():
        if key == "departments":
            text = "[\n    " + ",\n    ".join(json.dumps(entry) for entry in value) + "\n  ]"
        elif isinstance(value, dict):
            entries = (f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in value.items())
            text = "{\n    " + ",\n    ".join(entries) + "\n  }"
        else:
            text = json.dumps(value)
        parts.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_table(tables, path, dataset, wheel_sha256):
    text = to_text(fit(tables, dataset, wheel_sha256))
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return {"path": str(path), "bytes": len(text.encode("utf-8"))}
