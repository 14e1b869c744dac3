"""A wire between two parts of a messenger, which can be made bad in the ways in which networks are."""

import asyncio
import socket
from random import Random
from typing import Final, Literal

from attrs import define, field, frozen

CHUNK: Final = 65536

ON_THE_WAY: Final = 64
"""Chunks that may be under way in one direction. Further ones are not read."""

NARROW: Final = 8192
"""Bytes of a narrow wire's buffer."""

COMMIT: Final = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""What PostgreSQL is sent at the end of a transaction: a query of this one word."""

STEPS: Final = 20
"""Parts of a second in which a wire with a limited rate delivers."""


@frozen(kw_only=True)
class Weather:
    """How a wire carries what is said. ``up`` leads to the server, ``down`` to the client."""

    delay: float = 0.0
    """Seconds that everything takes, each way."""
    jitter: float = 0.0
    """The most seconds by which that differs from one chunk to the next."""
    rate: int | None = None
    """Bytes a second of each direction."""
    stops_up: bool = False
    stops_down: bool = False
    """Nothing arrives until the weather changes, and nobody is told."""
    refuses: bool = False
    """New connections are closed at once."""
    cut_within: int | None = None
    """Each direction of a new connection carries a random number of bytes up to this one. Then both are cut."""
    commits: Literal["held", "unanswered"] | None = None
    """Whether a COMMIT does not arrive, or its answer does not. What follows on its connection waits too."""
    is_narrow: bool = False
    """Little fits into a new connection that nobody reads from."""


FINE: Final = Weather()


@define(eq=False)
class Pipe:
    """One connection through a wire, both ways."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    carrying: "asyncio.Task[None] | None" = None
    is_committing: bool = False
    """Whether a COMMIT was held back, or left unanswered."""

    def cut(self) -> None:
        """Resets both ends."""
        for writer in (self.client, self.server):
            writer.transport.abort()
        if self.carrying is not None:
            self.carrying.cancel()


@define(eq=False)
class Wire:
    """Listens on a port of its own and carries every connection to ``target``, another port of the loopback address."""

    target: int
    chance: Random
    port: int = field(init=False, default=0)
    weather: Weather = field(init=False, default=FINE)
    pipes: dict[Pipe, None] = field(init=False, factory=dict)
    _server: asyncio.Server | None = field(init=False, default=None)
    _changed: asyncio.Event = field(init=False, factory=asyncio.Event)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def change(self, weather: Weather) -> None:
        self.weather = weather
        if weather.commits is None:
            for pipe in self.pipes:
                pipe.is_committing = False
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def committing(self) -> int:
        """Connections that wait for the end of a transaction, because of the weather."""
        return sum(pipe.is_committing for pipe in self.pipes)

    def cut(self) -> None:
        """Resets every connection."""
        for pipe in [*self.pipes]:
            pipe.cut()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        weather = self.weather
        if weather.refuses:
            client.transport.abort()
            return
        try:
            from_server, server = await self._reach(weather)
        except OSError:
            client.transport.abort()  # as the server itself refuses
            return
        pipe = Pipe(client, server)
        self.pipes[pipe] = None
        pipe.carrying = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(pipe, reader, server, is_up=True))
                group.create_task(self._carry(pipe, from_server, client, is_up=False))
        except (asyncio.CancelledError, ExceptionGroup):
            pass  # it was cut, by us or by one of its ends
        finally:
            del self.pipes[pipe]
            for writer in (client, server):
                writer.transport.abort()

    async def _reach(self, weather: Weather) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raw = socket.socket()
        raw.setblocking(False)
        if weather.is_narrow:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        try:
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.target))
        except OSError:
            raw.close()
            raise
        return await asyncio.open_connection(sock=raw, limit=NARROW if weather.is_narrow else CHUNK)

    async def _carry(
        self, pipe: Pipe, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        """One direction, until its source has ended. An end is passed on, so that the other direction goes on."""
        within = self.weather.cut_within
        left = None if within is None else self.chance.randint(1, within)
        way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THE_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(source, way))
            group.create_task(self._deliver(pipe, way, sink, left, is_up=is_up))

    async def _read(self, source: asyncio.StreamReader, way: "asyncio.Queue[tuple[float, bytes]]") -> None:
        loop = asyncio.get_running_loop()
        chunk = b"begin"
        while chunk:
            chunk = await source.read(CHUNK)
            weather = self.weather
            wait = weather.delay + self.chance.uniform(0, weather.jitter) if weather.delay else 0.0
            await way.put((loop.time() + wait, chunk))

    async def _deliver(
        self,
        pipe: Pipe,
        way: "asyncio.Queue[tuple[float, bytes]]",
        sink: asyncio.StreamWriter,
        left: int | None,
        *,
        is_up: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await way.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if is_up and self.weather.commits and COMMIT in chunk:
                pipe.is_committing = True
            await self._pass(pipe, is_up=is_up)
            if not chunk:
                if sink.can_write_eof():
                    sink.write_eof()
                return
            if left is not None and (left := left - len(chunk)) <= 0:
                sink.write(chunk[: len(chunk) + left])
                await sink.drain()
                pipe.cut()
                return
            await self._write(sink, chunk)

    async def _pass(self, pipe: Pipe, *, is_up: bool) -> None:
        """Returns when the weather lets this direction of a connection go on."""
        while self._is_stopped(pipe, is_up=is_up):
            await self._changed.wait()

    def _is_stopped(self, pipe: Pipe, *, is_up: bool) -> bool:
        weather = self.weather
        if weather.stops_up if is_up else weather.stops_down:
            return True
        stopped = "held" if is_up else "unanswered"
        return pipe.is_committing and weather.commits == stopped

    async def _write(self, sink: asyncio.StreamWriter, chunk: bytes) -> None:
        rate = self.weather.rate
        size = len(chunk) if rate is None else max(rate // STEPS, 1)
        for start in range(0, len(chunk), size):
            part = chunk[start : start + size]
            sink.write(part)
            await sink.drain()
            if rate is not None:
                await asyncio.sleep(len(part) / rate)
