"""
The socket of one chat: reads frames, hands them to the connection, and does what it decides.

One task reads and asks the use cases, one writes what the outbox holds. Sends overlap, in the order of their frames;
anything else waits for the sends before it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from attrs import define, evolve, field, frozen
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from application.accounts.authenticate import Authenticate as AuthenticateToken
from application.actor import Actor
from application.errors import ApplicationError, OutcomeUnknown
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.receipts.mark_read import MarkRead
from application.updates.typing import ShowTyping
from domain.errors import DomainError
from domain.ids import ChatId
from interfaces.wire import frames
from interfaces.wire.faults import Refused
from interfaces.wire.values import identity
from interfaces.ws.connection import (
    HISTORY_DEFAULT,
    Authenticate,
    Connection,
    CountUnread,
    Leave,
    ReadHistory,
    Request,
)
from interfaces.ws.hub import Hub
from interfaces.ws.outbox import Close, Outbox
from interfaces.ws.protocol import CUT

log: Final = logging.getLogger(__name__)


@frozen(kw_only=True)
class SocketOptions:
    auth_timeout: float = 10.0
    """Seconds until a socket must have said who it is."""
    outbox_frames: int = 256
    outbox_bytes: int = 256 * 1024
    pending_sends: int = 64
    """Sends of one socket that may wait for their answer; beyond it nothing more is read from it."""
    close_timeout: float = 5.0
    """Seconds in which the other side must have read what was left and the close."""
    heartbeat_interval: float = 25.0
    """Seconds between two pings of ours."""
    frame_limit: int = 65536
    """Bytes of a frame of a client."""


@frozen(kw_only=True)
class ChatSockets:
    messenger: Messenger
    hub: Hub
    options: SocketOptions

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/chats/{chat_id}/ws", self.serve)]

    async def serve(self, websocket: WebSocket) -> None:
        try:
            chat_id = ChatId(identity(websocket.path_params["chat_id"]))
        except Refused:
            await websocket.close()  # before it is accepted: the handshake is refused with 403
            return
        await websocket.accept()
        options = self.options
        outbox = Outbox(options.outbox_frames, options.outbox_bytes)
        greeting = frames.greeting(
            heartbeat_interval=options.heartbeat_interval, frame_limit=options.frame_limit
        )
        await Socket(
            websocket, Connection(chat_id, outbox, greeting), outbox, self.messenger, self.hub, options
        ).serve()


@define(eq=False)
class Socket:
    _websocket: WebSocket
    _connection: Connection
    _outbox: Outbox
    _messenger: Messenger
    _hub: Hub
    _options: SocketOptions
    _writable: asyncio.Event = field(init=False, factory=asyncio.Event)
    _drained: asyncio.Event = field(init=False, factory=asyncio.Event)
    _pending: set["asyncio.Future[Sent]"] = field(init=False, factory=set)
    _answered: asyncio.Event = field(init=False, factory=asyncio.Event)
    _cutting: asyncio.TimerHandle | None = field(init=False, default=None)

    async def serve(self) -> None:
        self._outbox.changed = self._writable.set
        self._outbox.closed = self._cut_later
        writer = asyncio.create_task(self._write())
        try:
            await self._listen()
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("a socket failed")
            self._connection.end(1011, "Internal server error")
        finally:
            self._hub.leave(self._connection)
            self._connection.end(1000, "")  # nothing more to say, if nobody has said why before
            await asyncio.wait({writer}, timeout=self._options.close_timeout)
            writer.cancel()
            if self._cutting:
                self._cutting.cancel()

    # Reading

    async def _listen(self) -> None:
        if await self._enter():
            while True:
                request = await self._hear()
                if request and not isinstance(request, Authenticate):
                    await self._do(request)

    async def _enter(self) -> bool:
        try:
            async with asyncio.timeout(self._options.auth_timeout):
                greeting = await self._hear()
        except TimeoutError:
            self._connection.refuse_entry("auth_timeout")
            return False
        if not isinstance(greeting, Authenticate):
            return False
        try:
            self._connection.recognise(await self._messenger.authenticate(AuthenticateToken(token=greeting.token)))
            await self._hub.enter(self._connection, HISTORY_DEFAULT, self._until_relaxed)
        except (DomainError, ApplicationError) as error:
            self._connection.refuse(error)
            return False
        return True

    async def _hear(self) -> Authenticate | Request | None:
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        if (text := event.get("text")) is None:
            self._connection.hear_binary()
            return None
        return self._connection.hear(text, asyncio.get_running_loop().time())

    async def _do(self, request: Request) -> None:
        actor = self._connection.actor
        assert actor is not None, "requests are heard from those who entered"
        if isinstance(request, SendMessage):
            await self._until(lambda: len(self._pending) < self._options.pending_sends)
            self._send(actor, request)
            return
        await self._until(lambda: not self._pending)
        try:
            await self._ask(actor, request)
        except (DomainError, ApplicationError) as error:
            self._connection.answer_failed(request, error)

    def _send(self, actor: Actor, command: SendMessage) -> None:
        try:
            answer = asyncio.ensure_future(self._messenger.send_message(actor, command))
        except ApplicationError as error:  # not even taken
            self._connection.answer_not_sent(command, error)
            return
        self._pending.add(answer)
        answer.add_done_callback(lambda answer: self._sent(command, answer))

    def _sent(self, command: SendMessage, answer: "asyncio.Future[Sent]") -> None:
        self._pending.discard(answer)
        self._answered.set()
        if answer.cancelled():
            return
        match error := answer.exception():
            case None:
                self._connection.answer_sent(command, answer.result())
            case DomainError() | ApplicationError():
                self._connection.answer_not_sent(command, error)
            case _:
                log.error("a send failed", exc_info=error)
                self._connection.answer_not_sent(command, OutcomeUnknown())

    async def _ask(self, actor: Actor, request: MarkRead | ShowTyping | ReadHistory | CountUnread | Leave) -> None:
        chat_id = self._connection.chat_id
        match request:
            case MarkRead():
                await self._messenger.mark_read(actor, request)
            case ShowTyping():
                await self._messenger.show_typing(actor, request)
            case ReadHistory():
                await self._until_relaxed()
                page = await self._messenger.history(actor.profile_id, chat_id, request.where, max(request.limit, 1))
                count = await self._messenger.unread_count(actor.profile_id, chat_id)
                self._connection.answer_history(page if request.limit else evolve(page, messages=()), count)
            case CountUnread():
                self._connection.answer_count(await self._messenger.unread_count(actor.profile_id, chat_id))
            case Leave():
                self._connection.detach()
                self._hub.detach(self._connection)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._answered.clear()
            await self._answered.wait()

    async def _until_relaxed(self) -> None:
        """What the client asks for itself is paced by what it reads, and never counts as its slowness."""
        while not (self._outbox.is_relaxed or self._outbox.closing):
            self._drained.clear()
            await self._drained.wait()

    # Writing

    async def _write(self) -> None:
        try:
            while await self._something_to_write():
                while frame := self._outbox.take():
                    await self._websocket.send({"type": "websocket.send", "text": frame.text})
                    self._drained.set()
            await self._close()
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # it is gone, and its reader hears of it
        finally:
            self._drained.set()

    async def _something_to_write(self) -> bool:
        """False: there is nothing left, and nothing more will come."""
        while not self._outbox.waiting:
            if self._outbox.closing:
                return False
            self._writable.clear()
            await self._writable.wait()
        return True

    async def _close(self) -> None:
        assert (closing := self._outbox.closing) is not None
        await self._websocket.close(closing.code, closing.reason)

    def _cut_later(self, close: Close) -> None:
        """Somebody who does not read is not waited for, and a slow reader has been waited for already."""
        if cut := self._websocket.scope.get("extensions", {}).get(CUT):
            wait = 0.0 if close.is_final else self._options.close_timeout
            loop = asyncio.get_running_loop()
            self._cutting = loop.call_later(wait, cut, close.code, close.reason)
