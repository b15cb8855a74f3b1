"""What the dashboards show: datasets, metrics, charts, their places, and filters. assets.py makes Superset's files of it.

All panels of sales are on one dataset, so that they agree with each other; a sum over any of them is a sum over the same rows.
"""

from __future__ import annotations

from typing import Any

REFRESH_S = 10
# Sums are kept in the currency's minor units and shown with the two digits that all but a few currencies have.
MONEY, COUNT, RATE = ",.2f", ",d", ",.2f"
# A minute has one point; a screen is no wider than this many.
MINUTES_SHOWN = 240
# More than there are combinations of channel, state and category: a limit that cut some off would make panels disagree.
ALL_ROWS = 50_000

SALES_SQL = """\
{#- Minutes by the clock on the wall of the stores. The zone is a name of letters, digits, / _ + and -, or it is UTC. -#}
{%- set zone = (filter_values('time_zone', remove_filter=True) or ['UTC'])[0] -%}
{%- if not zone.replace('/', '').replace('_', '').replace('+', '').replace('-', '').isalnum() -%}{%- set zone = 'UTC' -%}{%- endif -%}
SELECT
    toDateTime(toString(toTimeZone(minute, '{{ zone }}')), 'UTC') AS time,
    currency, source, state, category,
    concat(source, ', ', state) AS source_state,
    orders, quantity, total
FROM sales.sales
WHERE 1 = 1
{#- Sums of mixed currencies mean nothing: where none is chosen it is the default one. -#}
{%- if not filter_values('currency') %}
    AND currency = 'USD'
{%- endif -%}
{#- No zone is a day from UTC: what lies further away is not read at all. -#}
{%- if from_dttm %}
    AND minute >= parseDateTimeBestEffort('{{ from_dttm }}', 'UTC') - INTERVAL 1 DAY
{%- endif -%}
{%- if to_dttm %}
    AND minute < parseDateTimeBestEffort('{{ to_dttm }}', 'UTC') + INTERVAL 1 DAY
{%- endif %}
"""

FRESHNESS_SQL = """\
SELECT maxOrNull(newest_received_at) AS newest_received_at, maxOrNull(inserted_at) AS inserted_at
FROM sales.sales_by_minute
WHERE minute = toDateTime(0, 'UTC') AND block != ''
"""
AGE_MS = "toUnixTimestamp64Milli(now64(3, 'UTC')) - toUnixTimestamp64Milli(toDateTime64(max({}), 3, 'UTC'))"

DATASETS: dict[str, dict[str, Any]] = {
    "Sales": {
        "text": "Sales per minute by currency, channel, state and category, in the stores' time",
        "sql": SALES_SQL,
        "time": "time",
        "currency": "currency",
        "columns": {
            "time": "DateTime('UTC')",
            "currency": "String",
            "source": "String",
            "state": "String",
            "category": "String",
            "source_state": "String",
            "orders": "UInt64",
            "quantity": "Int64",
            "total": "Decimal(38, 4)",
        },
        "metrics": {
            "sales": ("Sales", "sum(total)", MONEY),
            "orders": ("Orders", "sum(orders)", COUNT),
            "quantity": ("Quantity", "sum(quantity)", COUNT),
            "average_order": ("Average order", "if(sum(orders) = 0, NULL, toFloat64(sum(total)) / sum(orders))", MONEY),
            "orders_per_second": ("Orders per second, in a minute", "sum(orders) / 60", RATE),
            "newest": ("Newest minute", "max(time)", ""),
        },
    },
    "Currencies": {
        "text": "The currencies that sales are in, for the filter",
        "sql": "SELECT DISTINCT currency FROM sales.sales_by_minute WHERE block = ''",
        "columns": {"currency": "String"},
    },
    "Time zones": {
        "text": "The names of time zones that ClickHouse knows, for the filter",
        "sql": "SELECT time_zone FROM system.time_zones",
        "columns": {"time_zone": "String"},
    },
    "Freshness": {
        "text": "The newest order that the sums hold, and when they were last added to",
        "sql": FRESHNESS_SQL,
        "columns": {"newest_received_at": "DateTime64(9, 'UTC')", "inserted_at": "DateTime64(9, 'UTC')"},
        "metrics": {"age": ("Age of the newest order counted", AGE_MS.format("newest_received_at"), "DURATION")},
    },
    "Blocks": {
        "table": "blocks",
        "text": "The ledger: every block of the log that was stored",
        "time": "inserted_at",
        "columns": {
            "block": "String",
            "blocks": "UInt64",
            "topic_id": "String",
            "partition": "UInt32",
            "first": "Int64",
            "last": "Int64",
            "records": "UInt64",
            "orders": "UInt64",
            "duplicates": "UInt64",
            "dead": "UInt64",
            "quantity": "Int64",
            "total_minor": "Int128",
            "newest_created_at": "DateTime64(9, 'UTC')",
            "newest_received_at": "DateTime64(9, 'UTC')",
            "inserted_at": "DateTime64(9, 'UTC')",
            "rules": "String",
        },
        "metrics": {
            "block_count": ("Blocks", "count()", COUNT),
            "stored_twice": ("Blocks stored more than once", "countIf(blocks != 1)", COUNT),
            "record_count": ("Records", "sum(records)", COUNT),
            "order_count": ("Orders", "sum(orders)", COUNT),
            "duplicate_count": ("Duplicates", "sum(duplicates)", COUNT),
            "dead_count": ("Dead letters", "sum(dead)", COUNT),
            "unaccounted": ("Records without an outcome", "toInt64(sum(records)) - sum(orders) - sum(duplicates) - sum(dead)", COUNT),
            "first_offset": ("First offset", "min(first)", COUNT),
            "last_offset": ("Last offset", "max(last)", COUNT),
            "missing": ("Offsets missing", "max(last) - min(first) + 1 - sum(last - first + 1)", COUNT),
            "age": ("Age of the newest order", AGE_MS.format("newest_received_at"), "DURATION"),
            "newest": ("Newest", "max(inserted_at)", ""),
        },
    },
}


