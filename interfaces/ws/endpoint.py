"""
The socket of one chat under an ASGI server.

The route accepts or refuses the handshake. Under `SocketProtocol` it then hands the socket over and its task ends; under any
other server a plain loop reads and writes for the same connection object.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import define, field, frozen
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.ids import ChatId
from interfaces.wire import frames
from interfaces.wire.faults import InvalidValue
from interfaces.wire.frames import Fields, Frame
from interfaces.wire.values import identity
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.connection import Connection
from interfaces.ws.exchange import Exchange
from interfaces.ws.outbox import Outbox
from interfaces.ws.services import SocketServices

HAND_OVER: Final = "messenger.hand_over"
"""The ASGI extension of `protocol`: called with an `Opening`, it takes the socket over permanently."""


@frozen
class Opening:
    """A socket after its handshake, passed to the transport that reads and writes it from then on."""

    services: SocketServices
    chat_id: ChatId
    greeting: Fields

    def connection(self, write: Callable[[Frame], None], finish: Callable[[Close], None]) -> Connection:
        services, options = self.services, self.services.options
        outbox = Outbox(
            write, finish, options.outbox_frames, options.outbox_bytes, services.meter, services.outboxes
        )
        return Connection(self.chat_id, outbox, self.greeting)


@define(eq=False)
class ChatSockets:
    _services: SocketServices
    _greeting: Fields = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self._services.options
        self._greeting = frames.greeting(
            heartbeat_interval=options.heartbeat_interval, max_message_bytes=options.max_message_bytes
        )

    def routes(self, prefix: str = "") -> list[WebSocketRoute]:
        return [WebSocketRoute(f"{prefix}/chats/{{chat_id}}/ws", self.serve)]

    async def serve(self, websocket: WebSocket) -> None:
        try:
            chat_id = ChatId(identity(websocket.path_params["chat_id"]))
        except InvalidValue:
            await websocket.close()  # before it is accepted: the handshake is refused with 403
            return
        await websocket.accept()
        opening = Opening(self._services, chat_id, self._greeting)
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
        connection = self._opening.connection(self._write, self._out.put_nowait)
        self._outbox = connection.outbox
        self._exchange = Exchange(self._opening.services, connection, self)
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

    def _write(self, frame: Frame) -> None:
        # the writer has one frame at a time, the others wait in the outbox, which counts them
        self._outbox.hold_up()
        self._out.put_nowait(frame)

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
                            self._outbox.clear()
        finally:
            self._outbox.abandon()  # otherwise tasks that wait for room would never end
