"""The client's end of real sockets and event streams, for the people of `tests.simulation`."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

import httpx
import orjson
from attrs import define, field
from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from interfaces.ws.closing import Close
from tests.interfaces.http import event_client
from tests.simulation.access import Hear
from tests.system.faults.wire import make_narrow

BROKEN: Final = 1006

PING_SECONDS: Final = 1.0
"""How often a client asks whether the server is there."""

PONG_SECONDS: Final = 4.0
"""After how many seconds without an answer a client gives up."""

PATIENCE: Final = 30.0
"""Seconds that an opening may take."""


@define(eq=False)
class Tap:
    """Lets a client read, or not."""

    is_open: asyncio.Event = field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.is_open.set()

    def freeze(self) -> None:
        self.is_open.clear()

    def thaw(self) -> None:
        self.is_open.set()


@define(eq=False)
class Line(ABC):
    """``hear`` is told every frame, and in the end one `Close`."""

    hear: Hear
    to_client: Tap = field(init=False, factory=Tap)
    backlog: int = field(init=False, default=0)
    _outgoing: "asyncio.Queue[str | bytes]" = field(init=False, factory=asyncio.Queue)
    _is_over: bool = field(init=False, default=False)
    _task: "asyncio.Task[None]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._task = asyncio.create_task(self._run())

    def say(self, text: str | bytes) -> None:
        self._outgoing.put_nowait(text)

    def drop(self) -> None:
        self._end(BROKEN)
        self._abort()
        self._task.cancel()

    async def _run(self) -> None:
        code = BROKEN
        try:
            code = await self._talk()
        except (OSError, TimeoutError, WebSocketException, httpx.HTTPError):
            pass  # it broke, or could not be opened
        finally:
            self._abort()
            self._end(code)

    def _end(self, code: int) -> None:
        if not self._is_over:
            self._is_over = True
            self.hear(Close(code, ""))

    def _take(self, text: str) -> None:
        if not self._is_over:
            self.hear(text)

    @abstractmethod
    async def _talk(self) -> int:
        """Until the connection is over. Returns the close code."""

    @abstractmethod
    def _abort(self) -> None:
        """Breaks the connection, if there is one."""


async def reach(port: int, *, is_narrow: bool) -> socket.socket:
    """A connection to a wire. Into a narrow one little fits while the client does not read."""
    raw = socket.socket()
    raw.setblocking(False)
    try:
        if is_narrow:
            make_narrow(raw)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    except BaseException:
        raw.close()
        raise
    return raw


@define(eq=False)
class SocketLine(Line):
    url: str
    port: int
    is_narrow: bool = False
    takes_requests: bool = field(init=False, default=True)
    _connection: ClientConnection | None = field(init=False, default=None)

    @override
    async def _talk(self) -> int:
        async with connect(
            self.url,
            sock=await reach(self.port, is_narrow=self.is_narrow),
            proxy=None,
            compression=None,
            max_size=None,
            max_queue=1,
            open_timeout=PATIENCE,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=1.0,
        ) as connection:
            self._connection = connection
            writing = asyncio.create_task(self._write(connection))
            try:
                while True:
                    await self.to_client.is_open.wait()
                    text = await connection.recv()
                    assert isinstance(text, str)
                    self._take(text)
            except ConnectionClosed as ended:
                return _code(ended)
            finally:
                writing.cancel()

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                await connection.send(await self._outgoing.get())
        except ConnectionClosed:
            pass  # the reader tells

    @override
    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.transport.abort()


@define(eq=False)
class StreamLine(Line):
    http: httpx.AsyncClient
    headers: Mapping[str, str]
    query: Mapping[str, str]
    takes_requests: bool = field(init=False, default=False)

    @override
    async def _talk(self) -> int:
        timeout = httpx.Timeout(PATIENCE)
        request = self.http.stream(
            "GET", "/events/", headers={**self.headers}, params={**self.query}, timeout=timeout
        )
        async with request as answer:
            if answer.status_code != httpx.codes.OK:
                return 1008
            events = event_client.Events()
            async for chunk in answer.aiter_bytes():
                await self.to_client.is_open.wait()
                for frame, _ in events.feed(chunk):
                    if frame["type"] == "end":
                        return int(frame["code"])
                    self._take(orjson.dumps(frame).decode())
        return BROKEN

    @override
    def _abort(self) -> None: ...


def _code(ended: ConnectionClosed) -> int:
    """What the server closed with. That one of the two heard no pong in time is a break like any other."""
    said = ended.rcvd
    return said.code if said and ended.rcvd_then_sent and "ping timeout" not in said.reason else BROKEN
