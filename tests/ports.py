"""Ports for servers that are started a moment later, by another process."""

import os
import socket
from random import SystemRandom

FIRST, END = 10_000, 32_000
"""
Below the ports that Linux gives to outgoing connections (32768 to 60999). One of those may be taken, by any of the many
connections of the tests beside, between the question and the start of the server.
"""


def free_port() -> int:
    """A port of the loopback address at which nobody listens. No other worker of the tests is given the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(FIRST + worker, END, workers)
    while True:
        port = SystemRandom().choice(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
