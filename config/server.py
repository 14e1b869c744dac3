"""uvicorn, as we start and stop it."""

import os
import time
from asyncio.base_events import Server as Listening
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socket import socket
from types import FrameType
from typing import Final

import uvicorn

ACCEPTED_AT_ONCE: Final = 16
"""Connections that are accepted in one turn: as many more than there may be are there for a moment."""

QUEUED: Final = 2048
"""Connections that the system keeps until they are accepted, as when all clients come back at once."""


class Server(uvicorn.Server):
    """
    A first signal begins to drain: for ``drain`` seconds everything is served as before, only `/readyz` says no, so that a
    balancer has time to send new clients elsewhere. Then, or at a second signal, it stops.
    """

    when_started: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, config: uvicorn.Config, *, drain: float = 0.0) -> None:
        super().__init__(config)
        self._drain = drain
        self._drained_at: float | None = None

    @property
    def is_leaving(self) -> bool:
        return self.should_exit or self._drained_at is not None

    def stop(self) -> None:
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_first = not self.is_leaving
        super().handle_exit(sig, frame)
        if is_first and self._drain:
            self._drained_at = time.monotonic() + self._drain
            self.should_exit = False

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _queue_many(self.servers)
            self.when_started()


class Aside(uvicorn.Server):
    """A second server in the same process: signals are the first one's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve_aside(self) -> None:
        """Until it is cancelled."""
        try:
            await self.serve()
        finally:
            for server in self.servers:
                server.close()


def _queue_many(servers: Iterable[Listening]) -> None:
    """asyncio takes one number for both: how many are queued, and how many are accepted at once."""
    for server in servers:
        for listening in server.sockets:
            with socket(fileno=os.dup(listening.fileno())) as same:
                same.listen(QUEUED)
