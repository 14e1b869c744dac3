"""A real NATS server, one for each worker of the tests, from a package of the requirements."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import define, field

from tests.ports import free_port
from tests.scratch import scratch_folder

PROGRAM = Path(sys.executable).with_name("nats-server")

PATIENCE = 60.0
"""Seconds after which something hangs."""


@define(eq=False)
class NatsServer:
    """A server that may be stopped and started again on the same port. ``options`` are further words of its command."""

    folder: Path
    options: Sequence[str] = ()
    port: int = field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it accepts connections."""
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [str(PROGRAM), "-a", "127.0.0.1", "-p", str(self.port), *self.options],
                stdout=output,
                stderr=output,
                cwd=self.folder,
                process_group=0,
            )
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return
            assert self.process.poll() is None, (self.folder / "output").read_text()
            assert time.monotonic() < until, (self.folder / "output").read_text()
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
            self.process = None


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    with scratch_folder("nats-") as folder:
        server = NatsServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
