"""A wire between two parts of a messenger, which can be made bad in the ways in which networks are."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final, Literal

from attrs import define, field, frozen
from typing_extensions import override

ON_THE_WAY: Final = 256 * 1024
"""Bytes that may be under way in one direction."""

NARROW: Final = 4096
"""Bytes of each buffer of a narrow connection."""

SEGMENT: Final = 1448
"""
Bytes of its segments. Before larger ones the kernel of the sender keeps megabytes that nobody reads; with smaller ones it lets
more of them be under way, and keeps more too.
"""


def make_narrow(connection: socket.socket) -> None:
    """Lets the kernels of both sides keep little of what is sent here and not read. Is called before it connects."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)


COMMIT: Final = b"COMMIT\x00"
"""What PostgreSQL is sent at the end of a transaction, be it as a query of this one word or as a statement among others."""

AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Lets a connection end by a reset, so that its other side is told an error and not an orderly end."""

CLOSES: Final = 0.01
"""Seconds in which the event loop does what it was about to do when a wire is closed."""

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
class End(asyncio.Protocol):
    """One end of a connection, as the event loop sees it."""

    made: Callable[["End"], None] = field(default=lambda _: None)
    """Called when there is a connection."""
    lost: Callable[["End"], None] = field(default=lambda _: None)
    """Called when it is over."""
    transport: asyncio.Transport | None = None
    onward: "Way | None" = None
    """Where that goes which is heard here."""
    early: list[bytes] = field(factory=list)
    """The bytes that arrived before ``onward`` was set. Python 3.11.2 reads from a transport even if `connection_made` pauses it."""
    pipe: "Pipe | None" = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.made(self)

    @override
    def data_received(self, data: bytes) -> None:
        self._pass_on(data)

    @override
    def eof_received(self) -> bool:
        self._pass_on(b"")
        return True

    def _pass_on(self, chunk: bytes) -> None:
        if self.onward is None:
            self.early.append(chunk)
        else:
            self.onward.put(chunk)

    def lead(self, onward: "Way") -> None:
        """From now on what is heard goes there, after what was heard before."""
        self.onward = onward
        for chunk in self.early:
            onward.put(chunk)
        self.early.clear()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost(self)
        if self.pipe is not None:
            self.pipe.lose()

    @override
    def pause_writing(self) -> None:
        if self.pipe is not None:
            self.pipe.way_to(self).hold()

    @override
    def resume_writing(self) -> None:
        if self.pipe is not None:
            self.pipe.way_to(self).release()


@define(eq=False)
class Way:
    """One direction of a connection."""

    wire: "Wire"
    pipe: "Pipe"
    source: asyncio.Transport
    sink: asyncio.Transport
    is_up: bool
    left: int | None
    """Bytes that it still carries before the connection is cut."""
    room: int
    """Bytes that may be under way. Further ones are not read."""
    has_ended: bool = field(init=False, default=False)
    _items: deque[tuple[float, bytes]] = field(init=False, factory=deque)
    _size: int = field(init=False, default=0)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)
    _is_held: bool = field(init=False, default=False)

    def put(self, chunk: bytes) -> None:
        """An empty one is the end of what its source has to say."""
        weather, now = self.wire.weather, asyncio.get_running_loop().time()
        wait = weather.delay + self.wire.chance.uniform(0, weather.jitter) if weather.delay else 0.0
        self._items.append((now + wait, chunk))
        self._size += len(chunk)
        if self._size > self.room:
            self.source.pause_reading()
        self.go_on()

    def hold(self) -> None:
        """Its sink takes nothing at present."""
        self._is_held = True

    def release(self) -> None:
        self._is_held = False
        self.go_on()

    def go_on(self) -> None:
        """Delivers what is due, unless the weather stops it."""
        if self._timer is not None:
            return
        while self._items and not self._is_held and not self.pipe.is_over:
            due, chunk = self._items[0]
            if (wait := due - asyncio.get_running_loop().time()) > 0:
                self._later(wait)
                return
            if self._is_stopped(chunk):
                return
            self._items.popleft()
            if pause := self._deliver(chunk):
                self._later(pause)
                return

    def _later(self, wait: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.go_on()

    def _is_stopped(self, chunk: bytes) -> bool:
        weather = self.wire.weather
        if self.is_up and weather.commits and COMMIT in chunk:
            self.pipe.is_committing = True
        if weather.stops_up if self.is_up else weather.stops_down:
            return True
        stopped = "held" if self.is_up else "unanswered"
        return self.pipe.is_committing and weather.commits == stopped

    def _deliver(self, chunk: bytes) -> float:
        """Returns after how many seconds it goes on."""
        if self.sink.is_closing():
            return 0.0
        if not chunk:
            try:
                self.sink.write_eof()
            except OSError:
                self.pipe.cut()  # the other side has gone, and the event loop has not said so yet
            self.has_ended = True
            self.pipe.end()
            return 0.0
        rate = self.wire.weather.rate
        if rate is not None and len(chunk) > (most := max(rate // STEPS, 1)):
            self._items.appendleft((0.0, chunk[most:]))
            chunk = chunk[:most]
        self._size -= len(chunk)
        if self._size <= self.room // 2 and not self.source.is_closing():
            self.source.resume_reading()
        if self.left is not None and (left := self.left - len(chunk)) <= 0:
            self.sink.write(chunk[: len(chunk) + left])
            self.pipe.cut()
            return 0.0
        if self.left is not None:
            self.left -= len(chunk)
        self.sink.write(chunk)
        return 0.0 if rate is None else len(chunk) / rate


@define(eq=False)
class Pipe:
    """One connection through a wire, both ways."""

    wire: "Wire"
    client: End
    server: End
    up: Way = field(init=False)
    down: Way = field(init=False)
    is_committing: bool = field(init=False, default=False)
    """Whether a COMMIT was held back, or left unanswered."""
    is_over: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        client, server = self.client.transport, self.server.transport
        assert client is not None
        assert server is not None
        within, chance = self.wire.weather.cut_within, self.wire.chance
        lefts = [None if within is None else chance.randint(1, within) for _ in range(2)]
        room = NARROW if self.wire.weather.is_narrow else ON_THE_WAY
        self.up = Way(self.wire, self, client, server, is_up=True, left=lefts[0], room=room)
        self.down = Way(self.wire, self, server, client, is_up=False, left=lefts[1], room=room)
        self.client.pipe = self.server.pipe = self
        self.client.lead(self.up)
        self.server.lead(self.down)

    def way_to(self, end: End) -> Way:
        return self.up if end is self.server else self.down

    def end(self) -> None:
        """Closes both ends if neither has more to say."""
        if self.up.has_ended and self.down.has_ended and not self.is_over:
            self.is_over = True
            self.wire.pipes.pop(self, None)
            for way in (self.up, self.down):
                way.sink.close()

    def lose(self) -> None:
        """One end is gone: the other one goes with it, unless the weather hides that."""
        weather = self.wire.weather
        if not (weather.stops_up or weather.stops_down):
            self.cut()

    def cut(self) -> None:
        """Resets both ends."""
        if self.is_over:
            return
        self.is_over = True
        self.wire.pipes.pop(self, None)
        for way in (self.up, self.down):
            way.sink.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            way.sink.abort()


@define(eq=False)
class Wire:
    """Listens on a port of its own and carries every connection to ``target``, another port of the loopback address."""

    target: int
    chance: Random
    port: int = field(init=False, default=0)
    weather: Weather = field(init=False, default=FINE)
    pipes: dict[Pipe, None] = field(init=False, factory=dict)
    _server: asyncio.Server | None = field(init=False, default=None)
    _clients: dict[End, None] = field(init=False, factory=dict)
    _opening: "dict[asyncio.Task[None], None]" = field(init=False, factory=dict)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(partial(End, self._accept, self._forget), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(CLOSES)  # the event loop may be about to accept somebody still
        for task in [*self._opening]:
            task.cancel()
        self.cut()
        for client in [*self._clients]:
            assert client.transport is not None
            client.transport.abort()
        await asyncio.sleep(CLOSES)

    def change(self, weather: Weather) -> None:
        self.weather = weather
        for pipe in [*self.pipes]:
            if weather.commits is None:
                pipe.is_committing = False
            pipe.up.go_on()
            pipe.down.go_on()
            if pipe.up.sink.is_closing() or pipe.down.sink.is_closing():
                pipe.lose()

    @property
    def committing(self) -> int:
        """Connections that wait for the end of a transaction, because of the weather."""
        return sum(pipe.is_committing for pipe in self.pipes)

    def cut(self) -> None:
        """Resets every connection."""
        for pipe in [*self.pipes]:
            pipe.cut()

    def _forget(self, client: End) -> None:
        self._clients.pop(client, None)

    def _accept(self, client: End) -> None:
        assert client.transport is not None
        self._clients[client] = None
        if self.weather.refuses:
            client.transport.abort()
            return
        client.transport.pause_reading()
        if self.weather.is_narrow:
            raw = client.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
            client.transport.set_write_buffer_limits(high=NARROW)
        task = asyncio.create_task(self._connect(client, client.transport))
        self._opening[task] = None
        task.add_done_callback(lambda task: self._opening.pop(task, None))

    async def _connect(self, client: End, transport: asyncio.Transport) -> None:
        try:
            server = await self._reach()
        except OSError:
            transport.abort()  # as the server itself refuses
            return
        if transport.is_closing():
            assert server.transport is not None
            server.transport.abort()
            return
        self.pipes[Pipe(self, client, server)] = None
        transport.resume_reading()

    async def _reach(self) -> End:
        loop, raw = asyncio.get_running_loop(), socket.socket()
        raw.setblocking(False)
        if self.weather.is_narrow:
            make_narrow(raw)
        try:
            await loop.sock_connect(raw, ("127.0.0.1", self.target))
        except OSError:
            raw.close()
            raise
        _, end = await loop.create_connection(End, sock=raw)
        return end
