"""The front over chDB is killed in the middle of inserts: what it had acknowledged is there, the rest is whole or absent."""

import random
import signal
import subprocess
import sys
import threading
import time
import unittest
from http.client import HTTPException

from tests import rollups
from tests.front import NATIVE, Client, Front

ROUNDS = 6
WRITERS = 3


class Kill(unittest.TestCase):
    def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(self) -> None:
        front = Front(self)
        client = front.client()
        rollups.create(client)
        random_ = random.Random(7)
        sizes: dict[str, int] = {}
        acknowledged: set[str] = set()

        def write(round_: int, writer: int, stop: threading.Event) -> None:
            number = 0
            while not stop.is_set():
                token = f"{round_}-{writer}-{number}"
                sizes[token] = 1 + number * 37 % 400
                try:
                    rollups.insert(client, token, rollups.block(token, number, minutes=sizes[token]))
                except (OSError, HTTPException):
                    return
                acknowledged.add(token)
                number += 1

        for round_ in range(ROUNDS):
            stop = threading.Event()
            threads = [threading.Thread(target=write, args=(round_, writer, stop)) for writer in range(WRITERS)]
            for thread in threads:
                thread.start()
            time.sleep(0.2 + random_.random())
            front.end(signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join()
            front.start()
            rows = client.rows("SELECT block, sum(blocks) n FROM sales WHERE block != '' GROUP BY block")
            there = {str(row["block"]): row["n"] for row in rows}
            self.assertEqual(acknowledged - there.keys(), set(), "an acknowledged block is missing")
            self.assertEqual(set(there.values()), {1}, "a block is there twice")
            self.assertEqual(self.orders(front), sum(sizes[token] for token in there) * 3, "a block is not whole")
            # Whoever got no answer sends the same block again, and it counts once whether or not it had been stored.
            for token in sizes.keys() - acknowledged:
                self.send_again(client, token, rollups.block(token, int(token.split("-")[2]), minutes=sizes[token]))
                acknowledged.add(token)
            self.assertEqual(self.orders(front), sum(sizes.values()) * 3)
        self.assertGreater(len(acknowledged), ROUNDS * WRITERS)

    def send_again(self, client: Client, token: str, block: bytes) -> None:
        """The same token first. The engine notes a token before it stores the part: a kill between the two leaves a token that is taken
        and a block that is absent, which is seen by reading, and the block then goes in under the next token."""
        rollups.insert(client, token, block)
        if client.count("sales", f"block = '{token}'") == 0:
            print(f"the token {token} was taken without its block", file=sys.stderr)
            rollups.insert(client, f"{token}-again", block)

    def orders(self, front: Front) -> object:
        return front.client().rows("SELECT sum(orders) o FROM sales")[0]["o"]

    def test_a_stop_ends_well_and_the_folder_is_one_process_s(self) -> None:
        front = Front(self)
        rollups.create(front.client())
        rollups.insert(front.client(), "a", rollups.block("a", 1, minutes=2))
        command = [sys.executable, "-m", "clickhouse", "--path", str(front.path), "--port", "1"]
        second = subprocess.run(command, cwd=NATIVE, capture_output=True, timeout=60)
        self.assertNotEqual(second.returncode, 0)
        self.assertEqual(front.end(signal.SIGTERM), 0)
        front.start()
        # The token is remembered over a restart too.
        rollups.insert(front.client(), "a", rollups.block("a", 1, minutes=2))
        self.assertEqual(self.orders(front), 6)


if __name__ == "__main__":
    unittest.main()
