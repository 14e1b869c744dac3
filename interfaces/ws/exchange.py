"""
Executes the requests of one socket in order, independently of the transport.

Frames are decoded in the order of their arrival. Sends overlap: each takes its place in the chat's order, and the next
frame is decoded at once. Every other request waits for the sends before it, and later frames wait for it. Waiting frames
are kept as text, and when there are too many of them, the transport is asked to stop reading.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from sys import getsizeof
from typing import Final, Protocol

from attrs import define, field

from application.accounts.authenticate import Authenticate as AuthenticateToken
from application.errors import ApplicationError, OutcomeUnknown, Overloaded, Unavailable
from application.messages.send import Sent
from application.ports.limiter import TooManyRequests
from domain.errors import DomainError
from domain.ids import AccountId, ChatId
from interfaces import whereabouts
from interfaces.live.listener import End, Listener
from interfaces.pace import FRAMES, Asking, Pace
from interfaces.whereabouts import Whereabouts
from interfaces.ws.closing import GONE, Close, CloseCode
from interfaces.ws.connection import Authenticate, Connection, Sending
from interfaces.ws.refusals import Error
from interfaces.ws.services import SocketServices

access: Final = logging.getLogger("access")
log: Final = logging.getLogger(__name__)

LOOK_AT_CLOCK_SECONDS: Final = 3600.0
"""The longest time between two looks at the clock, for a session that has a last moment."""


class FrameSource(Protocol):
    """The transport that delivers the frames of a client."""

    def pause(self) -> None:
        """Stops reading; frames that were already read are still delivered."""
        ...

    def resume(self) -> None: ...

    takes_parts: bool
    """Whether the transport can write one message in several parts."""


class Desk(Protocol):
    """Executes the requests of one kind of socket; sends excepted, which are the same everywhere."""

    __slots__ = ()

    @property
    def connection(self) -> Connection: ...

    @property
    def listener(self) -> Listener:
        """The connection, as the live side knows it."""
        ...

    @property
    def named(self) -> Mapping[str, str]:
        """The fields of the socket in the access log."""
        ...

    async def enter(self, has_read: Callable[[], None]) -> None:
        """
        Lets an authenticated client enter. ``has_read`` frees its entry slot.

        Raises:
            DomainError: The client may not enter.
            Unavailable: Storage did not answer.
        """
        ...

    def takes_at_once(self, request: object) -> bool:
        """Carries out a request that waits for nothing. Returns False for all others."""
        ...

    async def execute(self, request: object) -> None:
        """
        Carries out a request and answers it.

        Raises:
            DomainError, ApplicationError: It was not done, and not answered.
        """
        ...

    def refuse(self, request: object, error: Error) -> None:
        """Answers a request that failed."""
        ...

    def note_message(self, chat_id: ChatId) -> None:
        """Notes that a message of this socket was stored: it has ended the typing, and the hub tells the others."""
        ...

    def stop_typing(self, *, is_busy: bool) -> None:
        """
        Ends the typing of a client that has gone. While a request of it is running (``is_busy``) only timers are stopped,
        and this is called again.
        """
        ...


@define(eq=False)
class Exchange:
    _services: SocketServices
    _desk: Desk
    _source: FrameSource
    _network: str = ""
    """The client's network (`domain.network.network_of`)."""
    _connection: Connection = field(init=False)
    _waiting: deque[str | None] | None = field(init=False, default=None)
    """Frames that are not decoded yet; None stands for a binary one."""
    _waiting_size: int = field(init=False, default=0)
    """The memory that the waiting frames take, in bytes."""
    _next: object = field(init=False, default=None)
    """A decoded request that waits for the answers of the sends before it."""
    _pending: int = field(init=False, default=0)
    """The number of unanswered sends."""
    _is_busy: bool = field(init=False, default=False)
    """Whether a request is running that later frames must wait for."""
    _turn: asyncio.TimerHandle | None = field(init=False, default=None)
    """Set while the first waiting frame waits for its moment, because the account asks too much at once (`interfaces.pace`)."""
    _uncounted: int = field(init=False, default=0)
    """Frames that were parsed, and are not counted as requests yet."""
    _is_paused: bool = field(init=False, default=False)
    _unread_of: AccountId | None = field(init=False, default=None)
    """The account whose pace counts this socket among those that are not read because their frames wait for moments."""
    _is_there: bool = field(init=False, default=False)
    _place: tuple[Hashable, ...] | None = field(init=False, default=None)
    """The place of the client among the sockets of its session, account and network, once it has entered."""
    _began: float = field(init=False, default=0.0)
    _deadline: asyncio.TimerHandle | None = field(init=False, default=None)
    """Until the client has authenticated, its time for that; then the last moment of its session, if it has one."""

    _where: Whereabouts = field(init=False, factory=whereabouts.present.get)
    """The handshake, as the security log names it."""

    def __attrs_post_init__(self) -> None:
        self._connection = self._desk.connection

    @property
    def connection(self) -> Connection:
        return self._connection

    def begin(self) -> None:
        """Starts when the socket is open. The client must authenticate within ``auth_timeout`` seconds."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self._services.options.auth_timeout, self._too_late)
        self._is_there = True
        self._began = loop.time()
        self._services.meter.socket_opened()
        access.info("socket opened", extra=dict(self._desk.named))

    def hear(self, text: str | None) -> None:
        """Takes a frame: its text, or None for a binary one."""
        self._services.meter.frame_received()
        if self._connection.is_closed:
            return
        if self._is_free and not self._waiting and not self._must_wait():
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

    def count(self, frames: int) -> float:
        """
        Counts frames that were parsed and are no message of their own. Returns the seconds for which the transport must parse
        nothing; after these it calls this again, with 0.
        """
        self._uncounted += frames
        if self._uncounted < FRAMES:
            if not self._is_paused:
                self._note_read()
            return 0.0
        pace, asking = self._paced_by
        try:
            wait = pace.take(asking)
        except Overloaded as error:
            self._note_unread()
            return error.retry_after
        if wait:
            self._note_unread()
        pace.charge_as(asking, self._uncounted // FRAMES * self._weight)
        self._uncounted %= FRAMES
        return wait

    @property
    def _weight(self) -> int:
        """The number of requests for which a frame counts."""
        return 1 if self._unread_of is None else self._services.pace.weight_of_unread(self._unread_of)

    def _note_unread(self) -> None:
        """Before the client has authenticated this does nothing: sockets of one network may belong to different people."""
        actor = self._connection.actor
        if actor is not None and self._unread_of is None and self._is_there:
            self._unread_of = actor.account_id
            self._services.pace.note_unread(actor.account_id)

    def _note_read(self) -> None:
        account, self._unread_of = self._unread_of, None
        if account is not None:
            self._services.pace.note_read(account)

    @property
    def _paced_by(self) -> tuple[Pace, Asking]:
        """The pace of the client's account, or that of its network until the client has authenticated."""
        actor = self._connection.actor
        if actor is None:
            return self._services.moments.pace, self._network
        return self._services.pace, actor.account_id

    def cut(self) -> None:
        """Closes the socket because the node's limit for waiting frames is exceeded, and this socket has most of them."""
        self._forget_turn()
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
        self._forget_turn()
        self._note_read()
        self._waiting = None
        self._now_waiting(0)
        self._connection.close(CloseCode.NORMAL, "")
        self._leave()
        self._desk.stop_typing(is_busy=self._is_busy)

    def _leave(self) -> None:
        if (actor := self._connection.actor) is not None:
            self._services.messenger.feed.recent_sessions.see(actor)
        self._services.hub.leave(self._desk.listener)
        place, self._place = self._place, None
        if place is not None:
            self._services.crowds.give_back(place)

    def _now_waiting(self, size: int) -> None:
        if size != self._waiting_size:
            self._waiting_size = size
            self._services.waiting.hold(self, size)

    def _note_end(self, end: Close) -> None:
        actor = self._connection.actor
        access.info(
            "socket closed",
            extra={
                **self._desk.named,
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
        return (
            not self._is_busy
            and self._turn is None
            and self._pending < most
            and self._connection.unanswered < most
        )

    def _must_wait(self) -> bool:
        """Takes the moment of the next frame. Returns whether the frame must wait for it."""
        actor = self._connection.actor
        if actor is None or self._connection.is_closed:
            return False
        loop, pace = asyncio.get_running_loop(), self._services.pace
        try:
            if wait := pace.take(actor.account_id):
                self._turn = loop.call_later(wait, self._take_turn)
                pace.charge_as(actor.account_id, self._weight)
        except Overloaded as error:  # there are more waiting sockets of the account than moments
            self._turn = loop.call_later(error.retry_after, self._try_turn)
        if self._turn is not None and self._is_paused:
            self._note_unread()
        return self._turn is not None

    def _take_turn(self) -> None:
        self._turn = None
        self._take_next()
        self._go_on()

    def _try_turn(self) -> None:
        self._turn = None
        self._go_on()

    def _take_next(self) -> None:
        if self._waiting:
            text = self._waiting.popleft()
            self._now_waiting(self._waiting_size - getsizeof(text))
            self._decide(text)

    def _decide(self, text: str | None) -> None:
        if text is None:
            self._connection.hear_binary()
            return
        request = self._connection.hear(text)
        if isinstance(request, Sending):
            self._send(request)
        elif request is not None:
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
        while self._waiting and self._is_free and not self._must_wait():
            self._take_next()
        if not self._is_there:
            self._desk.stop_typing(is_busy=self._is_busy)
        if not self._waiting:
            self._read_on()

    def _read_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._note_read()
            self._source.resume()

    # Sends

    def _send(self, sending: Sending) -> None:
        actor = self._connection.actor
        assert actor is not None, "only entered clients have requests"
        try:
            answer = asyncio.ensure_future(self._services.messenger.messages.send(actor, sending.command))
        except (DomainError, ApplicationError) as error:  # refused before it was queued
            self._charge_refused(error)
            self._connection.answer_not_sent(sending, error)
            return
        self._pending += 1
        answer.add_done_callback(lambda answer: self._sent(sending, answer))

    def _sent(self, sending: Sending, answer: "asyncio.Future[Sent]") -> None:
        self._pending -= 1
        if answer.cancelled():
            self._connection.answer_not_sent(sending, OutcomeUnknown())
        elif (error := answer.exception()) is None:
            self._desk.note_message(sending.command.chat_id)
            if not answer.result().duplicate:
                self._charge_told(sending.command.chat_id)
            self._connection.answer_sent(sending, answer.result())
        elif isinstance(error, (DomainError, ApplicationError)):
            self._connection.answer_not_sent(sending, error)
        else:
            log.error("a send failed", exc_info=error)
            self._connection.answer_not_sent(sending, OutcomeUnknown())
        self._go_on()

    def _charge_refused(self, error: DomainError | ApplicationError) -> None:
        if isinstance(error, TooManyRequests) and (actor := self._connection.actor) is not None:
            self._services.pace.charge_refused(actor.account_id)

    def _charge_told(self, chat_id: ChatId) -> None:
        actor = self._connection.actor
        assert actor is not None, "only entered clients send"
        self._services.charge_told(actor, chat_id)

    # Everything else

    def _carry_out(self, request: object) -> None:
        if isinstance(request, Authenticate):
            self._forget_deadline()
            self._services.tasks.spawn(self._run(request))
        elif self._desk.takes_at_once(request):
            self._is_busy = False
        else:
            self._services.tasks.spawn(self._run(request))

    async def _run(self, request: object) -> None:
        whereabouts.present.set(self._where)  # of this task alone: frames come in that of the transport
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

    async def enter(self) -> None:
        """
        Lets a client enter that its transport has authenticated.

        Raises:
            DomainError: The client may not enter.
            Unavailable: Storage did not answer, or too many clients enter.
        """
        self._forget_deadline()
        try:
            free_slot = await self._take_slot()
            try:
                if self._connection.is_entering:
                    self._take_place()
                    await self._desk.enter(free_slot)
            finally:
                free_slot()
        finally:
            if self._connection.is_closed:
                self._leave()

    async def _enter(self, greeting: Authenticate) -> None:
        command = AuthenticateToken(token=greeting.token, network=self._network)
        try:
            free_slot = await self._take_slot()
            try:
                await self._services.hub.watching()
                if self._connection.is_entering:
                    self._connection.recognise(await self._services.messenger.accounts.recognise(command))
                if self._connection.is_entering:
                    self._take_place()
                    self._services.moments.give_back(self._network)
                    await self._desk.enter(free_slot)
            finally:
                free_slot()
        except (DomainError, ApplicationError) as error:
            self._connection.refuse(error)
        finally:
            if self._connection.is_closed:
                self._leave()

    def _take_place(self) -> None:
        """
        Raises:
            TooManySockets, TooManyRequests: The client has too many sockets, or opens them too often.
        """
        actor = self._connection.actor
        assert actor is not None, "only known clients enter"
        self._services.messenger.feed.connect(actor)
        self._place = self._services.crowds.take(actor)
        if actor.ends_at is not None:
            self._end_at(actor.ends_at)

    async def _take_slot(self) -> Callable[[], None]:
        """
        Takes an entry slot. Returns a function that frees it, which may be called again.

        Raises:
            Unavailable: No slot became free in time.
        """
        entering = self._services.entering
        if entering.locked():
            try:
                async with asyncio.timeout(self._services.options.entry_timeout):
                    await entering.acquire()
            except TimeoutError:
                self._services.crowded.warn(entering=self._services.options.entering)
                raise Unavailable("too many sockets enter at once") from None
        else:
            await entering.acquire()  # at once
        is_held = True

        def free() -> None:
            nonlocal is_held
            if is_held:
                is_held = False
                entering.release()

        return free

    async def _ask(self, request: object) -> None:
        try:
            await self._desk.execute(request)
        except (DomainError, ApplicationError) as error:
            self._charge_refused(error)
            self._desk.refuse(request, error)
        answered, self._connection.answered = self._connection.answered, 0
        if actor := self._connection.actor:
            self._services.pace.charge(actor.account_id, answered)

    # Deadlines

    def _too_late(self) -> None:
        self._connection.refuse_entry("auth_timeout")

    def _end_at(self, ends_at: datetime) -> None:
        """
        Ends the connection at the time when its session ends, of which nothing is announced. The clock is looked at every hour,
        because it may be set.
        """
        left = (ends_at - self._services.hub.clock.now()).total_seconds()
        if left > 0:
            wait = min(left, LOOK_AT_CLOCK_SECONDS)
            self._deadline = asyncio.get_running_loop().call_later(wait, self._end_at, ends_at)
        else:
            self._deadline = None
            self._desk.listener.end(End.SESSION_ENDED)

    def _forget_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
