"""
The socket of one chat and the socket of all chats under an ASGI server.

The route accepts or refuses the handshake. Under `SocketProtocol` it then hands the socket over and its task ends; under any
other server a plain loop reads and writes for the same connection object.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from attrs import define, field, frozen
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.ids import ChatId
from domain.network import network_of
from interfaces.wire import frames
from interfaces.wire.faults import InvalidValue
from interfaces.wire.frames import Frame
from interfaces.wire.server_frames import Greeting
from interfaces.wire.values import identity
from interfaces.ws.all_chats_connection import AllChatsConnection
from interfaces.ws.all_chats_desk import AllChatsDesk
from interfaces.ws.chat_connection import ChatConnection
from interfaces.ws.chat_desk import ChatDesk
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.exchange import Desk, Exchange, FrameSource
from interfaces.ws.outbox import Outbox, Writer
from interfaces.ws.services import SocketServices

HAND_OVER: Final = "messenger.hand_over"
"""The ASGI extension of `protocol`: called with an `Opening`, it takes the socket over permanently."""


class Transport(FrameSource, Writer, Protocol):
    """Reads and writes one socket."""


@frozen
class Opening:
    """A socket after its handshake, passed to the transport that reads and writes it from then on."""

    services: SocketServices
    greeting: Greeting
    chat_id: ChatId | None
    """None for the socket of all chats."""
    network: str = ""
    """The client's network (`domain.network.network_of`); empty if its address is not known."""

    def exchange(self, transport: Transport) -> Exchange:
        services, options = self.services, self.services.options
        outbox = Outbox(
            transport, options.outbox_frames, options.outbox_bytes, services.meter, services.outboxes
        )
        desk = self._desk(outbox, takes_parts=transport.takes_parts)
        return Exchange(services, desk, transport, self.network)

    def _desk(self, outbox: Outbox, *, takes_parts: bool) -> Desk:
        if self.chat_id is None:
            everything = AllChatsConnection(outbox, self.greeting, self.services.places)
            return AllChatsDesk(self.services, everything)
        return ChatDesk(self.services, ChatConnection(outbox, self.greeting, self.chat_id), takes_parts)


@frozen
class SocketApp:
    """
    An ASGI application that serves a socket. Starlette would wrap a function into two more, which answer exceptions that these
    handlers do not raise.
    """

    serve: Callable[[WebSocket], Awaitable[None]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.serve(WebSocket(scope, receive, send))


@define(eq=False)
class Sockets:
    """The routes of sockets: that of one chat, and that of all chats."""

    _services: SocketServices
    _greeting: Greeting = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self._services.options
        self._greeting = frames.greeting(
            heartbeat_interval=options.heartbeat_interval, max_message_bytes=options.max_message_bytes
        )

    def routes(self, prefix: str = "") -> list[WebSocketRoute]:
        return [
            WebSocketRoute(f"{prefix}/chats/{{chat_id}}/ws", SocketApp(self.serve_chat)),
            WebSocketRoute(f"{prefix}/ws", SocketApp(self.serve_all)),
        ]

    async def serve_chat(self, websocket: WebSocket) -> None:
        try:
            chat_id = ChatId(identity(websocket.path_params["chat_id"]))
        except InvalidValue:
            await websocket.close()  # before it is accepted: the handshake is refused with 403
            return
        await self._serve(websocket, chat_id)

    async def serve_all(self, websocket: WebSocket) -> None:
        await self._serve(websocket, None)

    async def _serve(self, websocket: WebSocket, chat_id: ChatId | None) -> None:
        await websocket.accept()
        network = network_of(websocket.client.host) if websocket.client else ""
        opening = Opening(self._services, self._greeting, chat_id, network)
        if hand_over := websocket.scope.get("extensions", {}).get(HAND_OVER):
            hand_over(opening)
        else:
            await Loop(websocket, opening).run()


@define(eq=False)
class Loop:
    """Reads and writes through ASGI: one task reads, and another one writes the frames of the outbox."""

    _websocket: WebSocket
    _opening: Opening
    takes_parts: bool = field(init=False, default=False)
    _outbox: Outbox = field(init=False)
    _exchange: Exchange = field(init=False)
    _out: asyncio.Queue[Frame | Close] = field(init=False, factory=asyncio.Queue)
    _readable: asyncio.Event = field(init=False, factory=asyncio.Event)
    _end: Close = field(init=False, default=GONE)

    def __attrs_post_init__(self) -> None:
        self._exchange = self._opening.exchange(self)
        self._outbox = self._exchange.connection.outbox
        self._readable.set()

    async def run(self) -> None:
        writer = asyncio.create_task(self._write_all())
        self._exchange.begin()
        try:
            await self._read_all()
        finally:
            self._exchange.gone(self._outbox.closing or self._end)
            # a client that does not read must not delay the end
            await asyncio.wait({writer}, timeout=self._opening.services.options.close_timeout)
            self._outbox.abandon()
            writer.cancel()

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    async def _read_all(self) -> None:
        while True:
            await self._readable.wait()
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                self._end = Close(event.get("code") or CloseCode.ABNORMAL, event.get("reason") or "")
                return
            self._exchange.hear(event.get("text"))

    def write(self, frame: Frame) -> None:
        self.write_shared((frame,))

    def write_shared(self, frames: Sequence[Frame]) -> None:
        # the writer has these frames only, later ones wait in the outbox, which counts them
        self._outbox.hold_up()
        for frame in frames:
            self._out.put_nowait(frame)

    def finish(self, close: Close) -> None:
        self._out.put_nowait(close)

    async def _write_all(self) -> None:
        try:
            # an error means that the client is gone, which the reader notices
            with suppress(WebSocketDisconnect, RuntimeError, OSError):
                while True:
                    match await self._out.get():
                        case Close(code, reason):
                            await self._websocket.close(code, reason)
                            return
                        case Frame() as frame:
                            await self._websocket.send({"type": "websocket.send", "text": frame.text})
                            if self._out.empty():
                                self._outbox.clear()
        finally:
            self._outbox.abandon()  # otherwise tasks that wait for room would never end
