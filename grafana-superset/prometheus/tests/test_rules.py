"""Configuration and rules are sound, and every alert is told of: unit-tested, made to fire, and explained to whom it wakes.

Needs promtool, which Debian's package prometheus has.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from live import PROMETHEUS, REPOSITORY, THRESHOLDS, scaled

RULES = PROMETHEUS / "rules"
ALERTS = (RULES / "alerts.yml").read_text(encoding="utf-8")
UNIT_TESTS = sorted((PROMETHEUS / "tests").glob("alerts*.yml"))
NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    if not (found := shutil.which("promtool")):
        raise AssertionError("promtool is not here: apt-get install --no-install-recommends prometheus")
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, timeout=300)


class Rules(unittest.TestCase):
    def sound(self, done: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def whole(self, change=lambda text: text) -> Path:
        """The configuration as it is deployed, with targets."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "rules").mkdir()
        (folder / "targets").mkdir()
        for file in (PROMETHEUS / "prometheus.yml", *RULES.glob("*.yml")):
            (folder / file.relative_to(PROMETHEUS)).write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
        for name in ("pipeline", "machine", "prometheus"):
            (folder / "targets" / f"{name}.yml").write_text(json.dumps([{"targets": ["h:1"], "labels": {"job": name}}]))
        return folder

    def test_configuration_and_rules_are_taken_by_promtool(self) -> None:
        done = promtool("check", "config", "--lint-fatal", self.whole() / "prometheus.yml")
        self.sound(done)
        self.assertNotIn("WARNING", done.stdout + done.stderr)

    def test_the_unit_tests_of_the_rules_pass(self) -> None:
        self.sound(promtool("test", "rules", *UNIT_TESTS))

    def test_the_unit_tests_can_fail(self) -> None:
        folder = self.whole(lambda text: text.replace("for: 1m", "for: 9m"))
        (folder / "tests").mkdir()
        shutil.copy(PROMETHEUS / "tests" / "alerts.yml", folder / "tests")
        done = promtool("test", "rules", folder / "tests" / "alerts.yml")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("TargetDown", done.stdout + done.stderr)

    def test_the_faster_rules_of_the_live_tests_differ_in_their_durations_alone(self) -> None:
        folder = self.whole(scaled)
        self.sound(promtool("check", "config", folder / "prometheus.yml"))
        for file in RULES.glob("*.yml"):
            text = file.read_text(encoding="utf-8")
            back = re.sub(r"\b(\d+)ms\b", lambda found: found[0], scaled(text))
            number = r"\b\d+(ms|s|m|h)\b"
            without_comments = [re.sub(r"^ *#.*", "", part) for part in text.splitlines()]
            scaled_lines = [re.sub(r"^ *#.*", "", part) for part in back.splitlines()]
            self.assertEqual([re.sub(number, "T", line) for line in scaled_lines], [re.sub(number, "T", line) for line in without_comments])
        for threshold in THRESHOLDS:
            self.assertEqual(ALERTS.count(threshold), 1, threshold)


class EachAlert(unittest.TestCase):
    def test_has_a_severity_a_summary_and_a_section_in_the_runbook(self) -> None:
        self.assertGreater(len(NAMES), 20)
        sections = re.findall(r"^## (\w+)\n\*(page|ticket)\.\*", (PROMETHEUS / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
        told = dict(sections)
        self.assertEqual(sorted(told), sorted(NAMES), "the runbook and the alerts name the same")
        for block in re.split(r"^ +- alert: ", ALERTS, flags=re.MULTILINE)[1:]:
            name = block.split("\n", 1)[0]
            self.assertRegex(block, rf"labels: {{ severity: {told[name]} }}", name)
            self.assertRegex(block, r"summary: ", name)
            self.assertIn(f"runbook: grafana-superset/prometheus/runbook.md#{name.lower()}\n", block + "\n", name)

    def test_fires_and_clears_in_a_unit_test(self) -> None:
        text = "".join(file.read_text(encoding="utf-8") for file in UNIT_TESTS)
        for name in NAMES:
            quiet = re.findall(rf"alertname: {name}, exp_alerts: \[\]", text)
            self.assertGreaterEqual(len(quiet), 2, f"{name}: before it fires, and after")
            self.assertRegex(text, rf"alertname: {name}\n +exp_alerts:\n +- exp_labels:", name)

    def test_is_made_to_fire_by_its_cause_and_to_clear_in_a_live_test(self) -> None:
        code = "".join((PROMETHEUS / "tests" / f"test_{name}.py").read_text(encoding="utf-8") for name in ("alerts_fire", "on_the_stack"))
        for name in NAMES:
            for what in ("fires", "clears"):
                self.assertTrue(re.search(rf'prometheus\.{what}\([^)]*"{name}"', code), f"{name}: no live test in which it {what}")

    def test_the_runbook_names_sections_and_panels_that_are_there(self) -> None:
        runbook = (PROMETHEUS / "runbook.md").read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)]+)\)", runbook):
            file, _, anchor = target.partition("#")
            page = (PROMETHEUS / file).resolve() if file else PROMETHEUS / "runbook.md"
            self.assertTrue(page.exists(), target)
            if anchor:
                headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
                self.assertIn(anchor, {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target)
        titles = set(re.findall(r"^\| ([^|]+?) \|", (REPOSITORY / "grafana-superset" / "grafana" / "panels.md").read_text(), re.MULTILINE))
        emphasised = {re.sub(r"\s+", " ", words) for words in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", runbook)} - {"page.", "ticket."}
        self.assertGreater(len(emphasised), 10)
        self.assertEqual(emphasised - titles, set(), "panels that no dashboard has")


if __name__ == "__main__":
    unittest.main()
