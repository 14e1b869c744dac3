"""
One socket's requests, carried out in order; no transport here.

Frames are decided in the order they came. Sends overlap: each takes its place in its chat and the next frame goes on.
Anything else waits for the sends before it and is waited for by what follows. What must wait stays unread as text, and
when too much does, the transport is asked to read no more.
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
    """What frames come from."""

    def pause(self) -> None:
        """Hand over no more frames than are already on their way."""
        ...

    def resume(self) -> None: ...

    takes_parts: bool
    """Whether a message may be written to it in parts."""


@define(eq=False)
class Exchange:
    _services: SocketServices
    _connection: Connection
    _source: FrameSource
    _waiting: deque[str | None] | None = field(init=False, default=None)
    """Frames that have not had their turn; None stands for a binary one."""
    _waiting_size: int = field(init=False, default=0)
    """Bytes of memory that they take."""
    _next: Authenticate | Request | None = field(init=False, default=None)
    """Decided, but the sends before it are not answered yet."""
    _pending: int = field(init=False, default=0)
    """Sends without an answer."""
    _is_busy: bool = field(init=False, default=False)
    """Something that is waited for is under way."""
    _is_paused: bool = field(init=False, default=False)
    _is_there: bool = field(init=False, default=False)
    _began: float = field(init=False, default=0.0)
    _deadline: asyncio.TimerHandle | None = field(init=False, default=None)
    _typing: Typing | None = field(init=False, default=None)
    """Made when the client types for the first time."""
    _typing_timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def begin(self) -> None:
        """The socket is open; whoever is there has some seconds to say who they are."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._services.options.auth_timeout, self._too_late)
        self._is_there = True
        self._began = loop.time()
        self._services.meter.socket_opened()
        access.info("socket opened", extra={"chat": str(self._connection.chat_id)})

    def hear(self, text: str | None) -> None:
        """A text frame, or None for a binary one."""
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
        """More waits on this node than it can hold, and most of it on this socket."""
        self._waiting = None
        self._waiting_size = 0
        self._connection.close(CloseCode.TRY_LATER, "too much waits; resume in 1 s")
        self._read_on()  # or nobody would hear that the client answers the close

    def gone(self, end: Close = GONE) -> None:
        """The other side is not there any more. What is under way goes on, and its answers go nowhere."""
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
        """Something was answered: what waited for it has its turn."""
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
        assert actor is not None, "requests are heard from those who entered"
        try:
            answer = asyncio.ensure_future(self._services.messenger.messages.send(actor, sending.command))
        except ApplicationError as error:  # not even taken
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
            self._services.tasks.spawn(self._to_the_end(request))
        elif isinstance(request, Ping | Leave):
            self._answer_at_once(request)
            self._is_busy = False
        else:
            assert not isinstance(request, SendMessage), "sends have a way of their own"
            self._services.tasks.spawn(self._to_the_end(request))

    async def _to_the_end(
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
        # not where it was cancelled: the node ends, and nothing more is begun
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
            async with self._turn() as is_over:
                await self._services.hub.watching()
                if self._connection.is_entering:
                    self._connection.recognise(await self._services.messenger.accounts.authenticate(command))
                if self._connection.is_entering:
                    await self._services.hub.enter(self._connection, HISTORY_DEFAULT, is_over)
        except (DomainError, ApplicationError) as error:
            self._connection.refuse(error)
        finally:
            if self._connection.is_closed:
                self._services.hub.leave(self._connection)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Callable[[], None]]:
        """
        Of being let in. Whoever need not keep the others out any longer calls what this gives.

        Raises:
            Unavailable: Too many come.
        """
        try:
            async with asyncio.timeout(self._services.options.entry_timeout):
                await self._services.entering.acquire()
        except TimeoutError:
            raise Unavailable("too many come") from None
        with ExitStack() as turn:
            turn.callback(self._services.entering.release)
            yield turn.close

    async def _ask(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        try:
            await self._asked(request)
        except (DomainError, ApplicationError) as error:
            self._connection.answer_failed(request, error)

    async def _asked(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        connection, messenger = self._connection, self._services.messenger
        actor, chat_id = connection.actor, connection.chat_id
        assert actor is not None, "requests are heard from those who entered"
        match request:
            case MarkRead():
                await messenger.messages.mark_read(actor, request)
            case MarkSingle():
                await messenger.messages.mark_single(actor, request)
            case ShowTyping():
                await self._shown(request)
            case ReadHistory():
                if long := await self._answer_history(actor.profile_id, request):
                    await self._answer_in_parts(actor.profile_id, long)
            case CountUnread():
                connection.answer_count(await messenger.messages.unread_count(actor.profile_id, chat_id))
            case _:
                assert_never(request)

    async def _answer_history(self, reader: ProfileId, request: ReadHistory) -> LongPage | None:
        """Returns what must be written in parts: nothing else may hold its messages meanwhile."""
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
            log.warning("a page of history stays unfinished", extra={"reason": error.code})
            connection.close(CloseCode.TRY_LATER, "try again in 1 s")

    # Typing

    def _is_too_soon(self, request: ShowTyping) -> bool:
        """Others are then told later, unless they know it already."""
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
        """The client has left. What it said last is under way until nothing else is."""
        if self._typing_timer is not None:
            self._typing_timer.cancel()
            self._typing_timer = None
        if self._typing is not None and not (self._is_busy and not self._is_there) and self._typing.stop():
            self._show_typing(False)

    def _show_typing(self, is_typing: bool) -> None:
        self._services.tasks.spawn(
            self._shown(ShowTyping(chat_id=self._connection.chat_id, is_typing=is_typing))
        )

    async def _shown(self, request: ShowTyping) -> None:
        actor = self._connection.actor
        assert actor is not None, "nobody else was typing"
        with suppress(
            DomainError, ApplicationError
        ):  # there is nobody to answer, and it does not matter later
            await self._services.messenger.messages.show_typing(actor, request)

    # The first seconds

    def _too_late(self) -> None:
        self._connection.refuse_entry("auth_timeout")

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
