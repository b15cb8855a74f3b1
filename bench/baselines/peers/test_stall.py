"""The truth that load generators are held to, and how their reports are read."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers  # noqa: E402
import stall  # noqa: E402

WRK = """Running 10s test @ http://127.0.0.1:1/
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   363.22us    1.20ms   6.70s    99.9%
  Latency Distribution
     50%  340.00us
     75%    0.40ms
     90%    0.64ms
     99%    1.15ms
  1031318 requests in 10.00s, 100MB read
"""
HEY = """
Summary:
  Slowest:\t1.9800 secs
  Average:\t0.0140 secs
Latency distribution:
  50% in 0.0010 secs
  90% in 0.0029 secs
  95% in 0.0039 secs
  99% in 0.0079 secs
Status code distribution:
  [202]\t8000 responses
  [503]\t100 responses
"""
AB = """Complete requests:      5294
Connection Times (ms)
              min  mean[+/-sd] median   max
Total:          3   94 120.0     67    2149
Percentage of the requests served within a certain time (ms)
  50%     67
  90%    138
  95%    148
  99%    372
 100%   2149 (longest request)
"""


class Truth(unittest.TestCase):
    def test_it_is_what_a_list_of_all_requests_says(self):
        length, duration, at = 3.0, 12.0, 5.0
        due = (request / 1000 for request in range(12_000))
        waits = sorted(1e3 * max(0.0, at + length - when) if when >= at else 0.0 for when in due)
        truth = stall.truth_ms(length, duration)
        self.assertAlmostEqual(sum(waits) / len(waits), truth["mean"], delta=1)
        self.assertAlmostEqual(waits[-1], truth["max"], delta=1)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)):
            self.assertAlmostEqual(waits[int(share * len(waits))], truth[name], delta=3)

    def test_a_figure_is_right_within_a_twentieth_or_20_ms_and_one_that_is_not_reported_is_not_wrong(self):
        truth = stall.truth_ms(2.0, 10.0)
        found = dict(truth, **{"p50": 21.0, "p90": 1049.0, "p95": 1600.0, "p99.9": None})
        self.assertEqual(stall.wrong(found, truth), ["p50", "p95"])


class Reports(unittest.TestCase):
    def test_wrk(self):
        sent, latency = peers.read_wrk(WRK, None)
        self.assertEqual((sent, latency["p50"], latency["p99"], latency["p95"]), (1_031_318, 0.34, 1.15, None))
        self.assertAlmostEqual(latency["mean"], 0.36322)
        self.assertEqual(latency["max"], 6700.0)

    def test_hey(self):
        sent, latency = peers.read_hey(HEY, None)
        self.assertEqual((sent, latency["max"], latency["mean"]), (8100, 1980.0, 14.0))
        self.assertAlmostEqual(latency["p95"], 3.9)

    def test_ab(self):
        sent, latency = peers.read_ab(AB, None)
        self.assertEqual((sent, latency["mean"], latency["p99"], latency["max"]), (5294, 94.0, 372.0, 2149.0))


if __name__ == "__main__":
    unittest.main()
