"""
Executes the requests of one socket in order, independently of the transport.

Frames are decoded in the order of their arrival. Sends overlap: each takes its place in the chat's order, and the next
frame is decoded at once. Every other request waits for the sends before it, and later frames wait for it. Waiting frames
are kept as text, and when there are too many of them, the transport is asked to stop reading.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from sys import getsizeof
from typing import Final, Protocol, assert_never

from attrs import define, evolve, field

from application.accounts.authenticate import Authenticate as AuthenticateToken
from application.errors import ApplicationError, OutcomeUnknown, Unavailable
from application.messages.send import SendMessage, Sent
from application.ports.views import After
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import HistoryPage
from domain.errors import DomainError
from domain.ids import ProfileId, Seq
from interfaces.ws.chat_frames import (
    HISTORY_DEFAULT,
    Authenticate,
    CountUnread,
    Leave,
    Ping,
    ReadHistory,
    Request,
)
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.connection import Connection, Sending
from interfaces.ws.parts import LongPage, write_page
from interfaces.ws.services import SocketServices
from interfaces.ws.typing import Typing

access: Final = logging.getLogger("access")
log: Final = logging.getLogger(__name__)


class FrameSource(Protocol):
    """The transport that delivers the frames of a client."""

    def pause(self) -> None:
        """Stops reading; frames that were already read are still delivered."""
        ...

    def resume(self) -> None: ...

    takes_parts: bool
    """Whether the transport can write one message in several parts."""


@define(eq=False)
class Exchange:
    _services: SocketServices
    _connection: Connection
    _source: FrameSource
    _waiting: deque[str | None] | None = field(init=False, default=None)
    """Frames that are not decoded yet; None stands for a binary one."""
    _waiting_size: int = field(init=False, default=0)
    """The memory that the waiting frames take, in bytes."""
    _next: Authenticate | Request | None = field(init=False, default=None)
    """A decoded request that waits for the answers of the sends before it."""
    _pending: int = field(init=False, default=0)
    """The number of unanswered sends."""
    _is_busy: bool = field(init=False, default=False)
    """Whether a request is running that later frames must wait for."""
    _is_paused: bool = field(init=False, default=False)
    _is_there: bool = field(init=False, default=False)
    _began: float = field(init=False, default=0.0)
    _deadline: asyncio.TimerHandle | None = field(init=False, default=None)
    _typing: Typing | None = field(init=False, default=None)
    """Created when the client first sends a typing frame."""
    _typing_timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def begin(self) -> None:
        """Starts when the socket is open. The client must authenticate within ``auth_timeout`` seconds."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._services.options.auth_timeout, self._too_late)
        self._is_there = True
        self._began = loop.time()
        self._services.meter.socket_opened()
        access.info("socket opened", extra={"chat": str(self._connection.chat_id)})

    def hear(self, text: str | None) -> None:
        """Takes a frame: its text, or None for a binary one."""
        self._services.meter.frame_received()
        if self._connection.is_closed:
            return
        if self._is_free and not self._waiting:
            self._decide(text)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(text)
        options, size = self._services.options, self._waiting_size + getsizeof(text)
        if not self._is_paused and (
            len(self._waiting) >= options.waiting_frames or size >= options.waiting_bytes
        ):
            self._is_paused = True
            self._source.pause()
        self._now_waiting(size)

    def cut(self) -> None:
        """Closes the socket because the node's limit for waiting frames is exceeded, and this socket has most of them."""
        self._waiting = None
        self._waiting_size = 0
        self._connection.close(CloseCode.TRY_LATER, "too much waits; resume in 1 s")
        self._read_on()  # so that the client's answer to the close is read

    def gone(self, end: Close = GONE) -> None:
        """Cleans up after a lost connection. Running requests continue, and their answers are discarded."""
        if self._is_there:
            self._is_there = False
            self._services.meter.socket_closed()
            self._note_end(end)
        self._forget_deadline()
        self._waiting = None
        self._now_waiting(0)
        self._connection.close(CloseCode.NORMAL, "")
        self._services.hub.leave(self._connection)
        self._stop_typing()

    def _now_waiting(self, size: int) -> None:
        if size != self._waiting_size:
            self._waiting_size = size
            self._services.waiting.hold(self, size)

    def _note_end(self, end: Close) -> None:
        actor = self._connection.actor
        access.info(
            "socket closed",
            extra={
                "chat": str(self._connection.chat_id),
                "profile": str(actor.profile_id) if actor else None,
                "session": str(actor.session_id) if actor else None,
                "code": int(end.code),
                "reason": end.reason,
                "seconds": round(asyncio.get_running_loop().time() - self._began, 3),
            },
        )

    @property
    def _is_free(self) -> bool:
        most = self._services.options.pending_sends
        return not self._is_busy and self._pending < most and self._connection.unanswered < most

    def _decide(self, text: str | None) -> None:
        if text is None:
            self._connection.hear_binary()
            return
        request = self._connection.hear(text)
        if isinstance(request, Sending):
            self._send(request)
        elif request is not None and not (isinstance(request, ShowTyping) and self._is_too_soon(request)):
            self._is_busy = True
            if self._pending:
                self._next = request
            else:
                self._carry_out(request)

    def _go_on(self) -> None:
        """Continues with the waiting requests after an answer."""
        if self._next is not None and not self._pending:
            request, self._next = self._next, None
            self._carry_out(request)
        while self._waiting and self._is_free:
            text = self._waiting.popleft()
            self._now_waiting(self._waiting_size - getsizeof(text))
            self._decide(text)
        if not self._is_there:
            self._stop_typing()
        if not self._waiting:
            self._read_on()

    def _read_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._source.resume()

    # Sends

    def _send(self, sending: Sending) -> None:
        actor = self._connection.actor
        assert actor is not None, "only entered clients have requests"
        try:
            answer = asyncio.ensure_future(self._services.messenger.messages.send(actor, sending.command))
        except ApplicationError as error:  # refused before it was queued
            self._connection.answer_not_sent(sending, error)
            return
        self._pending += 1
        answer.add_done_callback(lambda answer: self._sent(sending, answer))

    def _sent(self, sending: Sending, answer: "asyncio.Future[Sent]") -> None:
        self._pending -= 1
        if answer.cancelled():
            self._connection.answer_not_sent(sending, OutcomeUnknown())
        elif (error := answer.exception()) is None:
            self._connection.answer_sent(sending, answer.result())
        elif isinstance(error, (DomainError, ApplicationError)):
            self._connection.answer_not_sent(sending, error)
        else:
            log.error("a send failed", exc_info=error)
            self._connection.answer_not_sent(sending, OutcomeUnknown())
        self._go_on()

    # Everything else

    def _carry_out(self, request: Authenticate | Request) -> None:
        if isinstance(request, Authenticate):
            self._forget_deadline()
            self._services.tasks.spawn(self._run(request))
        elif isinstance(request, Ping | Leave):
            self._answer_at_once(request)
            self._is_busy = False
        else:
            assert not isinstance(request, SendMessage), "sends are executed by `_send`"
            self._services.tasks.spawn(self._run(request))

    async def _run(
        self, request: Authenticate | MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread
    ) -> None:
        try:
            if isinstance(request, Authenticate):
                await self._enter(request)
            else:
                await self._ask(request)
        except Exception:
            log.exception("a request of a socket failed")
            self._connection.close(CloseCode.INTERNAL_ERROR, "Internal server error")
        # not in a finally block: when this is cancelled, the node stops and starts nothing more
        self._is_busy = False
        self._go_on()

    def _answer_at_once(self, request: Ping | Leave) -> None:
        if isinstance(request, Ping):
            self._connection.answer_ping(request)
        else:
            self._connection.detach()
            self._services.hub.detach(self._connection)
            self._stop_typing()

    async def _enter(self, greeting: Authenticate) -> None:
        command = AuthenticateToken(token=greeting.token)
        try:
            async with self._entry_slot() as free_slot:
                await self._services.hub.watching()
                if self._connection.is_entering:
                    self._connection.recognise(await self._services.messenger.accounts.authenticate(command))
                if self._connection.is_entering:
                    await self._services.hub.enter(self._connection, HISTORY_DEFAULT, free_slot)
        except (DomainError, ApplicationError) as error:
            self._connection.refuse(error)
        finally:
            if self._connection.is_closed:
                self._services.hub.leave(self._connection)

    @asynccontextmanager
    async def _entry_slot(self) -> AsyncIterator[Callable[[], None]]:
        """
        Holds an entry slot; yields a function that frees the slot early.

        Raises:
            Unavailable: No slot became free in time.
        """
        try:
            async with asyncio.timeout(self._services.options.entry_timeout):
                await self._services.entering.acquire()
        except TimeoutError:
            self._services.crowded.warn(entering=self._services.options.entering)
            raise Unavailable("too many sockets enter at once") from None
        with ExitStack() as slot:
            slot.callback(self._services.entering.release)
            yield slot.close

    async def _ask(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        try:
            await self._execute(request)
        except (DomainError, ApplicationError) as error:
            self._connection.answer_failed(request, error)

    async def _execute(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        connection, messenger = self._connection, self._services.messenger
        actor, chat_id = connection.actor, connection.chat_id
        assert actor is not None, "only entered clients have requests"
        match request:
            case MarkRead():
                await messenger.messages.mark_read(actor, request)
            case MarkSingle():
                await messenger.messages.mark_single(actor, request)
            case ShowTyping():
                await self._publish_typing(request)
            case ReadHistory():
                if long := await self._answer_history(actor.profile_id, request):
                    await self._answer_in_parts(actor.profile_id, long)
            case CountUnread():
                connection.answer_count(await messenger.messages.unread_count(actor.profile_id, chat_id))
            case _:
                assert_never(request)

    async def _answer_history(self, reader: ProfileId, request: ReadHistory) -> LongPage | None:
        """Answers with a short page. Returns a long page, which is written in parts and must hold the only references."""
        connection, messages = self._connection, self._services.messenger.messages
        await connection.outbox.relaxed()
        page = await messages.history(reader, connection.chat_id, request.where, max(request.limit, 1))
        count = await messages.unread_count(reader, connection.chat_id)
        if not request.limit:
            page = evolve(page, messages=())
        long = LongPage.of(page, count) if self._source.takes_parts else None
        if long is None:
            connection.answer_history(page, count)
        return long

    async def _answer_in_parts(self, reader: ProfileId, page: LongPage) -> None:
        connection, history = self._connection, self._services.messenger.messages.history

        def read_after(seq: Seq, limit: int) -> Awaitable[HistoryPage]:
            return history(reader, connection.chat_id, After(seq), limit)

        try:
            await write_page(connection.outbox, page, read_after)
        except (DomainError, ApplicationError) as error:
            log.warning("a page of history could not be finished", extra={"reason": error.code})
            connection.close(CloseCode.TRY_LATER, "try again in 1 s")

    # Typing

    def _is_too_soon(self, request: ShowTyping) -> bool:
        """Returns True if the request must not be published now. It is published later, unless others know the state already."""
        if self._typing is None:
            typist = (request.chat_id, self._connection.profile_id)
            self._typing = Typing(typist, self._services.typists)
        loop = asyncio.get_running_loop()
        wait = self._typing.say(request.is_typing, loop.time())
        if wait and self._typing_timer is None:
            self._typing_timer = loop.call_later(wait, self._type_late)
        return wait != 0

    def _type_late(self) -> None:
        self._typing_timer = None
        if self._typing is not None:
            is_typing = self._typing.due(asyncio.get_running_loop().time())
            if is_typing is not None:
                self._show_typing(is_typing)

    def _stop_typing(self) -> None:
        """Ends the typing of a client that left or disconnected, once no request of it is running."""
        if self._typing_timer is not None:
            self._typing_timer.cancel()
            self._typing_timer = None
        if self._typing is not None and not (self._is_busy and not self._is_there) and self._typing.stop():
            self._show_typing(False)

    def _show_typing(self, is_typing: bool) -> None:
        self._services.tasks.spawn(
            self._publish_typing(ShowTyping(chat_id=self._connection.chat_id, is_typing=is_typing))
        )

    async def _publish_typing(self, request: ShowTyping) -> None:
        actor = self._connection.actor
        assert actor is not None, "only entered clients can type"
        with suppress(
            DomainError, ApplicationError
        ):  # typing has no answer, and a lost state does not matter later
            await self._services.messenger.messages.show_typing(actor, request)

    # The deadline for authentication

    def _too_late(self) -> None:
        self._connection.refuse_entry("auth_timeout")

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
