"""
Server-sent events: the frames of the socket of all chats, for clients and proxies that speak HTTP only.

A stream is decided by the same connection object as the socket, so that its frames, limits and ends are the same. Here
they become events, and the end of a socket becomes a last event.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from application.actor import Actor
from application.errors import ApplicationError
from application.messenger import Messenger
from application.ports.limiter import TooManyRequests
from domain.errors import DomainError
from interfaces.http.authentication import actor_of
from interfaces.http.described import CHATS, described
from interfaces.http.long_answers import ending, long_answer
from interfaces.http.options import HttpOptions
from interfaces.http.requests import query
from interfaces.http.routes import Endpoint
from interfaces.live.all_chats import SinceCursor
from interfaces.wire import all_chats as news
from interfaces.wire import codec, frames
from interfaces.wire.codec import EventsQuery
from interfaces.wire.cursors import InvalidCursor
from interfaces.wire.frames import Frame
from interfaces.wire.reasons import Reset
from interfaces.wire.server_frames import Greeting, StreamEnd
from interfaces.ws.all_chats_connection import AllChatsConnection
from interfaces.ws.all_chats_desk import AllChatsDesk
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.crowds import TooManySockets
from interfaces.ws.exchange import Exchange
from interfaces.ws.outbox import Outbox
from interfaces.ws.services import SocketServices

MEDIA_TYPE: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"

HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": MEDIA_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx passes events on as they come
}

HEARTBEAT: Final = b":\n\n"
"""A comment. It shows both sides that the connection lives, and makes proxies that wait for a line pass on what they hold."""

WRITTEN_AT_ONCE: Final = 16 * 1024
"""Bytes of events that are joined into one write. Beyond it frames wait in the outbox, which limits and counts them."""

RETRY: Final = range(1000, 5000)
"""Milliseconds after which clients come back on their own, a different number for each session."""

EXAMPLE: Final = (
    "id: AAECAwQFBgcICQoLDA0OD3sifQ\n"
    'data: {"type":"resumed","cursor":"AAECAwQFBgcICQoLDA0OD3sifQ"}\n\n'
    'data: {"type":"chat_removed","chat_id":"21d79d31-3705-5068-a48b-18a2cdd3b0ae","reason":"left"}\n\n'
    'data: {"type":"end","code":1012,"reason":"history changed","come_back":true}\n\n'
)


@frozen
class Events:
    messenger: Messenger
    options: HttpOptions
    services: SocketServices

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", f"{self.options.prefix}/events/", self.listen)]

    @described(
        summary="Listen to all my chats: server-sent events",
        description="Each event is one frame of the socket of all chats (`/docs/protocol`); the `id` of an event is the"
        " cursor that holds after it. `Last-Event-ID`, or `since` on the first connection, resumes from a cursor. The token"
        " is sent in the header as for any other request: an address with a token in it would be logged by proxies."
        " A browser therefore reads the stream with `fetch`, not with `EventSource`. The last event has the type `end` and"
        " says whether to come back.",
        tag=CHATS,
        query=codec.EVENTS,
        needs_own_page=True,
        refuses=(TooManyRequests, TooManySockets),
        stream=EXAMPLE,
    )
    async def listen(self, request: Request) -> Response:
        await self.services.hub.watching()
        actor = await actor_of(request, self.messenger)
        since = self._since(request, codec.EVENTS.decode(query(request), within="query"))
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        return Stream(request, actor, since, self.services)

    def _since(self, request: Request, asked: EventsQuery) -> SinceCursor | Reset | None:
        """The header counts for more than the query: a browser that connects again repeats the address of the first time."""
        last = request.headers.get(LAST_EVENT_ID)
        cursor, seen = (last, {}) if last else (asked.since, asked.seen)
        if cursor is None:
            return None
        try:
            return SinceCursor(self.services.places.read(cursor), seen)
        except InvalidCursor:
            return Reset.MALFORMED


class EventsDesk(AllChatsDesk):
    @property
    @override
    def named(self) -> Mapping[str, str]:
        return {"chat": "all", "over": "events"}


@define(eq=False)
class Stream(Response):
    """One event stream. Nothing is written before the client has entered, so that a refusal is an ordinary answer."""

    _request: Request
    _actor: Actor
    _since: SinceCursor | Reset | None
    _services: SocketServices
    takes_parts: bool = field(init=False, default=False)
    _exchange: Exchange = field(init=False)
    _outbox: Outbox = field(init=False)
    _connection: AllChatsConnection = field(init=False)
    _ready: bytearray = field(init=False, factory=bytearray)
    """Whole events that are written next."""
    _end: Close | None = field(init=False, default=None)
    _woken: asyncio.Event = field(init=False, factory=asyncio.Event)
    _has_begun: bool = field(init=False, default=False)
    _writing: "asyncio.Task[None] | None" = field(init=False, default=None)
    _cutting: asyncio.TimerHandle | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        services, options = self._services, self._services.options
        self._outbox = Outbox(
            self, options.outbox_frames, options.outbox_bytes, services.meter, services.outboxes
        )
        self._connection = AllChatsConnection(self._outbox, self._greeting, services.places)
        self._exchange = Exchange(services, EventsDesk(services, self._connection), self)

    @property
    def _greeting(self) -> Greeting:
        options = self._services.options
        return frames.greeting(
            heartbeat_interval=options.heartbeat_interval, max_message_bytes=options.max_message_bytes
        )

    # As the source of frames, of which there are none

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    # Running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        writing = self._writing = asyncio.create_task(self._write_all(send))
        self._exchange.begin()
        try:
            async with ending(self._request, gone=self._gone, stopping=self._stop):
                await self._enter()
                await asyncio.wait({writing})
            if not writing.cancelled():
                writing.result()
        finally:
            self._exchange.gone(self._outbox.closing or GONE)
            self._outbox.abandon()
            writing.cancel()
            if self._cutting is not None:
                self._cutting.cancel()

    async def _enter(self) -> None:
        """
        Raises:
            DomainError, ApplicationError: The client may not enter, or not now, and nothing was written.
        """
        self._connection.greet(self._actor, self._since)
        try:
            await self._exchange.enter()
        except (DomainError, ApplicationError) as error:
            if not self._has_begun:
                raise
            self._connection.refuse(error)

    def _gone(self) -> None:
        self._end = GONE
        self._outbox.abandon()
        self._connection.close(GONE.code, GONE.reason)
        self._woken.set()

    def _stop(self) -> None:
        self._connection.close(CloseCode.RESTART, "the server stops")

    # Writing

    def write(self, frame: Frame) -> None:
        self._ready += event_of(frame)
        if len(self._ready) >= WRITTEN_AT_ONCE:
            self._outbox.hold_up()
        self._woken.set()

    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    def finish(self, close: Close) -> None:
        self._end = close
        if close.is_final:
            self._ready.clear()
        seconds = self._services.options.close_timeout
        self._cutting = asyncio.get_running_loop().call_later(seconds, self._cut)
        self._woken.set()

    def _cut(self) -> None:
        """Ends the stream without its last event: a client that does not read must not delay the end."""
        if answer := long_answer(self._request):
            answer.abort()
        elif self._writing is not None:
            self._writing.cancel()

    async def _write_all(self, send: Send) -> None:
        await self._woken.wait()
        if self._end is GONE:
            return
        self._has_begun = True
        await send({"type": "http.response.start", "status": 200, "headers": _raw(HEADERS)})
        await self._send(send, f"retry: {RETRY[self._actor.session_id.int % len(RETRY)]}\n".encode())
        while self._end is None or self._ready:
            self._woken.clear()
            events = bytes(self._ready)
            self._ready.clear()
            if events:
                await self._send(send, events)
                self._outbox.clear()
            elif self._end is None:
                await self._next(send)
        if self._end is not GONE:
            await send({"type": "http.response.body", "body": last_event(self._end)})

    async def _next(self, send: Send) -> None:
        """Waits for an event, or writes a heartbeat when none has come for so long."""
        try:
            async with asyncio.timeout(self._services.options.heartbeat_interval):
                await self._woken.wait()
        except TimeoutError:
            await self._send(send, HEARTBEAT)

    async def _send(self, send: Send, data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})


def event_of(frame: Frame) -> bytes:
    """Returns a frame as an event. An event has the ``id`` with which its reader can resume right behind it, if there is one."""
    if isinstance(frame, news.CursorFrame):
        return b"id: " + frame.cursor.encode() + b"\ndata: " + frame.data + b"\n\n"
    return b"data: " + frame.data + b"\n\n"


def last_event(end: Close) -> bytes:
    code = next(code for code in CloseCode if code == end.code)
    fields: StreamEnd = {
        "type": "end",
        "code": int(code),
        "reason": end.reason,
        "come_back": code.comes_back,
    }
    return event_of(frames.write(fields))


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
