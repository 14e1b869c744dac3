"""A WebSocket client as cheap as Python makes it, so that what is measured is the other side."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from typing import Any

from attrs import define, field
from typing_extensions import override


def framed(fields: dict[str, Any]) -> bytes:
    """One text frame. Masked with zeros, which is a mask, and changes nothing."""
    payload = json.dumps(fields).encode()
    size = len(payload)
    short = struct.pack("!BB", 0x81, 0x80 | min(size, 126))
    head = short if size < 126 else short + struct.pack("!H", size)
    return head + bytes(4) + payload


@define(eq=False, slots=False)
class Wire(asyncio.Protocol):
    """Calls ``hear`` with each text frame's payload, undecoded."""

    hear: Callable[[bytes], None]
    opened: asyncio.Future[None] = field(factory=lambda: asyncio.get_running_loop().create_future())
    _buffer: bytearray = field(factory=bytearray)
    transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

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
            if buffer[at] == 0x81:
                self.hear(bytes(buffer[at + head : at + head + size]))
            at += head + size
        del buffer[:at]

    def say(self, frame: bytes) -> None:
        assert self.transport is not None
        self.transport.write(frame)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


async def enter(port: int, chat_id: str, token: str, hear: Callable[[bytes], None]) -> Wire:
    """An open socket, let in; ``hear`` gets what comes after the greeting."""
    loop = asyncio.get_running_loop()
    greeted = loop.create_future()

    def greeting(payload: bytes) -> None:
        if b'"chat_history"' in payload[:40] and not greeted.done():
            greeted.set_result(None)
            wire.hear = hear

    _, wire = await loop.create_connection(lambda: Wire(greeting), "127.0.0.1", port)
    key = base64.b64encode(os.urandom(16)).decode()
    wire.say(
        (
            f"GET /chats/{chat_id}/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    await wire.opened
    wire.say(framed({"type": "auth", "token": token}))
    await greeted
    return wire
