"""The import folder is what its source says, and importing it leaves alone what people have: ids, favourites, owners, their charts."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import time
import unittest
from typing import Any

from place import FOLDER, OLDER, ClickHouse, Superset

from person import Person, Refused  # isort: skip  (found through place)

# When and by whom a thing was last saved is no part of what it is.
SAVED = re.compile(r"changed|created|last_saved|thumbnail|_humanized")


def without_times(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: without_times(value) for key, value in thing.items() if not SAVED.search(key)}
    return [without_times(one) for one in thing] if isinstance(thing, list) else thing


def everything(person: Person) -> dict[str, Any]:
    """All that the interface says of all that was imported."""
    found: dict[str, Any] = {}
    for kind in ("database", "dataset", "chart", "dashboard"):
        for one in person.all(kind):
            whole = person.ask("GET", f"/api/v1/{kind}/{one['id']}")["result"]
            found[f"{kind}/{one['id']}"] = without_times(whole)
    for kind in ("metrics", "columns"):
        for key, one in found.items():
            if key.startswith("dataset/"):
                one[kind].sort(key=lambda part: part["id"])
    return found


class Files(unittest.TestCase):
    def test_the_import_folder_is_what_assets_py_writes(self) -> None:
        place = Superset(type(self), 1)
        self.addCleanup(self.doClassCleanups)
        done = subprocess.run([place.python, str(FOLDER / "assets.py"), "--check"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_file_holds_a_password_or_the_address_of_one_machine(self) -> None:
        for file in FOLDER.rglob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            self.assertNotRegex(text, r"(?i)password|127\.0\.0\.1|localhost", str(file))
            self.assertNotRegex(text, r"://[^/\s]*:[^/\s]*@", str(file))


class Import(unittest.TestCase):
    """One story: an older version with people in it, the import of today, again, killed in the middle, and a restart."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.place = Superset(cls, ClickHouse(cls).front.port)
        cls.place.set_up("--from", str(OLDER))
        cls.place.start()
        cls.admin, cls.viewer = cls.place.log_in("admin"), cls.place.log_in("viewer")

    def test_it_is_idempotent_upgrades_in_place_and_may_be_killed(self) -> None:
        admin, viewer = self.admin, self.viewer
        (board,) = admin.all("dashboard")
        charts = {chart["slice_name"]: chart for chart in admin.all("chart")}
        self.assertEqual(set(charts), {"Total", "Source by Amount", "Sales by hour", "Sales per minute"})
        # What people did with the older version: a star, another owner, and a chart of their own from one of ours.
        viewer.ask("POST", f"/api/v1/dashboard/{board['id']}/favorites/")
        me, other = (admin.ask("GET", "/api/v1/me/")["result"]["id"], viewer.ask("GET", "/api/v1/me/")["result"]["id"])
        admin.ask("PUT", f"/api/v1/dashboard/{board['id']}", {"owners": [me, other]})
        mine = admin.ask("POST", "/api/v1/chart/", self.copy_of(charts["Source by Amount"]))["id"]

        self.place.set_up()
        boards = {one["slug"]: one for one in admin.all("dashboard")}
        self.assertEqual(set(boards), {"sales", "pipeline"})
        self.assertEqual(boards["sales"]["id"], board["id"], "an address that people kept still leads there")
        self.assertEqual(boards["sales"]["dashboard_title"], "Sales")
        self.assertEqual({one["id"] for one in boards["sales"]["owners"]}, {me, other})
        self.assertTrue(self.is_favourite(board["id"]))
        now = {chart["slice_name"]: chart for chart in admin.all("chart")}
        self.assertEqual(now["Total Sales"]["id"], charts["Total"]["id"], "it was renamed, and is the same chart")
        self.assertNotIn("Sales by hour", now, "it is on no dashboard any more")
        self.assertEqual(now["My own"]["id"], mine)
        self.assertEqual(set(admin.board("sales")) & {"Total", "Sales by hour"}, set())
        sales = next(one for one in admin.all("dataset") if one["table_name"] == "Sales")
        whole = admin.ask("GET", f"/api/v1/dataset/{sales['id']}")["result"]
        self.assertIn("source_state", {column["column_name"] for column in whole["columns"]})
        self.assertNotIn("channel", {column["column_name"] for column in whole["columns"]})
        self.assertNotIn("revenue", {metric["metric_name"] for metric in whole["metrics"]})

        before = everything(admin)
        self.assertIn("is current", self.place.set_up())
        self.place.set_up("--again")
        self.assertEqual(everything(admin), before, "a second import changes nothing")
        self.assertTrue(self.is_favourite(board["id"]))

        # Wherever it is stopped, the server goes on, and the next run ends as if nothing had been.
        for seconds in (3, 6, 9, 12):
            doing = self.place.begin_set_up("--again")
            time.sleep(seconds)
            doing.kill()
            doing.communicate()
            self.assertEqual(everything(admin), before, f"it was killed after {seconds} s")
        self.place.set_up("--again")
        self.place.stop(signal.SIGKILL)
        self.place.start()
        self.assertEqual(everything(admin), before, "sessions outlive a restart, since the key does")
        self.assertTrue(self.is_favourite(board["id"]))

    def test_passwords_are_made_up_once_and_nobody_else_may_read_them(self) -> None:
        folder = self.place.service.data / "secrets"
        texts = [(folder / name).read_text() for name in ("secret_key", "admin_password", "viewer_password")]
        self.assertEqual(len(set(texts)), 3)
        for file in folder.iterdir():
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file.name)
        self.assertGreaterEqual(min(map(len, texts)), 20)
        self.place.set_up("--again")
        self.assertEqual([(folder / name).read_text() for name in ("secret_key", "admin_password", "viewer_password")], texts)
        for guess in ("admin", "superset", "", "tillflow"):
            with self.assertRaises(Refused) as caught:
                Person(self.admin.address, "admin", guess)
            self.assertIn(caught.exception.status, (400, 401))
        self.assertNotIn("password", "".join(os.environ), "the test gave none")

    def is_favourite(self, board: int) -> bool:
        return bool(self.viewer.ask("GET", f"/api/v1/dashboard/favorite_status/?q=!({board})")["result"][0]["value"])

    def copy_of(self, chart: dict[str, Any]) -> dict[str, Any]:
        return {
            "slice_name": "My own",
            "viz_type": chart["viz_type"],
            "params": chart["params"],
            "datasource_id": chart["datasource_id"],
            "datasource_type": "table",
        }


if __name__ == "__main__":
    unittest.main()
