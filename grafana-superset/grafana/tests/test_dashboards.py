"""The dashboards are what `source/` says, are written as Grafana reads them, and show every metric there is and none that is not.

Run it with a Python that has `requirements.txt`. That every expression yields series is tried on servers, beside the alerts:
`grafana-superset/prometheus/tests/test_on_the_stack.py`.
"""

from __future__ import annotations

import copy
import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

GRAFANA = Path(__file__).resolve().parent.parent
REPOSITORY = GRAFANA.parent.parent

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("generate", str(GRAFANA / "generate"))
spec = importlib.util.spec_from_loader("generate", loader)
assert spec
generate = importlib.util.module_from_spec(spec)
loader.exec_module(generate)

from flow import FLOW, ON_NO_PANEL  # noqa: E402  (found by what generate does to the path)

plugins.register_default_plugins()


def dashboards() -> dict[str, dict[str, Any]]:
    return {dashboard.name: json.loads((GRAFANA / "dashboards" / f"{dashboard.name}.json").read_text(encoding="utf-8")) for dashboard in FLOW}


def unknown_to_grafana(dashboard: dict[str, Any]) -> list[str]:
    """What is lost when Grafana's own types read a dashboard and write it again: fields that there are not, and values of other kinds."""
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(dashboard))))
    return list(lost(dashboard, again, ""))


def lost(before: Any, after: Any, where: str):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after)):
            yield from lost(*pair, f"{where}[{number}]")
    elif before != after:
        yield f"{where}: {before!r} became {after!r}"


class Files(unittest.TestCase):
    def test_they_are_what_the_source_says(self) -> None:
        done = subprocess.run([sys.executable, str(GRAFANA / "generate"), "--check"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_grafana_knows_every_field_of_them(self) -> None:
        for name, dashboard in dashboards().items():
            self.assertEqual(unknown_to_grafana(dashboard), [], name)

    def test_a_field_that_grafana_does_not_know_would_be_found(self) -> None:
        for change in (
            lambda dashboard: dashboard.update(refreshes="10s"),
            lambda dashboard: dashboard["panels"][1].update(titel="Orders"),
            lambda dashboard: dashboard["panels"][1]["options"]["legend"].update(place="bottom"),
            lambda dashboard: dashboard["panels"][1]["targets"][0].update(query="up"),
        ):
            dashboard = dashboards()["ingest"]
            change(dashboard)
            try:
                found = unknown_to_grafana(dashboard)
            except (KeyError, TypeError, ValueError):
                continue
            self.assertNotEqual(found, [])

    def test_panels_neither_overlap_nor_leave_the_page_and_have_numbers_of_their_own(self) -> None:
        for name, dashboard in dashboards().items():
            cells: set[tuple[int, int]] = set()
            for panel in dashboard["panels"]:
                place = panel["gridPos"]
                own = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
                self.assertFalse(own & cells, f"{name}: {panel['title']} lies on another")
                self.assertLessEqual(place["x"] + place["w"], 24, f"{name}: {panel['title']}")
                cells |= own
            numbers = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(numbers), len(set(numbers)), name)
            titles = [panel["title"] for panel in dashboard["panels"]]
            self.assertEqual(len(titles), len(set(titles)), name)

    def test_they_follow_the_flow_and_each_has_a_place_of_its_own(self) -> None:
        self.assertEqual([dashboard.name for dashboard in FLOW], ["ingest", "log", "processor", "stores", "end-to-end", "machine"])
        self.assertEqual({name: one["uid"] for name, one in dashboards().items()}, {one.name: f"tillflow-{one.name}" for one in FLOW})

    def test_they_ask_the_data_source_that_is_provisioned(self) -> None:
        provisioned = (GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
        (uid,) = re.findall(r"^ +uid: (\S+)$", provisioned, re.MULTILINE)
        named = set(re.findall(r'"uid": "(tillflow-prometheus[^"]*|[^"]*prometheus[^"]*)"', json.dumps(dashboards())))
        self.assertEqual(named, {uid})
        scraped = (REPOSITORY / "grafana-superset" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
        (interval,) = re.findall(r"^ +timeInterval: (\S+)$", provisioned, re.MULTILINE)
        self.assertIn(f"scrape_interval: {interval}\n", scraped)


class Metrics(unittest.TestCase):
    def setUp(self) -> None:
        self.known = generate.names()
        self.drawn = {metric for dashboard in FLOW for panel in dashboard.panels() for metric in panel.metrics()}

    def test_every_metric_that_a_panel_names_is_there(self) -> None:
        recorded = set(re.findall(r"- record: (\S+)", (REPOSITORY / generate.RULES).read_text(encoding="utf-8")))
        for metric in self.drawn:
            if metric.startswith("tillflow_"):
                self.assertIn(generate.base(metric, self.known), self.known, metric)
            elif ":" in metric:
                self.assertIn(metric, recorded)

    def test_every_metric_is_on_a_panel_or_says_why_not(self) -> None:
        shown = {generate.base(metric, self.known) for metric in self.drawn}
        # What a recorded figure is made of is shown by it.
        self.assertGreater(len(self.known), 70)
        self.assertEqual(set(self.known) - shown - ON_NO_PANEL.keys(), set(), "on no panel")
        self.assertEqual(ON_NO_PANEL.keys() & shown, set(), "on a panel after all")
        self.assertEqual(ON_NO_PANEL.keys() - self.known.keys(), set(), "no metric")

    def test_every_recorded_figure_is_on_a_panel(self) -> None:
        recorded = set(re.findall(r"- record: (\S+)", (REPOSITORY / generate.RULES).read_text(encoding="utf-8")))
        self.assertEqual(recorded - self.drawn, set())

    def test_every_metric_that_a_rule_names_is_there(self) -> None:
        for file in ("recording.yml", "alerts.yml"):
            rules = (REPOSITORY / "grafana-superset" / "prometheus" / "rules" / file).read_text(encoding="utf-8")
            for metric in set(re.findall(r"\btillflow_[a-z0-9_]+", rules)):
                self.assertIn(generate.base(metric, self.known), self.known, file)


if __name__ == "__main__":
    unittest.main()
