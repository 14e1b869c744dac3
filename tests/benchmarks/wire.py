"""A WebSocket client as cheap as Python makes it, so that what is measured is the other side."""

import asyncio
import base64
import json
import os
import resource
import struct
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

import uvloop
from attrs import define, field
from typing_extensions import override

T = TypeVar("T")

TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
"""First bytes of whole frames (RFC 6455, section 5.2)."""


def framed(fields: dict[str, Any]) -> bytes:
    """One text frame. Masked with zeros, which is a mask, and changes nothing."""
    payload = json.dumps(fields).encode()
    size = len(payload)
    short = struct.pack("!BB", TEXT, 0x80 | min(size, 126))
    head = short if size < 126 else short + struct.pack("!H", size)
    return head + bytes(4) + payload


@define(eq=False, slots=False)
class Wire(asyncio.Protocol):
    """Calls ``hear`` with each text frame's payload, undecoded."""

    hear: Callable[[bytes], None]
    opened: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    greeted: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    _buffer: bytearray = field(factory=bytearray)
    transport: asyncio.Transport | None = None
    missed: int = 0
    """Messages that were told before it was current."""
    stand: tuple[str, int] = ("", 0)
    """Epoch and position that it entered at."""
    cursor: str = ""
    """The cursor that the socket of all chats was given when it was current."""
    said: str = "no close frame"
    """Code and reason of the server's close frame."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        for awaited in (self.opened, self.greeted):
            if not awaited.done():
                awaited.set_exception(exc or ConnectionError(f"closed before it was in: {self.said}"))

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self.opened.done():
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert buffer.startswith(b"HTTP/1.1 101"), bytes(buffer[:end])
            del buffer[: end + 4]
            self.opened.set_result(None)
        at = 0
        while len(buffer) - at >= 2:
            size, head = buffer[at + 1], 2
            if size == 126:
                head = 4
            elif size == 127:
                head = 10
            if len(buffer) - at < head:
                break
            if head == 4:
                (size,) = struct.unpack_from("!H", buffer, at + 2)
            elif head == 10:
                (size,) = struct.unpack_from("!Q", buffer, at + 2)
            if len(buffer) - at < head + size:
                break
            if buffer[at] == TEXT:
                self.hear(bytes(buffer[at + head : at + head + size]))
            elif buffer[at] == PING:
                self.say(bytes((PONG, 0x80 | size)) + bytes(4) + buffer[at + head : at + head + size])
            elif buffer[at] == CLOSE and size >= 2:
                code = int.from_bytes(buffer[at + head : at + head + 2])
                self.said = f"{code} {buffer[at + head + 2 : at + head + size].decode()}"
            at += head + size
        del buffer[:at]

    def say(self, frame: bytes) -> None:
        assert self.transport is not None
        self.transport.write(frame)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    def cut(self) -> None:
        """Ends the connection without a close frame, as a lost network does."""
        assert self.transport is not None
        self.transport.abort()


async def enter(
    port: int,
    chat_id: str,
    token: str,
    hear: Callable[[bytes], None],
    since: tuple[str, int] | None = None,
) -> Wire:
    """An open socket, let in; ``hear`` gets what comes after the greeting, or after what it missed ``since``."""
    auth: dict[str, Any] = {"type": "auth", "token": token}
    last = b'"chat_history"'
    if since is not None:
        auth["since"], last = {"epoch": since[0], "position": since[1]}, b'"resumed"'
    return await _enter(port, f"/chats/{chat_id}/ws", auth, last, hear)


async def enter_all_chats(
    port: int, token: str, hear: Callable[[bytes], None], cursor: str | None = None
) -> Wire:
    """A socket of all chats that is current; ``hear`` gets what comes after that. It resumes from ``cursor``."""
    auth: dict[str, Any] = {"type": "auth", "token": token}
    if cursor is not None:
        auth["since"] = {"cursor": cursor}
    return await _enter(port, "/ws", auth, b'"resumed"', hear)


async def _enter(
    port: int, path: str, auth: dict[str, Any], last: bytes, hear: Callable[[bytes], None]
) -> Wire:
    """Ends when the first frame comes that has ``last`` in its type."""
    loop = asyncio.get_running_loop()

    def greeting(payload: bytes) -> None:
        kind = payload[:40]
        if b'"new_message"' in kind:
            wire.missed += 1
        elif b'"auth_success"' in kind:
            fields = json.loads(payload)
            wire.stand = fields["epoch"], fields.get("position", 0)
        elif last in kind:
            if path == "/ws":
                wire.cursor = json.loads(payload)["cursor"]
            wire.hear = hear
            wire.greeted.set_result(None)

    _, wire = await loop.create_connection(lambda: Wire(greeting), "127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    wire.say(
        (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    await wire.opened
    wire.say(framed(auth))
    await wire.greeted
    return wire


async def enter_all(ways: Iterable[Coroutine[Any, Any, Wire]], at_once: int = 100) -> list[Wire]:
    """Each way is an `enter`; so many are gone at a time."""
    room = asyncio.Semaphore(at_once)

    async def one(way: Coroutine[Any, Any, Wire]) -> Wire:
        async with room:
            return await way

    return await asyncio.gather(*map(one, ways))


def run(main: Coroutine[Any, Any, T]) -> T:
    """On the loop that reads fastest, with as many open files as this process may have."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
