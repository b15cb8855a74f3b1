"""bare.c does what it says: it sends every request and reads every reply, and prints what one of them cost."""

import pathlib
import socketserver
import subprocess
import tempfile
import threading
import unittest

import peers


class Accepts(socketserver.StreamRequestHandler):
    """202 to each request of a known length."""

    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while line.strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                line = self.rfile.readline()
            self.server.bodies.append(self.rfile.read(length))
            self.wfile.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")


class Bare(unittest.TestCase):
    def test_each_request_is_sent_and_answered(self):
        with (
            tempfile.TemporaryDirectory() as folder,
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), Accepts) as server,
        ):
            bare = pathlib.Path(folder, "bare")
            source = peers.HERE / "bare.c"
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", bare, source], check=True)
            server.daemon_threads, server.bodies = True, []
            threading.Thread(target=server.serve_forever, daemon=True).start()
            load = peers.Load(f"http://127.0.0.1:{server.server_address[1]}/v1/orders", 50, 1, 3)
            told = subprocess.run(peers.bare(bare, load), capture_output=True, text=True, check=True, timeout=60)
            server.shutdown()
        sent, _ = peers.read_bare(told.stdout, load)
        self.assertEqual((sent, len(server.bodies)), (50, 50))
        self.assertEqual(set(server.bodies), {peers.ORDER.read_bytes()})
        self.assertGreater(float(told.stdout), 0.0)


if __name__ == "__main__":
    unittest.main()
