"""Starting and stopping uvicorn."""

import asyncio
import os
import signal
import time
from asyncio.base_events import Server as Listening
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from socket import socket
from types import FrameType
from typing import Final

import uvicorn

from config.listening import Place
from config.signals import heard, ignore_signals
from config.stopping import Stopping
from config.supervisor import READY, STOPPING, report

LEAVE: Final = b"l"
"""Tells a worker to drain and to stop, as the first signal does."""

STOP: Final = b"s"
"""Tells a worker to stop at once, as the second signal does. The end of the pipe means the same."""

ACCEPTED_AT_ONCE: Final = 16
"""The most connections that are accepted at once. Their limit may be exceeded by that number for a moment."""

QUEUED: Final = 2048
"""How many connections the system queues until they are accepted, for example when all clients reconnect at once."""


log: Final = getLogger(__name__)


class BackgroundFailed(Exception):
    """A background task has ended, and the server with it. The log says which one and why."""


class Server(uvicorn.Server):
    """
    The first signal to stop begins the draining: for ``drain`` seconds everything is served as before, but `/readyz`
    reports 503, so that a load balancer sends new clients elsewhere, and clients of sockets are asked to leave. Then, or at a
    second signal, the server stops.

    After `serve` returns signals are ignored, because the process is about to end.
    """

    when_started: Callable[[], None] = staticmethod(lambda: None)
    control: int | None = None
    """The pipe by which a parent tells this server to leave or to stop (`config.crew`); None if signals tell it so."""
    when_leaving: Callable[[float], None] = staticmethod(lambda _: None)
    """Called once, when `/readyz` has begun to report 503, with the seconds until all sockets are closed."""

    def __init__(
        self, config: uvicorn.Config, place: Place, *, drain: float = 0.0, stopping: Stopping | None = None
    ) -> None:
        super().__init__(config)
        self._place = place
        self._drain = drain
        self._stopping = stopping or Stopping()
        self._drained_at: float | None = None
        self._failed = False
        self._has_said_so = False

    @property
    def is_leaving(self) -> bool:
        return self.should_exit or self._drained_at is not None

    def fail(self) -> None:
        """Stop, because a background task has ended."""
        self._failed = True
        self._stop()

    def _stop(self) -> None:
        self.should_exit = True
        self._stopping.must_end()

    async def serve_on(self, sockets: Sequence[socket]) -> None:
        """
        Serves until a signal stops the server.

        Raises:
            BackgroundFailed: A background task has ended, or did not start.
            CannotListen: Another program has taken the port.
        """
        await self.serve(list(sockets))
        if self._failed or not (self.started or self.should_exit):
            raise BackgroundFailed

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in heard():
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            ignore_signals()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_first = not self.is_leaving
        if self.control is not None and not is_first:
            return  # a service manager may signal parent and workers alike; to stop at once is the parent's decision
        super().handle_exit(sig, frame)
        if is_first and self._drain:
            self._drained_at = time.monotonic() + self._drain
            self.should_exit = False
        else:
            self._stop()

    def _obey(self) -> None:
        assert self.control is not None
        told = os.read(self.control, 1)
        if told == LEAVE:
            self.handle_exit(signal.SIGTERM, None)
        else:
            self._stop()
        if not told:  # the parent has died
            asyncio.get_running_loop().remove_reader(self.control)

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None:
            left = self._drained_at - time.monotonic()
            self._say_so(max(left, 0.0))
            if left <= 0:
                self._stop()
        return await super().on_tick(counter)

    def _say_so(self, seconds: float) -> None:
        if not self._has_said_so:
            self._has_said_so = True
            self.when_leaving(seconds)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # from uvicorn, if the application did not start; the log has the reason
            raise BackgroundFailed from None
        except OSError as error:
            await self.lifespan.shutdown()
            raise self._place.refusal(error) from None
        if self.started:
            _queue_many(self.servers)
            self.when_started()
            log.info("listening on %s", self._place)
            report(READY)
            if self.control is not None:
                asyncio.get_running_loop().add_reader(self.control, self._obey)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self._say_so(0.0)
        report(STOPPING)
        log.info("stopping", extra={"connections": len(self.server_state.connections)})
        await super().shutdown(sockets)


class SideServer(uvicorn.Server):
    """A second server in the same process. It leaves the signals to the main server."""

    def __init__(self, config: uvicorn.Config, sockets: Sequence[socket]) -> None:
        super().__init__(config)
        self._sockets = list(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve_aside(self) -> None:
        """Serves until it is cancelled."""
        try:
            await self.serve(self._sockets)
        finally:
            for server in self.servers:
                server.close()


def _queue_many(servers: Iterable[Listening]) -> None:
    """Sets the length of the queue separately: asyncio uses one number for it and for how many are accepted at once."""
    for server in servers:
        for listening in server.sockets:
            with socket(fileno=os.dup(listening.fileno())) as same:
                same.listen(QUEUED)
