"""Reads an interval log with the package hdrhistogram, and compares it with the report: read.py LOG REPORT"""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LONGEST_NS = 600_000_000_000
# The log counts microseconds with three digits.
TOLERANCE_MS = 0.002
TOLERANCE = 0.002


def main(log, report):
    reader = HistogramLogReader(log, HdrHistogram(1000, LONGEST_NS, 3))
    of_tag, intervals = {}, {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        of_tag.setdefault(tag, HdrHistogram(1000, LONGEST_NS, 3)).add(interval)
        intervals.setdefault(tag, []).append((interval.get_start_time_stamp(), interval.get_end_time_stamp()))
    with open(report, encoding="utf-8") as file:
        expected = json.load(file)["latency_ms"]
    assert set(of_tag) == set(expected), f"{set(of_tag)} in the log, {set(expected)} in the report"
    for tag, latency in expected.items():
        found = of_tag[tag]
        assert found.get_total_count() == latency["count"], f"{tag}: {found.get_total_count()} of {latency['count']}"
        for name, percentile in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)):
            in_log = found.get_value_at_percentile(percentile) / 1e6
            right = latency[name]
            close = abs(in_log - right) <= TOLERANCE_MS + TOLERANCE * right
            assert close, f"{tag} {name}: {in_log} ms in the log, {right} ms in the report"
        spans = intervals[tag]
        assert len(spans) >= 3, f"{tag}: {len(spans)} intervals in three seconds"
        assert all(end > start for start, end in spans), f"{tag}: {spans}"
        print(f"{tag}: {latency['count']} orders in {len(spans)} intervals, as in the report")


if __name__ == "__main__":
    main(*sys.argv[1:])
