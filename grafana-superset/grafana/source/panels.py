"""How a panel, and a dashboard of panels, is written as Grafana's JSON. What is on them stands in `flow.py`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "tillflow-prometheus"}
# The version of the JSON that Grafana 12 writes; newer ones bring it up to date when they load it.
SCHEMA_VERSION = 41
# Grafana's grid has 24 columns.
COLUMNS = 24
HEIGHTS = {"timeseries": 8, "heatmap": 8, "stat": 5}
METRIC = re.compile(r"\b(?:tillflow|node|prometheus)_[A-Za-z0-9_]+|\b(?:instance|partition):[a-z0-9_:]+|\bup\b|\bALERTS\b|\bscrape_duration_seconds\b")


@dataclasses.dataclass(frozen=True)
class Panel:
    """One panel: a question in its title, and the expressions that answer it, each with the legend of its series."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    text: str
    kind: str = "timeseries"
    width: int = 8
    # A line that the eye can hold the curve against, as an alert does.
    limit: float | None = None

    def metrics(self) -> list[str]:
        return sorted({name for expression, _ in self.queries for name in METRIC.findall(without_strings(expression))})


@dataclasses.dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


@dataclasses.dataclass(frozen=True)
class Dashboard:
    """One stage of the flow."""

    name: str
    title: str
    text: str
    rows: tuple[Row, ...]

    def panels(self) -> Iterator[Panel]:
        for row in self.rows:
            yield from row.panels


def without_strings(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def dashboard_json(dashboard: Dashboard, all_of_them: tuple[Dashboard, ...]) -> dict[str, Any]:
    place = all_of_them.index(dashboard) + 1
    return {
        "uid": f"tillflow-{dashboard.name}",
        "title": f"Tillflow {place}: {dashboard.title}",
        "description": dashboard.text,
        "tags": ["tillflow"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_instances()]},
        "annotations": {"list": [_alerts()]},
        "links": [_links()],
        "panels": list(_placed(dashboard)),
    }


def _placed(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Panels from left to right, and rows from top to bottom."""
    number, y = 0, 0
    for row in dashboard.rows:
        number += 1
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": _grid(0, y, COLUMNS, 1)}
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            yield _panel(panel, number, _grid(x, y, panel.width, HEIGHTS[panel.kind]))
            x, height = x + panel.width, max(height, HEIGHTS[panel.kind])
        y += height


def _grid(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    options: dict[str, Any]
    if panel.kind == "timeseries":
        defaults |= {"min": 0, "custom": {"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}}
        if panel.limit is not None:
            defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif panel.kind == "stat":
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value" if panel.limit is not None else "none",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "wideLayout": True,
        }
    else:
        options = {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": False},
            "yAxis": {"unit": panel.unit},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
            "filterValues": {"le": 1e-9},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
        }
    if panel.limit is not None:
        steps = [{"value": None, "color": "green"}, {"value": panel.limit, "color": "red"}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "gridPos": place,
        "datasource": DATASOURCE,
        "targets": [_target(panel, at, expression, legend) for at, (expression, legend) in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _target(panel: Panel, at: int, expression: str, legend: str) -> dict[str, Any]:
    target = {"refId": chr(ord("A") + at), "datasource": DATASOURCE, "expr": expression, "legendFormat": legend, "editorMode": "code"}
    shape = "heatmap" if panel.kind == "heatmap" else "time_series"
    return target | {"range": panel.kind != "stat", "instant": panel.kind == "stat", "format": shape}


def _instances() -> dict[str, Any]:
    """Which processes are looked at: all, or some."""
    return {
        "name": "instance",
        "label": "Process",
        "type": "query",
        "datasource": DATASOURCE,
        "query": "label_values(tillflow_observe_start_seconds, instance)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "options": [],
        "hide": 0,
        "skipUrlSync": False,
    }


def _alerts() -> dict[str, Any]:
    """When an alert fired, over every curve."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", alertname!=""}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}} {{partition}}",
        "step": "15s",
    }


def _links() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "The flow",
        "tags": ["tillflow"],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
    }