def number(dataset: str, metric: str, form: str, text: str, subtitle: str = "", **more: Any) -> dict[str, Any]:
    params = {"metric": metric, "y_axis_format": form, "header_font_size": 0.4, "subtitle": subtitle, "subtitle_font_size": 0.125}
    return {"dataset": dataset, "viz": "big_number_total", "text": text, "params": params | more}


def bars(dataset: str, x: str, metrics: list[str], text: str, **more: Any) -> dict[str, Any]:
    params = {
        "x_axis": x,
        "metrics": metrics,
        "groupby": [],
        "row_limit": ALL_ROWS,
        "order_desc": True,
        "truncate_metric": True,
        "show_legend": False,
        "rich_tooltip": True,
        "y_axis_format": "SMART_NUMBER",
        "x_axis_time_format": "smart_date",
        "tooltipTimeFormat": "%Y-%m-%d %H:%M",
        "color_scheme": "supersetColors",
        "only_total": True,
    }
    return {"dataset": dataset, "viz": "echarts_timeseries_bar", "text": text, "params": params | more}


def by_minute(dataset: str, x: str, metrics: list[str], text: str, **more: Any) -> dict[str, Any]:
    """The newest minutes: rows are cut off by the metric `newest`, so that old ones go."""
    limited = {"time_grain_sqla": "PT1M", "row_limit": MINUTES_SHOWN, "timeseries_limit_metric": "newest", "truncate_metric": True}
    return bars(dataset, x, metrics, text, **limited, **more)


CATEGORICAL = {"xAxisForceCategorical": True, "x_axis_sort": "sales", "x_axis_sort_asc": False, "x_axis_sort_series": "sum"}
# With several bars on one another the sum of them decides.
BY_SERIES = {"xAxisForceCategorical": True, "x_axis_sort_series": "sum", "x_axis_sort_series_ascending": False}
LEGEND = {"show_legend": True, "legendType": "scroll", "legendOrientation": "top", "stack": "Stack"}

