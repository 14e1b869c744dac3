"""
One socket's requests, carried out in order; no transport here.

Frames are decided in the order they came. Sends overlap: each takes its place in its chat and the next frame goes on.
Anything else waits for the sends before it and is waited for by what follows. What must wait stays unread as text, and
when too much does, the transport is asked to read no more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Final, Protocol, assert_never

from attrs import Factory, define, evolve, field, frozen

from application.accounts.authenticate import Authenticate as AuthenticateToken
from application.errors import ApplicationError, OutcomeUnknown, Unavailable
from application.messages.send import SendMessage, Sent
from application.messenger import Messenger
from application.ports.meter import Meter, Unmetered
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from domain.errors import DomainError
from interfaces.ws.connection import (
    HISTORY_DEFAULT,
    Authenticate,
    Connection,
    CountUnread,
    Leave,
    Ping,
    ReadHistory,
    Request,
)
from interfaces.ws.hub import Hub

log: Final = logging.getLogger(__name__)

INTERNAL_ERROR: Final = 1011


@frozen(kw_only=True)
class SocketOptions:
    auth_timeout: float = 10.0
    """Seconds until a socket must have said who it is."""
    entering: int = 32
    """Sockets that are let in at a time. When all come back at once the others wait here, not where everybody reads."""
    entry_timeout: float = 10.0
    """Seconds that one may wait for its turn."""
    outbox_frames: int = 256
    outbox_bytes: int = 256 * 1024
    pending_sends: int = 64
    """Sends of one socket that may wait for their answer; beyond it nothing more is decided."""
    waiting_frames: int = 64
    """Frames of one socket that may wait for their turn; beyond it nothing more is read from it."""
    close_timeout: float = 5.0
    """Seconds in which the other side must have read what was left and the close."""
    heartbeat_interval: float = 25.0
    """Seconds between two pings of ours."""
    frame_limit: int = 65536
    """Bytes of a frame of a client."""


class Reader(Protocol):
    """What frames come from."""

    def pause(self) -> None:
        """Hand over no more frames than are already on their way."""
        ...

    def resume(self) -> None: ...


@define(eq=False)
class Tick:
    """Calls all back when what the loop has at hand is done."""

    _waiting: list[Callable[[], None]] = field(init=False, factory=list)

    def at_its_end(self, do: Callable[[], None]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._ends)
        self._waiting.append(do)

    def _ends(self) -> None:
        waiting, self._waiting = self._waiting, []
        for do in waiting:
            do()


@frozen(kw_only=True)
class Desk:
    """What all sockets of a node share."""

    messenger: Messenger
    hub: Hub
    options: SocketOptions
    meter: Meter = Unmetered()
    tick: Tick = Factory(Tick)
    doors: asyncio.Semaphore = field(init=False)

    @doors.default
    def _doors(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.options.entering)


@define(eq=False)
class Exchange:
    _desk: Desk
    _connection: Connection
    _reader: Reader
    _waiting: deque[str | None] | None = field(init=False, default=None)
    """Frames that have not had their turn; None stands for a binary one."""
    _next: Authenticate | Request | None = field(init=False, default=None)
    """Decided, but the sends before it are not answered yet."""
    _pending: int = field(init=False, default=0)
    """Sends without an answer."""
    _is_busy: bool = field(init=False, default=False)
    """Something that is waited for is under way."""
    _is_paused: bool = field(init=False, default=False)
    _is_there: bool = field(init=False, default=False)
    _deadline: asyncio.TimerHandle | None = field(init=False, default=None)

    def begin(self) -> None:
        """The socket is open; whoever is there has some seconds to say who they are."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._desk.options.auth_timeout, self._too_late)
        self._is_there = True
        self._desk.meter.opened()

    def hear(self, text: str | None) -> None:
        """A text frame, or None for a binary one."""
        self._desk.meter.heard()
        if self._is_free and not self._waiting:
            self._decide(text)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(text)
        if len(self._waiting) >= self._desk.options.waiting_frames and not self._is_paused:
            self._is_paused = True
            self._reader.pause()

    def gone(self) -> None:
        """The other side is not there any more. What is under way goes on, and its answers go nowhere."""
        if self._is_there:
            self._is_there = False
            self._desk.meter.closed()
        self._forget_deadline()
        self._waiting = None
        self._connection.end(1000, "")
        self._desk.hub.leave(self._connection)

    @property
    def _is_free(self) -> bool:
        return not self._is_busy and self._pending < self._desk.options.pending_sends

    def _decide(self, text: str | None) -> None:
        if text is None:
            self._connection.hear_binary()
            return
        request = self._connection.hear(text, asyncio.get_running_loop().time())
        if isinstance(request, SendMessage):
            self._send(request)
        elif request is not None:
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
            self._decide(self._waiting.popleft())
        if self._is_paused and not self._waiting:
            self._is_paused = False
            self._reader.resume()

    # Sends

    def _send(self, command: SendMessage) -> None:
        actor = self._connection.actor
        assert actor is not None, "requests are heard from those who entered"
        try:
            answer = asyncio.ensure_future(self._desk.messenger.messages.send(actor, command))
        except ApplicationError as error:  # not even taken
            self._connection.answer_not_sent(command, error)
            return
        self._pending += 1
        answer.add_done_callback(lambda answer: self._sent(command, answer))

    def _sent(self, command: SendMessage, answer: "asyncio.Future[Sent]") -> None:
        self._pending -= 1
        if answer.cancelled():
            self._connection.answer_not_sent(command, OutcomeUnknown())
        elif (error := answer.exception()) is None:
            self._connection.answer_sent(command, answer.result())
        elif isinstance(error, (DomainError, ApplicationError)):
            self._connection.answer_not_sent(command, error)
        else:
            log.error("a send failed", exc_info=error)
            self._connection.answer_not_sent(command, OutcomeUnknown())
        self._go_on()

    # Everything else

    def _carry_out(self, request: Authenticate | Request) -> None:
        if isinstance(request, Authenticate):
            self._forget_deadline()
            self._desk.hub.spawn(self._to_the_end(request))
        elif isinstance(request, Ping | Leave):
            self._answer_at_once(request)
            self._is_busy = False
        else:
            assert not isinstance(request, SendMessage), "sends have a way of their own"
            self._desk.hub.spawn(self._to_the_end(request))

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
            self._connection.end(INTERNAL_ERROR, "Internal server error")
        # not where it was cancelled: the node ends, and nothing more is begun
        self._is_busy = False
        self._go_on()

    def _answer_at_once(self, request: Ping | Leave) -> None:
        if isinstance(request, Ping):
            self._connection.answer_ping(request)
        else:
            self._connection.detach()
            self._desk.hub.detach(self._connection)

    async def _enter(self, greeting: Authenticate) -> None:
        command = AuthenticateToken(token=greeting.token)
        try:
            async with self._turn() as is_over:
                await self._desk.hub.watching()
                if self._connection.is_entering:
                    self._connection.recognise(await self._desk.messenger.accounts.authenticate(command))
                if self._connection.is_entering:
                    await self._desk.hub.enter(self._connection, HISTORY_DEFAULT, is_over)
        except (DomainError, ApplicationError) as error:
            self._connection.refuse(error)
        finally:
            if self._connection.is_closed:
                self._desk.hub.leave(self._connection)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Callable[[], None]]:
        """
        Of being let in. Whoever need not keep the others out any longer calls what this gives.

        Raises:
            Unavailable: Too many come.
        """
        try:
            async with asyncio.timeout(self._desk.options.entry_timeout):
                await self._desk.doors.acquire()
        except TimeoutError:
            raise Unavailable("too many come") from None
        with ExitStack() as turn:
            turn.callback(self._desk.doors.release)
            yield turn.close

    async def _ask(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        try:
            await self._asked(request)
        except (DomainError, ApplicationError) as error:
            self._connection.answer_failed(request, error)

    async def _asked(self, request: MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread) -> None:
        connection, messenger = self._connection, self._desk.messenger
        actor, chat_id = connection.actor, connection.chat_id
        assert actor is not None, "requests are heard from those who entered"
        match request:
            case MarkRead():
                await messenger.messages.mark_read(actor, request)
            case MarkSingle():
                await messenger.messages.mark_single(actor, request)
            case ShowTyping():
                await messenger.messages.show_typing(actor, request)
            case ReadHistory():
                await connection.outbox.relaxed()
                limit = max(request.limit, 1)
                page = await messenger.messages.history(actor.profile_id, chat_id, request.where, limit)
                count = await messenger.messages.unread_count(actor.profile_id, chat_id)
                connection.answer_history(page if request.limit else evolve(page, messages=()), count)
            case CountUnread():
                connection.answer_count(await messenger.messages.unread_count(actor.profile_id, chat_id))
            case _:
                assert_never(request)

    # The first seconds

    def _too_late(self) -> None:
        self._connection.refuse_entry("auth_timeout")

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
