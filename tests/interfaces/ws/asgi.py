"""The client's end of a socket, and the server's part of ASGI, in one process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from starlette.types import ASGIApp, Message

ENOUGH = 30
"""Seconds. What has not come by then does not come."""


class Closed(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@define(eq=False)
class ClientSocket:
    """Reads only when it is told to: up to ``window`` frames lie unread before the server must wait."""

    window: int
    _to_app: "asyncio.Queue[Message]" = field(init=False, factory=asyncio.Queue)
    _from_app: "asyncio.Queue[Message]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._from_app = asyncio.Queue(self.window)

    def send_json(self, fields: object) -> None:
        self.send_text(json.dumps(fields))

    def send_text(self, text: str) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def send_bytes(self, data: bytes) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": data})

    def disconnect(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def receive_json(self) -> Any:
        """
        Raises:
            Closed: There was a close instead.
        """
        async with asyncio.timeout(ENOUGH):
            return await self.take()

    async def take(self) -> Any:
        """Does what `receive_json` does, without a time limit."""
        message = await self._from_app.get()
        if message["type"] == "websocket.close":
            raise Closed(message["code"], message.get("reason") or "")
        return json.loads(message["text"])

    async def receive(self, count: int) -> list[Any]:
        return [await self.receive_json() for _ in range(count)]

    async def closed(self) -> tuple[int, str]:
        try:
            frame = await self.receive_json()
        except Closed as close:
            return close.code, close.reason
        raise AssertionError(frame)


@asynccontextmanager
async def connected(app: ASGIApp, path: str, window: int = 1000) -> AsyncIterator[ClientSocket]:
    socket = ClientSocket(window)
    socket._to_app.put_nowait({"type": "websocket.connect"})
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": [],
        "extensions": {},
    }

    async def serve() -> None:
        await app(scope, socket._to_app.get, socket._from_app.put)

    serving = asyncio.create_task(serve())
    try:
        async with asyncio.timeout(ENOUGH):
            answer = await socket._from_app.get()
        if answer["type"] != "websocket.accept":
            raise Closed(answer.get("code", 403), "refused")
        yield socket
        socket.disconnect()
        async with asyncio.timeout(ENOUGH):
            await serving
    finally:
        serving.cancel()
