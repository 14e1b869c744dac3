"""The HTTP interface under our uvicorn class over real sockets, and a client that sends bytes as they are."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import uvicorn
from attrs import Factory, define
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from interfaces.app import create_app
from interfaces.http.node import HttpLimits, Node
from interfaces.http.options import HttpOptions
from interfaces.http.protocol import HttpConnections
from interfaces.http.routes import Endpoint
from interfaces.wire.parts import PART_BYTES
from tests.interfaces.http.conftest import make_world
from tests.interfaces.uvicorn_server import UvicornServer

ENOUGH = 30.0
"""Seconds for what has no target of its own."""

BIG = 3 * 1024 * 1024

MEDIUM = 2 * PART_BYTES
"""Bytes of an answer that is written at once."""

STREAMED = 1024
"""Bytes of one part of a stream."""


@define
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@define(eq=False)
class Line:
    """One TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        return await self.answer()

    async def answer(self) -> Answer:
        async with asyncio.timeout(ENOUGH):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(head[0].split()[1]), headers, body)

    async def rest_of(self, count: int) -> bytes:
        """What comes up to the end of the connection, or of a body of ``count`` bytes behind its head."""
        read = bytearray()
        async with asyncio.timeout(ENOUGH):
            try:
                while len(read.partition(b"\r\n\r\n")[2]) < count and (more := await self.reader.read(2**16)):
                    read += more
            except ConnectionError:
                pass
        return bytes(read)

    async def rest(self) -> bytes:
        """All that comes before the other side ends the connection."""
        async with asyncio.timeout(ENOUGH):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@define(eq=False)
class Site:
    """A running server."""

    port: int
    connections: HttpConnections
    app: Starlette
    server: UvicornServer
    task: "asyncio.Task[None]"
    lines: list[Line] = Factory(list)

    @property
    def node(self) -> Node:
        return self.connections.node

    async def stop(self) -> None:
        """Stops the server as a signal does."""
        self.server.should_exit = True
        await asyncio.shield(self.task)

    async def line(self, *, narrow: bool = False, source: str | None = None) -> Line:
        """``narrow``: what is not read soon fills it. ``source``: the address it comes from."""
        sock = socket.socket()
        sock.setblocking(False)
        if narrow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if source:
            sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if narrow else 2**20)
        self.lines.append(Line(reader, writer))
        return self.lines[-1]

    async def ask(self, data: bytes) -> Answer:
        return await (await self.line()).ask(data)


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def unread(_: Request) -> Response:
    return PlainTextResponse("as it is")


async def big(_: Request) -> Response:
    return PlainTextResponse(b"x" * BIG)


async def medium(_: Request) -> Response:
    return PlainTextResponse(b"x" * MEDIUM)


async def url(request: Request) -> Response:
    return PlainTextResponse(
        f"{request.method} {request.url.path}?{request.url.query} {request.headers['host']}"
    )


async def wait(request: Request) -> Response:
    await request.app.state.door.wait()
    return PlainTextResponse("at last")


async def stream(request: Request) -> Response:
    """Sends much, and then nothing until the door is opened."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(BIG // STREAMED):
            yield b"x" * STREAMED
        await request.app.state.door.wait()

    return StreamingResponse(parts())


async def part(request: Request) -> Response:
    """Sends one part that fills the transport's buffer, and nothing more until the door is opened."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"x" * MEDIUM
        await request.app.state.door.wait()

    return StreamingResponse(parts())


def app_of(options: HttpOptions) -> Starlette:
    added = [
        Endpoint("POST", "/echo", echo),
        Endpoint("POST", "/unread", unread),
        Endpoint("GET", "/big", big),
        Endpoint("GET", "/stream", stream),
        Endpoint("GET", "/part", part),
        Endpoint("GET", "/medium", medium),
        Endpoint("GET", "/url", url),
        Endpoint("GET", "/wait", wait),
    ]
    world = make_world()
    app = create_app(world.messenger, options, new_request_id=lambda: "x", added=added)
    app.state.world = world
    app.state.door = asyncio.Event()
    return app


@asynccontextmanager
async def serving(
    *,
    descriptors: int = 1024,
    body_limit: int = 262144,
    connections: Any = None,
    shutdown_seconds: float = 2.0,
    **limits: Any,
) -> AsyncIterator[Site]:
    listening = socket.create_server(("127.0.0.1", 0))
    made = connections or HttpConnections(HttpLimits(**limits), descriptors)
    app = app_of(HttpOptions(body_limit=body_limit))
    server = UvicornServer(
        uvicorn.Config(
            app,
            http=cast(Any, made),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=cast(int, shutdown_seconds),  # used as a float
        )
    )
    serve = asyncio.create_task(server.serve([listening]))
    async with asyncio.timeout(ENOUGH):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
    site = Site(listening.getsockname()[1], made, app, server, serve)
    try:
        yield site
    finally:
        app.state.door.set()
        for line in site.lines:
            line.writer.transport.abort()
        await site.stop()
