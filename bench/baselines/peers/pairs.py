"""Is loadgen as exact as oha, and as cheap as wrk?

    python3 bench/baselines/peers/pairs.py --peers FOLDER

Pairs of runs, one after the other and in turns first, at the same rate against the same server, which answers at once:
p50 and p99 from due to reply of loadgen beside those of `oha --latency-correction`; and the CPU time of each request of
loadgen beside that of wrk. wrk has no rate: its connections wait for a fixed time after each reply, which comes close
to it, and the rate that it reached is shown.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys

import peers

CPU_BOUND = 1.5


def main():
    parser = argparse.ArgumentParser(description="Interleaved pairs of loadgen with oha and with wrk.")
    parser.add_argument("--peers", required=True, type=pathlib.Path, help="the folder given to install")
    parser.add_argument("--loadgen", default="target/release/loadgen", help="the program")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rate", type=int, default=5000, help="requests/s")
    parser.add_argument("--seconds", type=int, default=5, help="how long each run sends")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures to this file")
    asked = parser.parse_args()
    oha, wrk = peers.find("oha", asked.peers), peers.find("wrk", asked.peers)
    delay_ms = round(1e3 * asked.connections / asked.rate)
    if delay_ms < 1:
        raise SystemExit("wrk waits whole milliseconds: take more connections or a lower rate")

    rows = []
    print("| pair | p50 ms loadgen | oha | p99 ms loadgen | oha | CPU us/request loadgen | wrk | wrk's rate |")
    print("|---|---|---|---|---|---|---|---|")
    for pair in range(asked.pairs):
        with peers.Server(asked.loadgen) as server:
            load = peers.Load(server.url, asked.rate, asked.seconds, asked.connections)
            runs = {
                "loadgen": lambda: peers.run(peers.loadgen(asked.loadgen, load), peers.read_loadgen),
                "oha": lambda: peers.run(peers.oha(oha, load, "--latency-correction"), peers.read_oha),
                "wrk": lambda: peers.run(peers.wrk(wrk, load), peers.read_wrk, env={"DELAY_MS": str(delay_ms)}),
            }
            # In turns first, so that whatever changes with time does so for all.
            names = list(runs)
            names = names[pair % 3 :] + names[: pair % 3]
            found = {name: runs[name]() for name in names}
        ours, theirs = found["loadgen"].latency_ms, found["oha"].latency_ms
        cpu = {name: 1e6 * run.cpu_seconds / max(run.sent, 1) for name, run in found.items()}
        rate = found["wrk"].sent / asked.seconds
        rows.append(
            {
                "p50": (ours["p50"], theirs["p50"]),
                "p99": (ours["p99"], theirs["p99"]),
                "cpu": (cpu["loadgen"], cpu["wrk"]),
                "wrk_rate": rate,
            }
        )
        print(
            f"| {pair + 1} | {ours['p50']:.3f} | {theirs['p50']:.3f} | {ours['p99']:.3f} | {theirs['p99']:.3f} "
            f"| {cpu['loadgen']:.1f} | {cpu['wrk']:.1f} | {rate:.0f} |",
            flush=True,
        )

    holds = True
    print()
    for name in ("p50", "p99"):
        difference = statistics.median(ours - theirs for ours, theirs in (row[name] for row in rows))
        holds &= difference <= 0
        print(f"{name}: loadgen minus oha --latency-correction, median of {asked.pairs} pairs: {difference:+.3f} ms")
    ratio = statistics.median(ours / theirs for ours, theirs in (row["cpu"] for row in rows))
    holds &= ratio <= CPU_BOUND
    print(f"CPU a request: {ratio:.2f} times wrk's in the median; the bound is {CPU_BOUND}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the end")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
