"""Turns transaction lines into orders, and computes the figures that a pipeline must arrive at for them.

The two halves share only the reading of the parquet files. The conversion goes row by row through decimal text, the
figures are sums over columns, so that each is a check of the other.
"""

import gzip
import hashlib
import json
from datetime import datetime, timezone

# Raised with every change of the lines written, so that a cache filled by an older version is not taken for this one.
CONVERSION = 1
SOURCES = ("Dine In", "Takeaway", "Home Delivery", "In Store", "Online")
STATES = ("CA", "TX", "NY", "KS", "KY")
COLUMNS = ("household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp")
ROWS_PER_BATCH = 50_000

QUANTITY_MAX = 1_000_000
TOTAL_MINOR_MAX = 10**13
CATEGORY_LENGTH_MAX = 64
YEAR_2000 = 946_684_800


def stable_choice(kind, number, choices):
    """Picks a choice by a hash that is the same on every machine and in every run (Python's own is not)."""
    digest = hashlib.sha256(f"{kind}:{number}".encode("ascii")).digest()
    return choices[int.from_bytes(digest[:8], "big") % len(choices)]


def source_of(household):
    return stable_choice("household", household, SOURCES)


def state_of(store):
    return stable_choice("store", store, STATES)


def cents_of(sales_value):
    """The whole cents that a double stands for, and whether it is exactly the double nearest to them.

    A few values are residues of float sums, such as 1.8e-15. What is further than a millionth of a cent from whole
    cents is no amount of money, and an error.
    """
    cents = round(sales_value * 100)
    exact = float(f"{cents // 100}.{cents % 100:02d}") == sales_value
    if not exact and abs(sales_value * 100 - cents) > 1e-6:
        raise ValueError(f"sales_value {sales_value!r} is not a whole number of cents")
    return cents, exact


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def order_line(row, line_in_basket, department):
    """One order as NDJSON. It begins with order_id: replay reads the id from there without parsing."""
    cents, _ = cents_of(row["sales_value"])
    order_id = f"cj-{row['basket_id']}-{row['product_id']}-{line_in_basket}"
    category = "" if department is None else f'"category":{json.dumps(department)},'
    line = (
        f'{{"order_id":"{order_id}","customer_id":{row["household_id"]},'
        f'"source":"{source_of(row["household_id"])}","quantity":{row["quantity"]},'
        f'"total":{cents // 100}.{cents % 100:02d},"store_id":{row["store_id"]},"product_id":{row["product_id"]},'
        f'{category}"state":"{state_of(row["store_id"])}","created_at":"{rfc3339(row["second"])}"}}\n'
    )
    return order_id, line


def read_transactions(tables):
    """The transaction lines in time order; ties go by basket and product, a pair that no two lines share."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(tables / "transactions.parquet", columns=list(COLUMNS))
    # A safe cast: it fails if an instant had a fraction of a second or a value were missing.
    seconds = table["transaction_timestamp"].cast(pa.timestamp("s")).cast(pa.int64())
    table = table.drop_columns(["transaction_timestamp"]).append_column("second", seconds)
    keys = [(name, "ascending") for name in ("second", "basket_id", "product_id")]
    table = table.take(pc.sort_indices(table, sort_keys=keys))
    if any(column.null_count for column in table.columns):
        raise ValueError("a transaction line lacks a value")
    return table


def read_departments(tables):
    """Product to department; a product that is not in the table has none."""
    import pyarrow.parquet as pq

    table = pq.read_table(tables / "products.parquet", columns=["product_id", "department"])
    return dict(zip(table["product_id"].to_pylist(), table["department"].to_pylist()))


def rows_of(table):
    """The rows as dictionaries, a batch at a time to bound the memory."""
    for batch in table.to_batches(max_chunksize=ROWS_PER_BATCH):
        yield from batch.to_pylist()


def write_ndjson(tables, path, say):
    """Writes all orders in time order; returns their number and the sha256 of the text before compression."""
    departments = read_departments(tables)
    digest = hashlib.sha256()
    seen = set()
    basket, line_in_basket = None, 0
    # Without a name and a time in its header, the file depends on the data alone.
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
        for row in rows_of(read_transactions(tables)):
            line_in_basket = line_in_basket + 1 if row["basket_id"] == basket else 1
            basket = row["basket_id"]
            order_id, line = order_line(row, line_in_basket, departments.get(row["product_id"]))
            if len(order_id) > 64 or order_id in seen:
                raise ValueError(f"order id {order_id} is too long or was seen before")
            seen.add(order_id)
            data = line.encode("ascii")
            digest.update(data)
            packed.write(data)
            if len(seen) % 250_000 == 0:
                say(f"{len(seen)} orders")
    return len(seen), digest.hexdigest()


def figures(tables, limit):
    """Counts and sums of the first `limit` orders (all: None), from the columns of the parquet files alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_transactions(tables)
    total_lines = table.num_rows
    table = table.slice(0, limit)
    departments = read_departments(tables)
    category = pa.array([departments.get(product) for product in table["product_id"].to_pylist()], pa.string())
    quantity = table["quantity"]
    total = pc.round(pc.multiply(table["sales_value"], 100.0)).cast(pa.int64())
    inexact = pc.not_equal(pc.divide(total.cast(pa.float64()), 100.0), table["sales_value"])

    out_of_range = {
        "customer_id": pc.less(table["household_id"], 1),
        "quantity": pc.or_(pc.less(quantity, 1), pc.greater(quantity, QUANTITY_MAX)),
        "total": pc.or_(pc.less(total, 0), pc.greater(total, TOTAL_MINOR_MAX)),
        "created_at": pc.less(table["second"], YEAR_2000),
    }
    length = pc.utf8_length(category)
    bad_category = pc.fill_null(pc.or_(pc.less(length, 1), pc.greater(length, CATEGORY_LENGTH_MAX)), False)
    if count(bad_category) or table.group_by(["basket_id", "product_id"]).aggregate([]).num_rows != table.num_rows:
        raise ValueError("a department is no category of an order, or a product stands twice in a basket")
    rejected = out_of_range["quantity"]
    for broken in out_of_range.values():
        rejected = pc.or_(rejected, broken)
    valid = pc.invert(rejected)
    return {
        "data_lines": total_lines,
        "lines": table.num_rows,
        "valid": count(valid),
        "rejected": {"out_of_range": count(rejected)},
        "out_of_range_by_field": {field: count(broken) for field, broken in out_of_range.items()},
        "quantity_sum": pc.sum(quantity.filter(valid)).as_py() or 0,
        "total_minor_sum": pc.sum(total.filter(valid)).as_py() or 0,
        "created_at_first": rfc3339(pc.min(table["second"]).as_py()),
        "created_at_last": rfc3339(pc.max(table["second"]).as_py()),
        "valid_with_total_zero": count(pc.and_(valid, pc.equal(total, 0))),
        "valid_without_category": count(pc.and_(valid, pc.is_null(category))),
        "totals_rounded_to_cents": count(inexact),
    }


def count(mask):
    import pyarrow.compute as pc

    return pc.sum(mask).as_py() or 0
