"""Real uvicorn over real TCP, with people in it; and a client that is no library."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import orjson
import psutil
import uvicorn
from attrs import Factory, define, field
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

from config.settings.groups import Settings
from domain.ids import ChatId
from interfaces.app import create_app
from interfaces.http.node import HttpLimits
from interfaces.http.options import HttpOptions
from interfaces.http.protocol import HttpConnections
from interfaces.live.hub import Hub
from interfaces.pace import Moments, Pace
from interfaces.ws.endpoint import Sockets
from interfaces.ws.heartbeats import Heartbeats
from interfaces.ws.options import SocketOptions
from interfaces.ws.protocol import SocketProtocol
from interfaces.ws.services import SocketServices
from tests.interfaces.live.test_hub import until, watching
from tests.interfaces.uvicorn_server import UvicornServer
from tests.world import SETTINGS, MessengerWorld, SignedInPerson, TickingClock, world

ENOUGH = 30
"""Seconds."""

FRAME_LIMIT = 65536

NEVER = 3600.0
"""Seconds."""


class PlainProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own. It gives who does not answer a close ten seconds, for which the tests need not wait."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = 1.0


WAYS: dict[str, Any] = {"handed over": SocketProtocol, "plain loop": PlainProtocol}


PATIENCE = {"handed over": 4.5, "plain loop": 9.0}
"""Seconds in which one who does not answer the close is cut, with some to spare on a busy machine."""


@define(eq=False)
class House:
    """A server with people in it."""

    world: MessengerWorld
    hub: Hub
    services: SocketServices
    app: Starlette
    server: UvicornServer
    port: int
    patience: float
    """Seconds that one who does not answer the close may take: ours by our class, else the other class's."""
    door: asyncio.Event
    """While it is not set nobody who comes is answered."""
    people: dict[str, SignedInPerson] = Factory(dict)
    lines: "list[Line]" = Factory(list)

    def __repr__(self) -> str:
        return (
            f"the house at {self.port}"  # Hypothesis writes its arguments out, and all that is in it is much
        )

    async def person(self, name: str) -> SignedInPerson:
        if name not in self.people:
            self.people[name] = await self.world.person(name)
        return self.people[name]

    async def chat(self, *names: str) -> ChatId:
        return await self.world.chat(*[(await self.person(name)).actor for name in names])

    async def line(self, chat_id: ChatId, *, narrow: bool = False) -> "Line":
        """A socket after the handshake. ``narrow``: what is not read soon fills it."""
        line = await self.dial(narrow=narrow)
        line.writer.write(handshake(f"/chats/{chat_id}/ws"))
        head = await line.head()
        assert head.startswith("HTTP/1.1 101 "), head
        return line

    async def dial(self, *, narrow: bool = False, port: int | None = None) -> "Line":
        raw = socket.socket()
        if narrow:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port or self.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=1024 if narrow else 65536)
        self.lines.append(Line(reader, writer))
        return self.lines[-1]

    async def enter(self, name: str, chat_id: ChatId, *, narrow: bool = False) -> "Line":
        line = await self.line(chat_id, narrow=narrow)
        line.say(type="auth", token=(await self.person(name)).token)
        assert (await line.hear())["type"] == "auth_success"
        assert (await line.hear())["type"] == "chat_history"
        return line


