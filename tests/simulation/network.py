"""
Sockets that exist only here.

What one side puts in comes out at the other, in order, after a while, or not at all once the line is cut. A line that is not
read from fills up, and the server then feels it as it would from a transport: it is told to hold up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field
from starlette.websockets import WebSocket

from domain.ids import ChatId
from interfaces.wire.frames import Frame
from interfaces.ws.closing import Close
from interfaces.ws.connection import Connection
from interfaces.ws.endpoint import HAND_OVER, Opening, Sockets
from interfaces.ws.exchange import Exchange
from tests.simulation.chance import Chance

HIGH_WATER: Final = 1500
"""Bytes on their way to a client, above which the server is held up; three or four messages."""

LATENCY: Final = 0.05
NOTICED: Final = 3.0
"""Seconds until a server notices at the latest that a client is gone without a word."""

FINAL_GRACE: Final = 2.0


@define(eq=False)
class Pipe:
    """One direction."""

    _chance: Chance
    _deliver: Callable[[Any], None]
    _drained: Callable[[], None] = lambda: None
    size: int = 0
    is_frozen: bool = False
    _items: deque[tuple[Any, int]] = field(init=False, factory=deque)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def put(self, item: Any, size: int = 0) -> None:
        self._items.append((item, size))
        self.size += size
        self._go_on()

    def freeze(self) -> None:
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False
        self._go_on()

    def cut(self) -> None:
        self._items.clear()
        self.size = 0

    def _go_on(self) -> None:
        if self._timer is None and self._items and not self.is_frozen:
            wait = self._chance.wait(LATENCY)
            self._timer = asyncio.get_running_loop().call_later(wait, self._pump)

    def _pump(self) -> None:
        self._timer = None
        # some at once, as they come together in one segment
        for _ in range(1 + self._chance.below(4)):
            if not self._items or self.is_frozen:
                break
            item, size = self._items.popleft()
            self.size -= size
            self._deliver(item)
        self._drained()
        self._go_on()


class Gone:
    """Comes out where the other side is no more."""


@define(eq=False)
class Line:
    """
    One socket. The client hears frames as text, then one `Close`; 1006 where it was cut.

    The server's end is taken over after the handshake, as `interfaces.ws.protocol` does, or served by the endpoint's own
    loop: ``handed_over`` says which.
    """

    _chance: Chance
    _hear: Callable[[str | Close], None]
    handed_over: bool
    to_client: Pipe = field(init=False)
    to_server: Pipe = field(init=False)
    connection: Connection | None = None
    backlog: int = 0
    """The most frames that waited at once."""
    takes_parts: bool = False
    takes_requests: bool = True
    _task: "asyncio.Task[None] | None" = field(init=False, default=None)
    _exchange: Exchange | None = field(init=False, default=None)
    _incoming: "asyncio.Queue[dict[str, Any]]" = field(init=False, factory=asyncio.Queue)
    _writable: asyncio.Event = field(init=False, factory=asyncio.Event)
    _is_closing: bool = field(init=False, default=False)
    _is_over: bool = field(init=False, default=False)
    _client_is_gone: bool = field(init=False, default=False)
    _timers: list[asyncio.TimerHandle] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.to_client = Pipe(self._chance, self._reach_client, self._drained)
        self.to_server = Pipe(self._chance, self._reach_server)
        self._writable.set()

    def open(self, sockets: Sockets, chat_id: ChatId | None) -> "asyncio.Task[None]":
        """``chat_id`` is None for the socket of all chats."""
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": f"/chats/{chat_id}/ws" if chat_id else "/ws",
            "path_params": {"chat_id": str(chat_id)} if chat_id else {},
            "headers": [],
            "extensions": {HAND_OVER: self._hand_over} if self.handed_over else {},
        }
        self._incoming.put_nowait({"type": "websocket.connect"})
        websocket = WebSocket(scope, receive=self._incoming.get, send=self._send)
        serve = sockets.serve_chat if chat_id else sockets.serve_all
        self._task = asyncio.create_task(serve(websocket))
        return self._task

    # The client's end

    def say(self, text: str | bytes) -> None:
        if not self._client_is_gone:
            self.to_server.put(text)

    def drop(self) -> None:
        """Be gone without a word. What was said last may still arrive, and it takes the server a while to notice."""
        if self._client_is_gone:
            return
        self._client_is_gone = True
        self._hear(Close(1006, ""))
        self.to_client.cut()
        if self._chance.decides(0.5):
            self.to_client.freeze()  # half open: what is written to it fills it up
        if self._chance.decides(0.5):
            self.to_server.cut()
        if self._chance.decides(0.5):
            self.to_server.put(Gone())
        self._later(self._chance.wait(NOTICED), self._lose)

    def _reach_client(self, item: Frame | Close) -> None:
        if self._client_is_gone:
            return
        if isinstance(item, Close):
            self._client_is_gone = True
            self._hear(item)
            self.to_server.put(Gone())
        else:
            self._hear(item.text)

    # The server's end

    def cut(self) -> None:
        """The server is no more."""
        self._is_over = True
        self.to_server.cut()
        self.to_client.cut()
        for timer in self._timers:
            timer.cancel()
        if not self._client_is_gone:
            self._client_is_gone = True
            self._hear(Close(1006, ""))

    def shut(self, code: int) -> None:
        """The server is about to go, and says so."""
        self.finish(Close(code, ""))

    def _later(self, wait: float, call: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(wait, call))

    def _reach_server(self, item: str | bytes | Gone) -> None:
        if isinstance(item, Gone):
            self._lose()
        elif self._is_closing or self._is_over:
            pass
        elif self._exchange is not None:
            self._exchange.hear(item if isinstance(item, str) else None)
        else:
            name = "text" if isinstance(item, str) else "bytes"
            self._incoming.put_nowait({"type": "websocket.receive", name: item})

    def _lose(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._writable.set()
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
        if self._exchange is not None and self.connection is not None:
            self.connection.outbox.abandon()
            self._exchange.gone()

    def finish(self, close: Close) -> None:
        if self._is_closing or self._is_over:
            return
        self._is_closing = True
        self.to_client.put(close)
        # a client that does not take the close is not waited for
        self._later(FINAL_GRACE if close.is_final else 5.0, self._abort)

    def _abort(self) -> None:
        if not self._client_is_gone:
            self._client_is_gone = True
            self.to_client.cut()
            self._hear(Close(1006, ""))
        self._lose()

    def _drained(self) -> None:
        if self.to_client.size < HIGH_WATER // 4 and not self._writable.is_set():
            self._writable.set()
            if self._exchange is not None and self.connection is not None:
                self.backlog = max(self.backlog, len(self.connection.outbox._frames or ()))
                self.connection.outbox.clear()

    def write(self, frame: Frame) -> None:
        if self._is_closing or self._is_over:
            return
        self.to_client.put(frame, frame.size)
        if self.to_client.size > HIGH_WATER and self._writable.is_set():
            self._writable.clear()
            if self._exchange is not None and self.connection is not None:
                self.connection.outbox.hold_up()

    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    # As `interfaces.ws.protocol` takes it over

    def _hand_over(self, opening: Opening) -> None:
        self._exchange = opening.exchange(self)
        self.connection = self._exchange.connection
        self._exchange.begin()
        while not self._incoming.empty():
            event = self._incoming.get_nowait()
            if event["type"] == "websocket.disconnect":
                self._exchange.gone()
            else:
                self._exchange.hear(event.get("text"))

    def pause(self) -> None:
        self.to_server.freeze()

    def resume(self) -> None:
        self.to_server.thaw()

    # As ASGI has it

    async def _send(self, event: Any) -> None:
        if self._is_over and event["type"] != "websocket.accept":
            raise OSError("gone")
        match event["type"]:
            case "websocket.send":
                self.write(Frame(event["text"].encode()))
                await self._writable.wait()
            case "websocket.close":
                self.finish(Close(event["code"], event["reason"]))
            case _:
                pass
