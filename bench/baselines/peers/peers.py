"""Load generators: how each is called, and how its report is read.

Latencies are in milliseconds; what a tool does not report is None.
"""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ORDER = HERE / "order.json"
FIGURES = ["mean", "p50", "p90", "p95", "p99", "p99.9", "max"]
MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# Longer than any run here; a tool that hangs is ended and named.
PATIENCE_S = 90


@dataclasses.dataclass
class Load:
    url: str
    rate: int
    seconds: int
    connections: int


@dataclasses.dataclass
class Outcome:
    sent: int | None
    latency_ms: dict
    cpu_seconds: float


def find(name, folder):
    """The program, of the folder of installed peers or of the path."""
    found = shutil.which(name, path=f"{folder}/bin:{os.environ['PATH']}")
    if not found:
        raise SystemExit(f"{name} is not installed: see bench/baselines/peers/install")
    return found


class Server:
    """`loadgen void` in a process of its own, on a core of its own where there are two."""

    def __init__(self, loadgen):
        self.process = subprocess.Popen(
            on_core(0) + [loadgen, "void", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip() + "/v1/orders"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A stopped process takes no signal but these two.
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def stall(self, at, length):
        """Stands still from `at` seconds from now on."""
        time.sleep(at)
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(length)
        self.process.send_signal(signal.SIGCONT)


def on_core(core):
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[core])] if len(cores) > 1 else []


def run(command, read, meanwhile=None, env=None):
    """Runs a tool to its end on the second core, and reads its report and its CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        command = [str(report) if word == "REPORT" else word for word in command]
        with open(pathlib.Path(folder, "out"), "w+", encoding="utf-8") as out:
            process = subprocess.Popen(
                on_core(-1) + command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "ORDER": str(ORDER), "K6_NO_USAGE_REPORT": "true", **(env or {})},
            )
            if meanwhile:
                meanwhile()
            deadline = time.monotonic() + PATIENCE_S
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() > deadline:
                    process.kill()
                    raise SystemExit(f"{command[0]} did not end")
                time.sleep(0.02)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read()
        try:
            sent, latency = read(text, report)
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise SystemExit(f"{' '.join(command)}: its report cannot be read: {error!r}\n{text}") from error
        return Outcome(sent, latency, usage.ru_utime + usage.ru_stime)


def figures(**latency):
    return {name: latency.get(name.replace(".", "_")) for name in FIGURES}


def one(pattern, text):
    return re.search(pattern, text).group(1)


# loadgen


def loadgen(program, load, *more, closed=False):
    return [
        program, "run", "--url", load.url, "--method", "POST", "--body-file", str(ORDER),
        *(["--closed"] if closed else ["--rate", str(load.rate)]), "--duration", f"{load.seconds}s",
        "--connections", str(load.connections), "--report", "REPORT", *more,
    ]  # fmt: skip


def read_loadgen(_, path, of="response"):
    report = json.loads(path.read_text(encoding="utf-8"))
    latency = report["latency_ms"][of]
    return report["sent"], {name: latency[name.replace(".", "")] for name in FIGURES}


# bare.c, the floor


def bare(program, load):
    port = load.url.split(":")[2].split("/")[0]
    return [str(program), port, str(load.rate), str(load.seconds), str(load.connections), str(ORDER)]


def read_bare(text, load):
    float(text)
    return load.rate * load.seconds, figures()


# oha


def oha(program, load, *more):
    return [
        program, "-q", str(load.rate), "-z", f"{load.seconds}s", "-c", str(load.connections), "--no-tui",
        "--output-format", "json", "-m", "POST", "-D", str(ORDER), "-T", "application/json", *more, load.url,
    ]  # fmt: skip


def read_oha(text, _):
    report = json.loads(text)
    percentile = report["latencyPercentiles"]
    found = {name: percentile[name] * 1e3 for name in FIGURES if name in percentile}
    found["mean"] = report["summary"]["average"] * 1e3
    found["max"] = report["summary"]["slowest"] * 1e3
    return sum(report["statusCodeDistribution"].values()), {**figures(), **found}


# wrk


def wrk(program, load):
    return [
        program, "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--latency",
        "-s", str(HERE / "post.lua"), load.url,
    ]  # fmt: skip


def read_wrk(text, _):
    def ms(pattern):
        number, unit = re.search(pattern, text).groups()
        return float(number) * MS[unit]

    quantity = r"([\d.]+)(us|ms|s|m)\b"
    mean, maximum = ms(rf"Latency\s+{quantity}"), ms(rf"Latency\s+\S+\s+\S+\s+{quantity}")
    at = {f"p{share}": ms(rf"{share}%\s+{quantity}") for share in (50, 90, 99)}
    return int(one(r"(\d+) requests in", text)), figures(mean=mean, max=maximum, **at)


# hey


def hey(program, load):
    each = load.rate // load.connections
    return [
        program, "-z", f"{load.seconds}s", "-c", str(load.connections), "-q", str(each),
        "-m", "POST", "-D", str(ORDER), "-T", "application/json", load.url,
    ]  # fmt: skip


def read_hey(text, _):
    seconds = {share: float(at) * 1e3 for share, at in re.findall(r"(\d+)% in ([\d.]+) secs", text)}
    sent = sum(int(replies) for replies in re.findall(r"\[\d+\]\s+(\d+) responses", text))
    mean, maximum = float(one(r"Average:\s+([\d.]+)", text)), float(one(r"Slowest:\s+([\d.]+)", text))
    at = {f"p{share}": seconds.get(str(share)) for share in (50, 90, 95, 99)}
    return sent, figures(mean=mean * 1e3, max=maximum * 1e3, **at)


# ab


def ab(program, load):
    return [
        program, "-q", "-k", "-t", str(load.seconds), "-n", "100000000", "-c", str(load.connections),
        "-p", str(ORDER), "-T", "application/json", load.url,
    ]  # fmt: skip


def read_ab(text, _):
    at = {f"p{share}": float(ms) for share, ms in re.findall(r"^\s+(\d+)%\s+(\d+)", text, re.MULTILINE)}
    _, mean, *_, maximum = one(r"Total:\s+(.*)", text).split()
    at = {name: at.get(name) for name in ("p50", "p90", "p95", "p99")}
    return int(one(r"Complete requests:\s+(\d+)", text)), figures(mean=float(mean), max=float(maximum), **at)


# k6


def k6(program):
    return [program, "run", "--quiet", "--no-color", "--summary-export", "REPORT", str(HERE / "k6.js")]


def k6_env(load, users):
    return {"URL": load.url, "RATE": str(load.rate), "SECONDS": str(load.seconds), "VUS": str(users)}


def read_k6(_, path):
    metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    latency = metrics["http_req_duration"]
    names = {"mean": "avg", "p50": "med", "max": "max"}
    names |= {f"p{share}": f"p({share})" for share in ("90", "95", "99", "99.9")}
    return int(metrics["http_reqs"]["count"]), {name: latency[names[name]] for name in FIGURES}