@define(eq=False)
class Line:
    """The client's side, byte by byte: it answers nothing by itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    close: tuple[int, str] | None = field(init=False, default=None)
    is_final: bool = field(init=False, default=True)
    """Whether the last frame was the last one of its message."""

    def say(self, **fields: Any) -> None:
        self.write(Opcode.TEXT, orjson.dumps(fields))

    def write(self, opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> None:
        self.writer.write(framed(opcode, data, fin=fin))

    async def head(self) -> str:
        """Reads the head of the answer to the handshake."""
        async with asyncio.timeout(ENOUGH):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        self.is_final = first >= 128
        size = second & 127
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
        return first & 15, await self.reader.readexactly(size)

    async def hear(self) -> dict[str, Any]:
        """The next text frame."""
        message = b""
        async with asyncio.timeout(ENOUGH):
            while True:
                opcode, data = await self.frame()
                assert opcode != Opcode.CLOSE, data
                if opcode in {Opcode.TEXT, Opcode.CONT}:
                    assert (opcode == Opcode.CONT) == bool(message), "parts of one message follow each other"
                    message += data
                    if self.is_final:
                        heard: dict[str, Any] = orjson.loads(message)
                        return heard

    async def until_close(self) -> list[dict[str, Any]]:
        """All that is heard until the server closes, which must say why."""
        heard = []
        async with asyncio.timeout(ENOUGH):
            while self.close is None:
                opcode, data = await self.frame()
                if opcode == Opcode.TEXT:
                    heard.append(orjson.loads(data))
                elif opcode == Opcode.CLOSE:
                    self.close = int.from_bytes(data[:2]), data[2:].decode()
        return heard

    async def until_cut(self) -> float:
        """Seconds until there is nothing any more."""
        began = time.monotonic()
        async with asyncio.timeout(ENOUGH):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionResetError:
                pass
        return time.monotonic() - began

    async def round_trip(self) -> int:
        """
        Store a message and wait for its answer; what is told meanwhile is left aside.

        Returns how often the event loop went round until then. Other processes of the machine do not make this more, as
        seconds would be; a wait for a timer does, by thousands.
        """
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        nonce = str(uuid4())
        counting = asyncio.create_task(count())
        try:
            self.say(type="send_message", text=nonce, nonce=nonce)
            while (await self.hear()).get("nonce") != nonce:
                pass
        finally:
            counting.cancel()
        return turns


def framed(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def handshake(path: str, changed: Mapping[str, str | None] | None = None, method: str = "GET") -> bytes:
    """A request to upgrade, with headers changed, added or (None) left out."""
    headers: dict[str, str | None] = {
        "Host": "server",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    headers |= changed or {}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


@asynccontextmanager
async def serving(
    way: str | type[SocketProtocol],
    *,
    pings: tuple[float, float] | None = None,
    limits: HttpLimits | None = None,
    settings: Settings = SETTINGS,
    pace: Pace | None = None,
    moments: Moments | None = None,
    **options: Any,
) -> AsyncIterator[House]:
    """
    ``pings``: seconds between two of them, and until one is answered, where sockets are handed over.
    """
    async with world(settings=settings) as here:
        messenger, clock = here.messenger, here.application.adapters.clock()
        assert isinstance(clock, TickingClock)
        clock.step = timedelta(milliseconds=1)  # a token lasts for as many looks at it as a house sees
        hub = Hub(
            feed=messenger.feed,
            clock=clock,
            interval=0.2,
        )
        here.application.updates().subscribe(hub.receive)
        services = SocketServices(
            messenger=messenger,
            hub=hub,
            options=SocketOptions(max_message_bytes=FRAME_LIMIT, **options),
            pace=pace or Pace(),
            moments=moments or Moments(),
            heartbeats=Heartbeats(*(pings or (NEVER, NEVER))),
        )
        app = create_app(
            messenger,
            HttpOptions(),
            new_request_id=lambda: "x",
            sockets=Sockets(services).routes(),
            live=services,
        )
        door = asyncio.Event()
        door.set()

        async def behind_the_door(scope: Scope, receive: Receive, send: Send) -> None:
            await door.wait()
            await app(scope, receive, send)

        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # so that little fills it
        # asyncio does it only for a socket that was made for TCP by name; what is accepted has it from here
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = UvicornServer(
            uvicorn.Config(
                behind_the_door,
                http=cast(Any, HttpConnections(limits or HttpLimits(), 1024, moments=services.moments)),
                ws=WAYS[way] if isinstance(way, str) else way,
                ws_max_size=FRAME_LIMIT,
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                server_header=False,  # as in production
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )
        watch, serve = asyncio.create_task(services.run()), asyncio.create_task(server.serve([listening]))
        try:
            await watching(hub)
            await until(lambda: server.started)
            house = House(
                here,
                hub,
                services,
                app,
                server,
                listening.getsockname()[1],
                PATIENCE[way] if isinstance(way, str) else PATIENCE["handed over"],
                door,
            )
            try:
                yield house
            finally:  # of a test that fails too, or a later one would be blamed for its sockets
                for line in house.lines:
                    line.writer.close()
                    line.writer.transport.abort()
        finally:
            server.should_exit = True
            await serve
            watch.cancel()
            await asyncio.wait({watch})


def used() -> int:
    """Bytes of memory."""
    return int(psutil.Process(os.getpid()).memory_info().rss)


MEBIBYTE = 1024 * 1024


async def rest(line: Line) -> bytes:
    """What comes until the end."""
    async with asyncio.timeout(ENOUGH):
        return await line.reader.read()


def asking(id_: object, size: int = 0) -> bytes:
    """A request that is answered with the same id, in so many bytes."""
    return orjson.dumps({"type": "ping", "id": id_}).ljust(size)


def asked(id_: object, size: int = 0) -> bytes:
    return framed(Opcode.TEXT, asking(id_, size))


def raw(first: int, second: int, rest: bytes = b"") -> bytes:
    """A frame by its first two bytes, with a mask of zeros where it says that it is masked."""
    size, mask = second & 127, b"\0\0\0\0" if second & 128 else b""
    length = {126: 2, 127: 8}.get(size, 0)
    return bytes([first, second]) + rest[:length] + mask + rest[length:]


MALFORMED = object()
"""The answer to a frame that is none of the messenger's."""


async def answers(line: Line, count: int) -> list[Any]:
    """Pongs by what they hold, answers to requests by their id."""
    got: list[Any] = []
    async with asyncio.timeout(30):
        while len(got) < count:
            opcode, data = await line.frame()
            if opcode == Opcode.PONG:
                got.append(data)
                continue
            assert opcode == Opcode.TEXT, (opcode, data)
            heard = orjson.loads(data)
            got.append(MALFORMED if heard.get("code") == "malformed" else heard["id"])
    return got