SALES = {
    "title": "Sales",
    "slug": "sales",
    "text": "Sales as they are counted, each order once",
    "filters": [
        {"name": "Time range", "text": "By the stores' clocks"},
        {"name": "Currency", "dataset": "Currencies", "column": "currency", "default": "USD", "not_of": ["Freshness"]},
        {"name": "Source", "dataset": "Sales", "column": "source", "below": ["Currency"], "not_of": ["Freshness"]},
        {"name": "State", "dataset": "Sales", "column": "state", "below": ["Currency"], "not_of": ["Freshness"]},
        {"name": "Category", "dataset": "Sales", "column": "category", "below": ["Currency"], "not_of": ["Freshness"]},
        {"name": "Store time zone", "dataset": "Time zones", "column": "time_zone", "default": "UTC", "not_of": ["Freshness"]},
    ],
    "charts": {
        "Total Sales": number(
            "Sales", "sales", MONEY, "All that was sold", currency_format={"symbol": "AUTO", "symbolPosition": "prefix"}
        ),
        "Average order": number("Sales", "average_order", MONEY, "Sales by orders"),
        "Orders": number("Sales", "orders", COUNT, "Orders counted, each once"),
        "Freshness": number("Freshness", "age", "DURATION", "How long ago the newest order that is counted came in", "since the newest order"),
        "Source by Amount": {
            "dataset": "Sales",
            "viz": "pie",
            "text": "Which channel sells how much",
            "params": {
                "groupby": ["source"],
                "metric": "sales",
                "row_limit": ALL_ROWS,
                "sort_by_metric": True,
                "show_labels": True,
                "label_type": "percent",
                "show_labels_threshold": 4,
                "number_format": MONEY,
                "donut": True,
                "innerRadius": 35,
                "outerRadius": 75,
                "labels_outside": False,
                "show_legend": True,
                "legendType": "scroll",
                "legendOrientation": "top",
                "color_scheme": "supersetColors",
            },
        },
        "State by Amount with Source breakdown": bars(
            "Sales", "state", ["sales"], "Which state buys how much, by channel", groupby=["source"], **BY_SERIES, **LEGEND
        ),
        "Top Source, State by Amount": {
            "dataset": "Sales",
            "viz": "table",
            "text": "Channels and states, the largest first",
            "params": {
                "query_mode": "aggregate",
                "groupby": ["source", "state"],
                "metrics": ["sales", "orders"],
                "timeseries_limit_metric": "sales",
                "order_desc": True,
                "row_limit": ALL_ROWS,
                "show_cell_bars": True,
                "color_pn": False,
                "align_pn": False,
                "include_search": False,
                "column_config": {"sales": {"d3NumberFormat": MONEY}, "orders": {"d3NumberFormat": COUNT}},
            },
        },
        "Source, State by Amount": bars(
            "Sales", "source_state", ["sales"], "Channels and states side by side", **CATEGORICAL, xAxisLabelRotation=45
        ),
        "Sales per minute": by_minute("Sales", "time", ["sales"], f"The newest {MINUTES_SHOWN} minutes in which something was sold"),
        "Orders per second": by_minute("Sales", "time", ["orders_per_second"], "The average of each of these minutes", y_axis_format=RATE),
        "Sales by category": bars("Sales", "category", ["sales"], "The largest category first", **CATEGORICAL, xAxisLabelRotation=45),
    },
    "rows": [
        (22, {"Total Sales": 3, "Orders": 3, "Average order": 3, "Freshness": 3}),
        (50, {"Source by Amount": 4, "State by Amount with Source breakdown": 8}),
        (50, {"Top Source, State by Amount": 5, "Source, State by Amount": 7}),
        (40, {"Sales per minute": 7, "Orders per second": 5}),
        (46, {"Sales by category": 12}),
    ],
}

PIPELINE = {
    "title": "Pipeline",
    "slug": "pipeline",
    "text": "What the pipeline says of itself: the blocks that it stored, and what became of each record",
    "filters": [{"name": "Time range", "text": "When blocks were stored, UTC"}],
    "charts": {
        "Records": number("Blocks", "record_count", COUNT, "Records of the log that are in a stored block"),
        "Orders stored": number("Blocks", "order_count", COUNT, "Those that became orders"),
        "Duplicates": number("Blocks", "duplicate_count", COUNT, "Those that were sent again, and count once"),
        "Dead letters": number("Blocks", "dead_count", COUNT, "Those that are no orders"),
        "Records without an outcome": number("Blocks", "unaccounted", COUNT, "Always 0, or the books are wrong", "must be 0"),
        "Blocks stored more than once": number("Blocks", "stored_twice", COUNT, "Always 0, or orders count twice", "must be 0"),
        "Newest order": number("Blocks", "age", "DURATION", "How long ago the newest order that is counted came in", "since it came in"),
        "Records per minute": by_minute(
            "Blocks",
            "inserted_at",
            ["order_count", "duplicate_count", "dead_count"],
            "What became of the records that were stored in a minute",
            **LEGEND,
        ),
        "Blocks per minute": by_minute("Blocks", "inserted_at", ["block_count"], "About one a second and partition, or fewer"),
        "Ledger by partition": {
            "dataset": "Blocks",
            "viz": "table",
            "text": "Each partition's blocks are one range of offsets without a gap: nothing may be missing",
            "params": {
                "query_mode": "aggregate",
                "groupby": ["topic_id", "partition"],
                "metrics": [
                    "block_count", "first_offset", "last_offset", "missing", "record_count", "order_count", "duplicate_count", "dead_count",
                    "unaccounted", "age",
                ],
                "timeseries_limit_metric": "newest",
                "order_desc": True,
                "row_limit": ALL_ROWS,
                "show_cell_bars": False,
                "include_search": False,
            },
        },
        "Newest blocks": {
            "dataset": "Blocks",
            "viz": "table",
            "text": "As they were stored",
            "params": {
                "query_mode": "raw",
                "all_columns": ["inserted_at", "partition", "first", "last", "records", "orders", "duplicates", "dead", "newest_received_at"],
                "order_by_cols": ['["inserted_at", false]'],
                "row_limit": 50,
                "table_timestamp_format": "%Y-%m-%d %H:%M:%S",
                "show_cell_bars": False,
                "include_search": False,
            },
        },
    },
    "rows": [
        (20, {"Records": 3, "Orders stored": 3, "Duplicates": 3, "Dead letters": 3}),
        (20, {"Records without an outcome": 4, "Blocks stored more than once": 4, "Newest order": 4}),
        (40, {"Records per minute": 8, "Blocks per minute": 4}),
        (40, {"Ledger by partition": 12}),
        (46, {"Newest blocks": 12}),
    ],
}  # fmt: skip

DASHBOARDS = [SALES, PIPELINE]
