"""Is loadgen as exact as oha, and as cheap as wrk?

    python3 bench/baselines/peers/pairs.py --peers FOLDER

Pairs of runs, one after the other and in turns first, at the same rate against the same server, which answers at once:
p50 and p99 from due to reply of loadgen beside those of `oha --latency-correction`; and the CPU time of each request
beside that of wrk. wrk has no rate: its connections wait for a fixed time after each reply, which comes close to one, and
the rate that it reached is shown. It waits in whole milliseconds, so that one wake-up sends several requests; loadgen
beside it has the same slack. Both also as fast as they can. What loadgen costs when each request is sent at its own
instant is shown beside a bare loop that does the same and looks at nothing: what is left is what wake-ups cost here.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import peers

CPU_BOUND = 1.5
COLUMNS = {
    "loadgen": "each request at its own instant",
    "oha": "with --latency-correction",
    "bare": "a bare loop with the same schedule",
    "loadgen, slack": "woken once a millisecond at most, as wrk is",
    "wrk": "its connections wait whole milliseconds",
    "loadgen, full": "as fast as it can (--closed)",
    "wrk, full": "as fast as it can",
}


def runs(asked, server, bare):
    """What is run in a pair, by its column."""
    oha, wrk = (peers.find(name, asked.peers) for name in ("oha", "wrk"))
    load = peers.Load(server.url, asked.rate, asked.seconds, asked.connections)
    program = asked.loadgen
    return {
        "loadgen": lambda: peers.run(peers.loadgen(program, load), peers.read_loadgen),
        "oha": lambda: peers.run(peers.oha(oha, load, "--latency-correction"), peers.read_oha),
        "bare": lambda: peers.run(peers.bare(bare, load), lambda text, _: peers.read_bare(text, load)),
        "loadgen, slack": lambda: peers.run(peers.loadgen(program, load, "--slack", "1ms"), peers.read_loadgen),
        "wrk": lambda: peers.run(peers.wrk(wrk, load), peers.read_wrk, env={"DELAY_MS": str(delay_ms(asked))}),
        "loadgen, full": lambda: peers.run(
            peers.loadgen(program, load, closed=True), lambda _, path: peers.read_loadgen(_, path, "service")
        ),
        "wrk, full": lambda: peers.run(peers.wrk(wrk, load), peers.read_wrk),
    }  # fmt: skip


def delay_ms(asked):
    return round(1e3 * asked.connections / asked.rate)


def measure(asked, bare):
    """A row for each pair: of each column the outcome."""
    rows = []
    print("| pair | p50 ms loadgen | oha | p99 ms loadgen | oha | CPU us a request: " + " | ".join(COLUMNS) + " |")
    print("|---" * (5 + len(COLUMNS)) + "|")
    for pair in range(asked.pairs):
        with peers.Server(asked.loadgen) as server:
            todo = runs(asked, server, bare)
            # In turns first, so that whatever changes with time does so for all.
            names = list(todo)
            first = pair % len(names)
            found = {name: todo[name]() for name in names[first:] + names[:first]}
        cpu = {name: 1e6 * run.cpu_seconds / max(run.sent, 1) for name, run in found.items()}
        latency = {name: run.latency_ms for name, run in found.items()}
        rate = found["wrk"].sent / asked.seconds
        rows.append({"latency_ms": latency, "cpu_us": cpu, "wrk_rate": rate})
        ours, theirs = latency["loadgen"], latency["oha"]
        shown = " | ".join(f"{cpu[name]:.1f}" for name in COLUMNS)
        print(
            f"| {pair + 1} | {ours['p50']:.3f} | {theirs['p50']:.3f} | {ours['p99']:.3f} | {theirs['p99']:.3f} "
            f"| {shown} |",
            flush=True,
        )
    return rows


def judge(rows):
    """Says what the pairs show; true if all bounds hold."""
    holds = True
    for name in ("p50", "p99"):
        differences = [row["latency_ms"]["loadgen"][name] - row["latency_ms"]["oha"][name] for row in rows]
        difference = statistics.median(differences)
        holds &= difference <= 0
        print(f"{name}: loadgen minus oha --latency-correction, median of {len(rows)} pairs: {difference:+.3f} ms")
    for ours, theirs, bound in (
        ("loadgen, slack", "wrk", CPU_BOUND),
        ("loadgen, full", "wrk, full", CPU_BOUND),
        ("loadgen", "bare", None),
        ("loadgen", "wrk", None),
    ):
        ratio = statistics.median(row["cpu_us"][ours] / row["cpu_us"][theirs] for row in rows)
        holds &= bound is None or ratio <= bound
        told = f"; the bound is {bound}" if bound else ""
        print(f"CPU a request: [{ours}] is {ratio:.2f} times [{theirs}] in the median{told}")
    rate = statistics.median(row["wrk_rate"] for row in rows)
    print(f"wrk reached {rate:.0f} requests/s")
    return holds


def main():
    parser = argparse.ArgumentParser(description="Interleaved pairs of loadgen with oha and with wrk.")
    parser.add_argument("--peers", required=True, type=pathlib.Path, help="the folder given to install")
    parser.add_argument("--loadgen", default="target/release/loadgen", help="the program")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--rate", type=int, default=5000, help="requests/s")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run sends")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    asked = parser.parse_args()
    if delay_ms(asked) < 1:
        raise SystemExit("wrk waits whole milliseconds: take more connections or a lower rate")
    for name, meaning in COLUMNS.items():
        print(f"{name}: {meaning}")
    print()
    with tempfile.TemporaryDirectory() as folder:
        bare = pathlib.Path(folder, "bare")
        subprocess.run(["cc", "-O2", "-o", str(bare), str(peers.HERE / "bare.c")], check=True)
        rows = measure(asked, bare)
    print()
    holds = judge(rows)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the end")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
