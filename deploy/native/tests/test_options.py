"""What `up --with` adds to a stack: it is known to the other commands until the stack goes down, and to a supervisor that runs."""

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from services import commands, fetch, lifecycle, options, processes
from services.options import OPTIONS
from services.service import Option, Service
from services.settings import Settings, StackError, read_settings
from services.supervisor import Supervisor


def sleeper(settings: Settings, name: str) -> Service:
    """A service that does nothing until it is stopped."""
    log = settings.logs / f"{name}.log"
    return Service(
        name=name,
        version="1",
        ports={"clients": settings.ports["SUPERSET_PORT"]},
        command=[sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"],
        environment={},
        prepare=lambda: None,
        ready=lambda: None if log.exists() and "up" in log.read_text(encoding="utf-8") else "it has not begun",
        start_s=1,
        stop_s=5,
        memory="1m",
        data=settings.data / name,
        greeting=lambda: [f"{name}: say hello"],
    )


class Options(unittest.TestCase):
    def setUp(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="options-"))
        self.addCleanup(shutil.rmtree, home, True)
        # Ports that nothing else of the tests takes.
        self.settings = read_settings(os.environ | {"STACK_HOME": str(home), "STACK_PORT_BASE": "21000"})
        both = {
            name: Option(f"{name} in a test", lambda settings, name=name: [sleeper(settings, name)], lambda _: [])
            for name in ("board", "meter")
        }
        for patch in (
            mock.patch.dict(OPTIONS, both, clear=True),
            # The three that every stack has take minutes and gigabytes, and are tried elsewhere.
            mock.patch.object(lifecycle.kafka, "services", lambda settings: [sleeper(settings, "kafka")]),
            mock.patch.object(lifecycle.cassandra, "service", lambda settings: sleeper(settings, "cassandra")),
            mock.patch.object(lifecycle.clickhouse, "service", lambda settings: sleeper(settings, "clickhouse")),
            mock.patch.object(lifecycle.java, "check"),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def run_it(self, *arguments: str) -> tuple[int, str]:
        said = io.StringIO()
        with mock.patch.object(commands, "read_settings", lambda: self.settings), contextlib.redirect_stdout(said):
            code = commands.main(list(arguments))
        return code, said.getvalue()

    def names(self) -> list[str]:
        return [service.name for service in lifecycle.all_services(self.settings)]

    def test_names_are_taken_in_one_order_and_others_refused_with_those_that_there_are(self) -> None:
        self.assertEqual(options.parse("meter, board"), ["board", "meter"])
        self.assertEqual(options.parse(""), [])
        with self.assertRaisesRegex(StackError, "no option radio; there are board, meter"):
            options.parse("radio,board")
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(self.run_it("up", "--with", "radio")[0], 1)
        self.assertIn("no option radio", said.getvalue())

    def test_what_is_remembered_is_a_service_of_the_stack_until_it_is_forgotten(self) -> None:
        core = ["kafka", "cassandra", "clickhouse"]
        self.assertEqual(self.names(), core)
        options.remember(self.settings, ["board"])
        self.assertEqual(self.names(), [*core, "board"])
        options.forget(self.settings)
        self.assertEqual(self.names(), core)

    def test_it_comes_up_beside_a_stack_that_runs_and_goes_down_with_it(self) -> None:
        self.addCleanup(lambda: processes.end(processes.of_stack(self.settings.home), 5))
        code, said = self.run_it("up", "--with", "meter")
        self.assertEqual(code, 0)
        self.assertIn("meter: say hello", said)
        before = Supervisor(self.settings).states()
        self.assertEqual(set(before), {"kafka", "cassandra", "clickhouse", "meter"})
        # A second one is added to it; what runs already is not touched.
        self.assertEqual(self.run_it("up", "--with", "board")[0], 0)
        after = Supervisor(self.settings).states()
        self.assertEqual(set(after), {*before, "board"})
        self.assertEqual({name: after[name]["pid"] for name in before}, {name: info["pid"] for name, info in before.items()})
        # `up` alone keeps both, starts one that is down, and other commands know them.
        self.assertEqual(self.run_it("stop", "board")[0], 0)
        self.assertEqual(self.run_it("ready", "meter")[0], 0)
        self.assertEqual(self.run_it("up")[0], 0)
        code, said = self.run_it("status")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"(?m)^board +ready ")
        self.assertIn("up", self.run_it("logs", "board")[1])
        self.assertEqual(self.run_it("down")[0], 0)
        self.assertEqual(processes.of_stack(self.settings.home), [])
        self.assertEqual(self.names(), ["kafka", "cassandra", "clickhouse"])
        self.assertEqual(self.run_it("clean")[0], 0)
        self.assertFalse(self.settings.home.exists())

    def test_what_was_remembered_of_a_stack_whose_supervisor_was_killed_comes_up_no_more(self) -> None:
        self.addCleanup(lambda: processes.end(processes.of_stack(self.settings.home), 5))
        self.assertEqual(self.run_it("up", "--with", "meter")[0], 0)
        pid = int((self.settings.run / "supervisord.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while Supervisor(self.settings).running() and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.run_it("up")[0], 0)
        self.assertEqual(set(Supervisor(self.settings).states()), {"kafka", "cassandra", "clickhouse"})
        self.assertEqual(self.run_it("down")[0], 0)

    def test_all_that_up_brings_can_be_fetched_before(self) -> None:
        fetched = []
        with (
            mock.patch.dict(OPTIONS, {"board": Option("", lambda _: [], lambda _: fetched.append("board") or [Path("/board")])}),
            mock.patch.object(fetch, "jars", lambda *_: "jars"),
            mock.patch.object(fetch, "python", lambda *_: "python"),
        ):
            code, said = self.run_it("fetch", "--with", "board")
        self.assertEqual((code, fetched), (0, ["board"]))
        self.assertIn("/board", said)


if __name__ == "__main__":
    unittest.main()
