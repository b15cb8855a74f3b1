"""Who tells the truth about a server that stands still?

    cargo build --release -p loadgen
    bench/baselines/peers/install FOLDER
    python3 bench/baselines/peers/stall.py --peers FOLDER

Each generator sends at the same rate to the same server, which is stopped (SIGSTOP) for a part of the time. What each
percentile must be is computed: of a share S / T of all requests each waits until the server goes on, evenly up to S. A
figure is right within 5 % or 20 ms, whichever is more.
"""

import argparse
import functools
import json
import pathlib
import sys

import peers

LEAST_TOLERANCE_MS = 20.0
TOLERANCE = 0.05
# Of each request a user of its own, as many as come due while the server stands still, and some more.
K6_FEW = 100


def truth_ms(stall, duration):
    """Each figure of an open loop, from arithmetic alone."""

    def wait(share):
        return 1e3 * max(0.0, stall - (1.0 - share) * duration)

    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    return {
        "mean": 1e3 * stall * stall / (2.0 * duration),
        **{name: wait(share) for name, share in shares.items()},
        "max": 1e3 * stall,
    }


def wrong(found, truth):
    """The figures that a tool reports and that are not the truth."""
    off = []
    for name, right in truth.items():
        if found[name] is not None and abs(found[name] - right) > max(LEAST_TOLERANCE_MS, TOLERANCE * right):
            off.append(name)
    return off


def tools(folder, loadgen, load, k6_many):
    find = functools.partial(peers.find, folder=folder)
    return {
        "loadgen": (lambda: peers.loadgen(loadgen, load), peers.read_loadgen, None),
        "loadgen --closed": (
            lambda: peers.loadgen(loadgen, load, closed=True),
            functools.partial(peers.read_loadgen, of="service"),
            None,
        ),
        "oha --latency-correction": (
            lambda: peers.oha(find("oha"), load, "--latency-correction"), peers.read_oha, None
        ),
        "oha": (lambda: peers.oha(find("oha"), load), peers.read_oha, None),
        "wrk": (lambda: peers.wrk(find("wrk"), load), peers.read_wrk, None),
        "hey": (lambda: peers.hey(find("hey"), load), peers.read_hey, None),
        "ab": (lambda: peers.ab(find("ab"), load), peers.read_ab, None),
        f"k6, {K6_FEW} users": (lambda: peers.k6(find("k6")), peers.read_k6, peers.k6_env(load, K6_FEW)),
        f"k6, {k6_many} users": (lambda: peers.k6(find("k6")), peers.read_k6, peers.k6_env(load, k6_many)),
    }  # fmt: skip


def row(name, sent, latency, verdict):
    shown = [f"{latency[figure]:.1f}" if latency[figure] is not None else "-" for figure in peers.FIGURES]
    return f"| {name} | {sent} | " + " | ".join(shown) + f" | {verdict} |"


def main():
    parser = argparse.ArgumentParser(description="Load generators against a server that stands still.")
    parser.add_argument("--peers", required=True, type=pathlib.Path, help="the folder given to install")
    parser.add_argument("--loadgen", default="target/release/loadgen", help="the program")
    parser.add_argument("--rate", type=int, default=1000, help="requests/s")
    parser.add_argument("--seconds", type=int, default=10, help="how long to send")
    parser.add_argument("--at", type=float, default=4.0, help="when the server stops, in seconds")
    parser.add_argument("--stall", type=float, default=2.0, help="for how long, in seconds")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--only", action="append", help="only the tools whose names begin so")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    asked = parser.parse_args()

    truth = truth_ms(asked.stall, asked.seconds)
    intended = asked.rate * asked.seconds
    k6_many = int(asked.rate * asked.stall * 1.25)
    names = tools(asked.peers, asked.loadgen, peers.Load("", asked.rate, asked.seconds, asked.connections), k6_many)
    chosen = [name for name in names if not asked.only or any(name.startswith(only) for only in asked.only)]
    print(f"| in ms | sent | {' | '.join(peers.FIGURES)} | |")
    print("|---|" + "---|" * (len(peers.FIGURES) + 2))
    print(row("the truth", intended, truth, ""), flush=True)
    found = {}
    for name in chosen:
        with peers.Server(asked.loadgen) as server:
            load = peers.Load(server.url, asked.rate, asked.seconds, asked.connections)
            command, read, env = tools(asked.peers, asked.loadgen, load, k6_many)[name]
            outcome = peers.run(command(), read, lambda: server.stall(asked.at, asked.stall), env)
        off = wrong(outcome.latency_ms, truth)
        verdict = f"wrong: {', '.join(off)}" if off else "right"
        if outcome.sent < 0.99 * intended:
            verdict += f"; {intended - outcome.sent} never sent"
        print(row(name, outcome.sent, outcome.latency_ms, verdict), flush=True)
        found[name] = {"sent": outcome.sent, "latency_ms": outcome.latency_ms, "wrong": off}
    if asked.json:
        text = json.dumps({"truth_ms": truth, "intended": intended, "found": found}, indent=2)
        asked.json.write_text(text + "\n", encoding="utf-8")
    return 1 if "loadgen" in found and found["loadgen"]["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
