"""Somebody who is logged in to Superset, over the interface that its pages use, and what a page asks for a chart."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.request
from typing import Any

WAIT_S = 180


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:2000]}")
        self.status, self.text = status, text


class Person:
    """Somebody who is logged in, over the interface that pages use."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.address, self.headers = address, {"Referer": address}
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        login = {"username": name, "password": password, "provider": "db", "refresh": False}
        self.headers["Authorization"] = f"Bearer {self.ask('POST', '/api/v1/security/login', login)['access_token']}"
        self.headers["X-CSRFToken"] = self.ask("GET", "/api/v1/security/csrf_token/")["result"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, self.headers | {"Content-Type": "application/json"}, method=method)
        try:
            with self.opener.open(request, timeout=WAIT_S) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if text else None

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Every chart, dashboard, dataset or database that this person may see."""
        return sorted(self.ask("GET", f"/api/v1/{kind}/?q=(page_size:100)")["result"], key=lambda one: one["id"])

    def board(self, slug: str) -> dict[str, dict[str, Any]]:
        """The charts of a dashboard by their names: what they ask, `params` in it."""
        return {one["slice_name"]: one for one in self.ask("GET", f"/api/v1/dashboard/{slug}/charts")["result"]}


def question(chart: dict[str, Any], filters: list[dict[str, Any]] = [], time_range: str = "No filter") -> dict[str, Any]:  # noqa: B006
    """What a page asks for a chart. `form_data` is what Superset keeps of it."""
    form = chart["form_data"]
    time_column = (form.get("adhoc_filters") or [{}])[0].get("subject")
    metrics = form.get("metrics") or ([form["metric"]] if form.get("metric") else [])
    columns: list[Any] = list(form.get("groupby") or form.get("all_columns") or [])
    if axis := form.get("x_axis"):
        whole: Any = axis
        if axis == time_column:
            whole = {"label": axis, "sqlExpression": axis, "expressionType": "SQL", "columnType": "BASE_AXIS", "timeGrain": "PT1M"}
        columns.insert(0, whole)
    if time_column:
        filters = [*filters, {"col": time_column, "op": "TEMPORAL_RANGE", "val": time_range}]
    order = form.get("timeseries_limit_metric") or (metrics or [None])[0]
    query = {
        "columns": columns,
        "metrics": metrics,
        "filters": filters,
        "orderby": [[order, False]] if order else [],
        "row_limit": form.get("row_limit", 50_000),
        "extras": {},
    }
    number, kind = form["datasource"].split("__")
    return {
        "datasource": {"id": int(number), "type": kind},
        "queries": [query],
        "form_data": form,
        "force": False,
        "result_format": "json",
        "result_type": "full",
    }


def chosen(column: str, *values: str) -> dict[str, Any]:
    return {"col": column, "op": "IN", "val": list(values)}
