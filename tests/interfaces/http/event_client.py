"""The client's end of an event stream: a parser as browsers have it, and the server's part of ASGI in one process."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from attrs import Factory, define
from starlette.types import ASGIApp, Message

ENOUGH = 30
"""Seconds. What has not come by then does not come."""


@define(eq=False)
class Events:
    """Parses a stream (HTML, section 9.2.6). Bytes may be split anywhere."""

    last_id: str | None = None
    """The id of the last event that had one."""
    retry: int | None = None
    heartbeats: int = 0
    _rest: bytes = b""
    _data: list[str] = Factory(list)
    _id: str | None = None

    def feed(self, data: bytes) -> Iterator[tuple[Any, str | None]]:
        """Yields the frames that are complete now, each with the id that the client has after it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield from self._take(line.decode())

    def _take(self, line: str) -> Iterator[tuple[Any, str | None]]:
        if not line:
            if self._data:
                if self._id is not None:
                    self.last_id = self._id
                yield json.loads("\n".join(self._data)), self.last_id
            self._data, self._id = [], None
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.heartbeats += 1
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case "retry":
                self.retry = int(value)
            case _:
                raise AssertionError(f"an event has no such field: {line}")


@define(eq=False)
class Listening:
    """One request that is answered by a stream. Reads when it is told to, up to ``window`` writes lie unread."""

    events: Events = Factory(Events)
    status: int | None = None
    headers: Mapping[str, str] = Factory(dict)
    body: bytes = b""
    is_complete: bool = False
    written: int = 0
    _to_app: "asyncio.Queue[Message]" = Factory(asyncio.Queue)
    _from_app: "asyncio.Queue[Message]" = Factory(asyncio.Queue)
    _frames: "list[tuple[Any, str | None]]" = Factory(list)
    last_id: str | None = None
    """The id of the last event that was taken and had one, which the client sends back in ``Last-Event-ID``."""
    _serving: "asyncio.Task[None] | None" = None

    async def take(self) -> Any:
        """
        Returns the next frame, however long it takes.

        Raises:
            EOFError: The stream has ended.
        """
        while not self._frames:
            if self.is_complete:
                raise EOFError
            await self._read()
        frame, self.last_id = self._frames.pop(0)
        return frame

    async def frame(self) -> Any:
        async with asyncio.timeout(ENOUGH):
            return await self.take()

    async def until(self, type: str) -> list[Any]:
        """Frames up to the next of a type, which is the last of them."""
        found = [await self.frame()]
        while found[-1]["type"] != type:
            found.append(await self.frame())
        return found

    async def heartbeat(self) -> None:
        before = self.events.heartbeats
        async with asyncio.timeout(ENOUGH):
            while self.events.heartbeats == before:
                await self._read()

    async def answered(self) -> None:
        """Waits for the head of the answer, and for all of it if it is no stream."""
        async with asyncio.timeout(ENOUGH):
            while self.status is None or (self.status != 200 and not self.is_complete):
                await self._read()

    def disconnect(self) -> None:
        self._to_app.put_nowait({"type": "http.disconnect"})

    async def _read(self) -> None:
        message = await self._message()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message.get("body", b"")
        self.is_complete = not message.get("more_body", False)
        if self.status == 200:
            self._frames += self.events.feed(message.get("body", b""))

    async def _message(self) -> Message:
        assert self._serving is not None
        getting = asyncio.ensure_future(self._from_app.get())
        try:
            await asyncio.wait({getting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            await self._serving
            raise EOFError
        finally:
            getting.cancel()


@asynccontextmanager
async def listening(
    app: ASGIApp,
    token: str,
    *,
    last_id: str | None = None,
    method: str = "GET",
    window: int = 0,
    **query: str,
) -> AsyncIterator[Listening]:
    stream = Listening()
    stream._from_app = asyncio.Queue(window)
    stream._to_app.put_nowait({"type": "http.request"})
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if last_id is not None:
        headers.append((b"last-event-id", last_id.encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/events/",
        "raw_path": b"/events/",
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }

    async def serve() -> None:
        await app(scope, stream._to_app.get, stream._from_app.put)

    serving = stream._serving = asyncio.create_task(serve())
    try:
        yield stream
        stream.disconnect()
        async with asyncio.timeout(ENOUGH):
            while not serving.done():  # what is not read must not hold it up
                while not stream._from_app.empty():
                    stream._from_app.get_nowait()
                await asyncio.wait({serving}, timeout=0.01)
        await serving
    finally:
        serving.cancel()
