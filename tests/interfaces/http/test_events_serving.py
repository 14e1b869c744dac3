"""Event streams and waiting clients under our HTTP class over TCP: deadlines, proxies, slow readers, and the end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import orjson
from attrs import Factory, define

from domain.ids import ChatId
from interfaces.http.node import HttpLimits
from tests.interfaces.http.event_client import Events
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.house import House, serving
from tests.world import SignedInPerson

ENOUGH: Final = 30
"""Seconds."""

NEVER_GAPS: Final[Mapping[str, Any]] = {"outbox_frames": 16, "close_timeout": 0.2, "gap_percent": 100}
"""Options with which slow readers are cut soon."""

Hold = Callable[[bytes], int]
"""Returns how many of the bytes that have come a proxy passes on."""


@define(eq=False)
class Stream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    events: Events = Factory(Events)
    frames: list[Any] = Factory(list)
    is_over: bool = False

    async def read(self) -> None:
        """Reads one chunk of the answer (RFC 9112, 7.1)."""
        async with asyncio.timeout(ENOUGH):
            size = int(await self.reader.readline(), 16)
            data = await self.reader.readexactly(size + 2)
        self.is_over = size == 0
        self.frames += [frame for frame, _ in self.events.feed(data[:-2])]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.read()

    async def heartbeats(self, count: int) -> None:
        enough = self.events.heartbeats + count
        await self.until(lambda: self.events.heartbeats >= enough)

    def said(self) -> list[str]:
        return [frame["message"]["text"] for frame in self.frames if frame["type"] == "new_message"]


@asynccontextmanager
async def listening(port: int, person: SignedInPerson, *, narrow: bool = False) -> AsyncIterator[Stream]:
    """``narrow``: what is not read soon fills the connection."""
    sock = socket.socket()
    sock.setblocking(False)
    if narrow:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if narrow else 2**20)
    writer.write(request("/events/", person))
    try:
        async with asyncio.timeout(ENOUGH):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200")
        assert "transfer-encoding: chunked" in head
        yield Stream(reader, writer)
    finally:
        writer.transport.abort()


def request(path: str, person: SignedInPerson) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {person.token}\r\n\r\n".encode()


def has_resumed(stream: Stream) -> Callable[[], bool]:
    return lambda: "resumed" in [frame["type"] for frame in stream.frames]


async def two(house: House) -> tuple[SignedInPerson, SignedInPerson, ChatId]:
    ann, bob = [await house.world.person(name) for name in ("Ann", "Bob")]
    return ann, bob, await house.world.chat(ann.actor, bob.actor)


async def test_a_silent_stream_outlives_every_deadline_of_requests() -> None:
    limits = HttpLimits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, write_seconds=0.2)
    async with serving("handed over", limits=limits, heartbeat_interval=0.3) as house:
        ann, bob, chat = await two(house)
        async with listening(house.port, bob) as stream:
            await stream.until(has_resumed(stream))
            await stream.heartbeats(3)
            await house.world.say(ann.actor, chat, "still here")
            await stream.until(lambda: stream.said() == ["still here"])


def whole_lines(held: bytes) -> int:
    return held.rfind(b"\n") + 1


def whole_buffers(held: bytes) -> int:
    return len(held) - len(held) % 1024


@asynccontextmanager
async def proxy(port: int, hold: Hold) -> AsyncIterator[int]:
    """Passes requests on at once, and of answers as much as ``hold`` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_server = await asyncio.open_connection("127.0.0.1", port)
        to_server.write(await reader.readuntil(b"\r\n\r\n"))
        held = b""
        try:
            while data := await behind.read(2**16):
                held += data
                passed = hold(held)
                writer.write(held[:passed])
                held = held[passed:]
        finally:
            writer.transport.abort()
            to_server.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_proxy_that_passes_on_whole_lines_holds_nothing_up() -> None:
    async with serving("handed over", heartbeat_interval=3600) as house:
        ann, bob, chat = await two(house)
        async with proxy(house.port, whole_lines) as port, listening(port, bob) as stream:
            await stream.until(has_resumed(stream))
            for text in ("one", "two"):
                await house.world.say(ann.actor, chat, text)
                await stream.until(lambda: text in stream.said())  # noqa: B023


async def test_a_proxy_that_fills_its_buffer_first_is_late_and_loses_nothing() -> None:
    async with serving("handed over", heartbeat_interval=0.01) as house:
        ann, bob, chat = await two(house)
        async with proxy(house.port, whole_buffers) as port, listening(port, bob) as stream:
            await stream.until(has_resumed(stream))
            texts = [f"{number}" for number in range(5)]
            for text in texts:
                await house.world.say(ann.actor, chat, text)
            await stream.until(lambda: stream.said() == texts)  # heartbeats push them on


async def test_one_who_does_not_read_is_cut_and_holds_nothing() -> None:
    async with serving("handed over", **NEVER_GAPS, heartbeat_interval=3600) as house:
        ann, bob, chat = await two(house)
        async with listening(house.port, bob, narrow=True) as stream:
            await stream.until(has_resumed(stream))  # what is replayed waits for slow readers
            for number in range(120):
                await house.world.say(ann.actor, chat, f"{number} " + "long " * 700, nonce=f"{number}")
            await until(lambda: house.hub.roster.is_empty)
            assert house.services.outboxes.used == 0
            with suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):  # it is cut anywhere
                await stream.until(lambda: stream.is_over)
            said = stream.said()
            assert [int(text.partition(" ")[0]) for text in said] == list(range(len(said)))
            assert len(said) < 120


async def test_nothing_is_kept_of_clients_that_have_gone() -> None:
    async with serving("handed over", heartbeat_interval=3600) as house:
        _, bob, _ = await two(house)
        async with listening(house.port, bob) as stream:
            await stream.until(has_resumed(stream))
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(f"/sync/?since={stream.events.last_id}&wait=600", bob))
            await until(lambda: len(house.hub.all_chats._visits) == 2)
            writer.transport.abort()
            await until(lambda: len(house.hub.all_chats._visits) == 1)
        await until(lambda: house.hub.roster.is_empty)


async def test_everything_that_waits_ends_when_the_server_stops() -> None:
    async with serving("handed over", heartbeat_interval=3600) as house:
        _, bob, _ = await two(house)
        async with listening(house.port, bob) as stream:
            await stream.until(has_resumed(stream))
            cursor = stream.events.last_id
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request(f"/sync/?since={cursor}&wait=600", bob))
            await until(lambda: len(house.hub.all_chats._visits) == 2)
            house.server.should_exit = True
            await stream.until(lambda: stream.is_over)
            assert stream.frames[-1] == {
                "type": "end",
                "code": 1012,
                "reason": "the server stops",
                "come_back": True,
            }
            async with asyncio.timeout(ENOUGH):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert orjson.loads(body)["data"]["frames"] == []
            writer.close()
