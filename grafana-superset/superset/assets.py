"""Writes the import folder, `import/`, from the description in dashboards.py: `python assets.py`, in Superset's own Python. With
`--check` it writes nothing, and says which files are not as they would be.

What Superset wants in a file, and the same in every file, is here; what a dashboard shows is there. A UUID is a function of the
thing's name, so that another run writes the same bytes, and a thing keeps its identity when its file changes.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

import yaml

sys.dont_write_bytecode = True
import dashboards  # noqa: E402

HERE = Path(__file__).resolve().parent
NAMESPACE = uuid.UUID("6d1b4a2e-0b0e-4c58-9f6e-7f0c53a1de5e")
VERSION = "1.0.0"
DATABASE = "Tillflow"
# A grid is 12 columns wide.
COLUMNS = 12


def main(arguments: list[str]) -> int:
    folder = HERE / "import"
    if "--check" in arguments:
        found = {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in folder.rglob("*") if file.is_file()}
        wrong = sorted(path for path in found.keys() | files().keys() if found.get(path) != files().get(path))
        print("\n".join(f"import/{path} is not what assets.py writes" for path in wrong) or "import/ is what assets.py writes")
        return 1 if wrong else 0
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return 0


def files() -> dict[str, str]:
    """Every file of the import folder, by its path in it."""
    found: dict[str, Any] = {
        "metadata.yaml": {"version": VERSION, "type": "assets", "timestamp": "2026-11-26T00:00:00+00:00"},
        f"databases/{DATABASE}.yaml": database(),
    }
    for name, described in dashboards.DATASETS.items():
        found[f"datasets/{DATABASE}/{slug(name)}.yaml"] = dataset(name, described)
    for board in dashboards.DASHBOARDS:
        numbers = {name: number for number, name in enumerate(board["charts"], 1)}
        for name, described in board["charts"].items():
            found[f"charts/{slug(board['title'])}_{slug(name)}.yaml"] = chart(board, name, described)
        found[f"dashboards/{slug(board['title'])}.yaml"] = dashboard(board, numbers)
    return {path: yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000) for path, content in found.items()}


def slug(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def identity(kind: str, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


def database() -> dict[str, Any]:
    return {
        "database_name": DATABASE,
        # The address in containers; superset_config.py puts another installation's in its place, and the password.
        "sqlalchemy_uri": "clickhousedb://tillflow@clickhouse:8123/default",
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {"allows_virtual_table_explore": True},
        "uuid": identity("database", DATABASE),
        "version": VERSION,
    }


def dataset(name: str, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "table_name": described.get("table", name),
        "main_dttm_col": described.get("time"),
        "currency_code_column": described.get("currency"),
        "description": described["text"],
        "offset": 0,
        # As long as superset_config.py says.
        "cache_timeout": None,
        "schema": "sales",
        "sql": described.get("sql"),
        "filter_select_enabled": True,
        "uuid": identity("dataset", name),
        "metrics": [
            {"metric_name": metric, "verbose_name": title, "expression": expression, "d3format": form, "extra": {}}
            for metric, (title, expression, form) in described.get("metrics", {}).items()
        ],
        "columns": [
            {
                "column_name": column,
                "verbose_name": column.replace("_", " ").capitalize(),
                "is_dttm": kind.startswith("DateTime"),
                "is_active": True,
                "type": kind,
                "groupby": True,
                "filterable": True,
                "extra": {},
            }
            for column, kind in described["columns"].items()
        ],
        "version": VERSION,
        "database_uuid": identity("database", DATABASE),
    }


def chart(board: dict[str, Any], name: str, described: dict[str, Any]) -> dict[str, Any]:
    time = dashboards.DATASETS[described["dataset"]].get("time")
    params = {"viz_type": described["viz"], "adhoc_filters": []} | described["params"]
    if time:
        # What the filter by time changes.
        params["adhoc_filters"] = [
            {"clause": "WHERE", "comparator": "No filter", "expressionType": "SIMPLE", "operator": "TEMPORAL_RANGE", "subject": time}
        ]
    return {
        "slice_name": name,
        "description": described.get("text"),
        "certified_by": "Tillflow",
        "certification_details": "Comes from a file, and is overwritten by the next version's: make a copy to change it",
        "viz_type": described["viz"],
        "params": params,
        "cache_timeout": None,
        "uuid": identity(f"chart/{board['title']}", name),
        "version": VERSION,
        "dataset_uuid": identity("dataset", described["dataset"]),
    }


def dashboard(board: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "dashboard_title": board["title"],
        "description": board["text"],
        "css": "",
        "slug": board["slug"],
        "certified_by": "Tillflow",
        "certification_details": "Comes from a file, and is overwritten by the next version's: make a copy to change it",
        "published": True,
        "uuid": identity("dashboard", board["title"]),
        "position": position(board, numbers),
        "metadata": {
            "refresh_frequency": dashboards.REFRESH_S,
            # All charts at once: staggered ones would show different moments, and make a round longer.
            "stagger_refresh": False,
            "timed_refresh_immune_slices": [],
            "expanded_slices": {},
            "color_scheme": "supersetColors",
            "label_colors": {},
            "cross_filters_enabled": False,
            "native_filter_configuration": [native_filter(one, board, numbers) for one in board["filters"]],
        },
        "version": VERSION,
    }


def position(board: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    rows = [f"ROW-{number}" for number in range(1, len(board["rows"]) + 1)]
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": board["title"]}},
    }
    for row, (height, charts) in zip(rows, board["rows"], strict=True):
        if sum(charts.values()) != COLUMNS:
            raise ValueError(f"{board['title']}: a row of {list(charts)} does not fill the grid")
        ids = [f"CHART-{numbers[name]}" for name in charts]
        parents = ["ROOT_ID", "GRID_ID"]
        meta = {"background": "BACKGROUND_TRANSPARENT"}
        found[row] = {"type": "ROW", "id": row, "children": ids, "parents": parents, "meta": meta}
        for name, width in charts.items():
            chart_id = f"CHART-{numbers[name]}"
            found[chart_id] = {
                "type": "CHART",
                "id": chart_id,
                "children": [],
                "parents": [*parents, row],
                "meta": {
                    "chartId": numbers[name],
                    "sliceName": name,
                    "uuid": identity(f"chart/{board['title']}", name),
                    "width": width,
                    "height": height,
                },
            }
    return found


def native_filter(described: dict[str, Any], board: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    """A filter of the whole dashboard, less the charts whose dataset does not have its column."""
    column, default = described.get("column"), described.get("default")
    if column is None:
        targets, mask = [{}], {"extraFormData": {}, "filterState": {"value": "No filter"}, "ownState": {}}
        control = {}
    else:
        targets = [{"column": {"name": column}, "datasetUuid": identity("dataset", described["dataset"])}]
        mask = {"extraFormData": {}, "filterState": {}, "ownState": {}}
        if default:
            condition = {"col": column, "op": "IN", "val": [default]}
            mask = {"extraFormData": {"filters": [condition]}, "filterState": {"value": [default], "label": default}, "ownState": {}}
        # One that has a default is one at a time, and always set.
        control = {
            "enableEmptyFilter": bool(default),
            "multiSelect": not default,
            "defaultToFirstItem": False,
            "inverseSelection": False,
            "searchAllOptions": False,
        }
    return {
        "id": f"NATIVE_FILTER-{slug(described['name'])}",
        "name": described["name"],
        "description": described.get("text", ""),
        "filterType": "filter_select" if column else "filter_time",
        "type": "NATIVE_FILTER",
        "targets": targets,
        "defaultDataMask": mask,
        "controlValues": control,
        "cascadeParentIds": [f"NATIVE_FILTER-{slug(parent)}" for parent in described.get("below", [])],
        "scope": {
            "rootPath": ["ROOT_ID"],
            "excluded": [numbers[name] for name, chart in board["charts"].items() if chart["dataset"] in described.get("not_of", ())],
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
