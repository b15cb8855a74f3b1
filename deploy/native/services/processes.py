"""The stack's processes as /proc shows them. Each bears its stack's home in its environment, so none is taken for another's."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

MARK = "TILLFLOW_STACK_HOME"


def of_stack(home: Path) -> list[int]:
    """The ids of all processes that were started by the stack at `home`."""
    mark = f"{MARK}={home}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = Path(entry.path, "environ").read_bytes()
        except OSError:
            # It ended meanwhile, or is another user's.
            continue
        if mark in environment.split(b"\0"):
            found.append(int(entry.name))
    return sorted(found)


def command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"


def memory_mib(process: int) -> int | None:
    """The resident set of a process."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return None


def memory_available_mib() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    except OSError:
        pass
    return None


def end(ids: list[int], wait_s: float) -> list[int]:
    """Asks processes to end, waits, then kills what is left; returns the ids that had to be killed."""
    _signal(ids, signal.SIGTERM)
    left = wait(ids, wait_s)
    _signal(left, signal.SIGKILL)
    wait(left, 10)
    return left


def listeners(port: int) -> list[int]:
    """The processes that listen on a TCP port, as far as this user may see."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with os.scandir(f"{entry.path}/fd") as files:
                links = [os.readlink(file.path) for file in files]
        except OSError:
            continue
        if inodes.intersection(links):
            found.append(int(entry.name))
    return sorted(found)


def outgoing_ports() -> tuple[int, int]:
    """The range from which the system takes the near port of an outgoing connection."""
    try:
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return 32768, 60999
    return int(first), int(last)


def _signal(ids: list[int], which: signal.Signals) -> None:
    for process in ids:
        try:
            os.kill(process, which)
        except ProcessLookupError:
            pass


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait(ids: list[int], wait_s: float) -> list[int]:
    deadline = time.monotonic() + wait_s
    left = ids
    while left := [process for process in left if _alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return left
