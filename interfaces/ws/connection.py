"""
The protocol of one chat's socket, without a socket.

    GREETING ──auth──▶ ENTERING ──▶ OPEN ──leave_chat──▶ DETACHED
        └──anything else──▶ CLOSED ◀──────────┘

This file decides: what a frame asks for, what is answered, what the socket is told and when it closes. It knows no
socket and no clock and awaits nothing; `endpoint` does what it says.
"""

from collections import deque
from enum import Enum, StrEnum, auto
from typing import Any, Final
from uuid import UUID

from attrs import define, field, frozen

from application.actor import Actor
from application.errors import ApplicationError, NotAuthenticated, Overloaded, Unavailable
from application.messages.send import NonceReused, SendMessage, Sent
from application.ports.updates import ChatUpdate, NewMessage
from application.ports.views import Newest, PageNumber, Where
from application.receipts.mark_read import MarkRead
from application.receipts.mark_single import MarkSingle
from application.updates.typing import ShowTyping
from application.views import HistoryPage, Snapshot
from domain.chat import ChatNotFound, NotAMember, TooFrequent
from domain.errors import DomainError
from domain.ids import ChatId, MessageId, ProfileId, SessionId
from domain.message import Body, EmptyBody, Nonce
from interfaces.wire import frames
from interfaces.wire.faults import Refused
from interfaces.wire.frames import Fields, Frame, Malformed
from interfaces.wire.values import identity
from interfaces.ws.outbox import Outbox

POLICY: Final = 1008
RESTART: Final = 1012
TRY_LATER: Final = 1013
SESSION_OVER: Final = 4401
NO_MEMBER: Final = 4403
"""Close codes; docs/protocol.md says which of them mean "come back"."""

HISTORY_DEFAULT: Final = 10
HISTORY_MOST: Final = 100
TYPING_INTERVAL: Final = 1.0
"""Seconds between two frames of one socket that say the same about typing; the others are dropped."""

REPLAY_MOST: Final = 1000
"""Events that are told again after a break; who missed more begins with a page of history."""

SHOWN: Final = 100
"""Characters of a client's own words that are said back to it."""


@frozen
class Since:
    """How far a client has heard a chat, in which line of history."""

    epoch: str
    position: int


class Reset(StrEnum):
    """Why a client hears a chat anew instead of what it missed."""

    EPOCH = "epoch"
    AHEAD = "ahead"
    TOO_FAR = "too_far"
    MALFORMED = "malformed"


@frozen
class Authenticate:
    token: str


@frozen
class ReadHistory:
    where: Where
    limit: int


@frozen
class CountUnread:
    pass


@frozen
class Leave:
    pass


@frozen
class Ping:
    id: Any


Request = SendMessage | MarkRead | MarkSingle | ShowTyping | ReadHistory | CountUnread | Leave | Ping


class State(Enum):
    GREETING = auto()
    ENTERING = auto()
    OPEN = auto()
    DETACHED = auto()
    CLOSED = auto()


@define(eq=False)
class Connection:
    chat_id: ChatId
    outbox: Outbox
    _greeting: Fields
    state: State = State.GREETING
    actor: Actor | None = None
    _since: Since | Reset | None = field(init=False, default=None)
    # made when they are needed: a node has many connections that say nothing
    _unanswered: set[Nonce] | None = field(init=False, default=None)
    _held: deque[tuple[ChatUpdate | None, Frame]] | None = field(init=False, default=None)
    """Own messages whose answer is not written yet, and what came after them."""
    _typed: dict[bool, float] | None = field(init=False, default=None)

    # What the client says

    def hear(self, text: str, now: float) -> Authenticate | Request | None:
        """A text frame arrived. ``now`` is in seconds, from any beginning."""
        if self.state is State.CLOSED:
            return None
        try:
            fields = frames.read(text)
        except Malformed:
            self._hear_noise()
            return None
        if self.state is State.GREETING:
            return self._hear_greeting(fields)
        return self._hear_request(fields, now)

    def hear_binary(self) -> None:
        if self.state is not State.CLOSED:
            self._hear_noise()

    def _hear_noise(self) -> None:
        if self.state is State.GREETING:
            self.refuse_entry("malformed")
        else:
            self._say(frames.error("Failed to process message: invalid message", "malformed"))

    def _hear_greeting(self, fields: Fields) -> Authenticate | None:
        token = fields.get("token")
        if fields.get("type") != "auth" or not isinstance(token, str):
            self.refuse_entry("token_invalid")
            return None
        self.state = State.ENTERING
        self._since = _since(fields.get("since"))
        return Authenticate(token)

    def _hear_request(self, fields: Fields, now: float) -> Request | None:
        match kind := fields.get("type"):
            case "send_message":
                return self._hear_message(fields)
            case "mark_read":
                up_to = _identity(fields.get("last_read_message_id"))
                return MarkRead(chat_id=self.chat_id, up_to=MessageId(up_to)) if up_to else None
            case "mark_single_read":
                message_id = _identity(fields.get("message_id"))
                return (
                    MarkSingle(chat_id=self.chat_id, message_id=MessageId(message_id)) if message_id else None
                )
            case "typing":
                return self._hear_typing(bool(fields.get("is_typing", False)), now)
            case "get_chat_history":
                return self._hear_history(fields)
            case "get_unread_count":
                return CountUnread()
            case "leave_chat":
                return Leave()
            case "ping":
                return Ping(fields.get("id"))
            case _:
                # a list or an object may be nested deeper than Python can print
                name = "not a name" if isinstance(kind, list | dict) else str(kind)[:SHOWN]
                self._say(frames.error(f"Unknown message type: {name}", "unknown_type"))
                return None

    def _hear_message(self, fields: Fields) -> SendMessage | None:
        text, name = fields.get("text"), fields.get("nonce")
        if name is None and not text:
            return None  # the original messenger ignores these, and whoever gave no nonce expects no answer
        try:
            nonce = None if name is None else Nonce(_string(name))
            command = SendMessage(chat_id=self.chat_id, body=Body(_string(text or "")), nonce=nonce)
        except EmptyBody as error:
            if name is not None:
                self._say(frames.error("Failed to send message", error.code, _shown(name)))
            return None
        except Malformed as error:
            message = "Failed to process message: invalid message"
            self._say(frames.error(message, error.code, _shown(name)))
            return None
        except DomainError as error:
            self._say(frames.error("Failed to send message", error.code, _shown(name)))
            return None
        if nonce:
            if self._unanswered is None:
                self._unanswered = set()
            self._unanswered.add(nonce)
        return command

    def _hear_typing(self, is_typing: bool, now: float) -> ShowTyping | None:
        if self._typed is None:
            self._typed = {}
        said = self._typed.get(is_typing)
        if said is not None and now - said < TYPING_INTERVAL:
            return None
        self._typed[is_typing] = now
        return ShowTyping(chat_id=self.chat_id, is_typing=is_typing)

    def _hear_history(self, fields: Fields) -> ReadHistory | None:
        limit, page = fields.get("limit", HISTORY_DEFAULT), fields.get("offset", 0)
        limit = HISTORY_DEFAULT if limit is None else limit
        page = 0 if page is None else page
        if not (_is_number(limit) and _is_number(page)):
            self._say(frames.error("Failed to load chat history", "malformed"))
            return None
        where = PageNumber(page) if page > 1 else Newest()
        return ReadHistory(where, min(limit, HISTORY_MOST))

    # What is answered

    def recognise(self, actor: Actor) -> None:
        self.actor = actor

    @property
    def comes_back(self) -> bool:
        """It says where it was, and so needs no page of history if it can go on there."""
        return isinstance(self._since, Since)

    def resume_from(self, snapshot: Snapshot) -> int | Reset | None:
        """After which position this client missed what it must be told; or why it begins anew; None: it is new."""
        since = self._since
        if not isinstance(since, Since):
            return since
        if since.epoch != snapshot.epoch:
            return Reset.EPOCH
        if since.position > snapshot.position:
            return Reset.AHEAD
        if since.position < snapshot.position - REPLAY_MOST:
            return Reset.TOO_FAR
        return since.position

    def welcome(self, snapshot: Snapshot) -> None:
        """It is in. ``seq`` and ``position`` are where the history, or the replay, that follows will end."""
        actor = self.actor
        assert actor is not None, "who is welcome is known"
        self._since = None
        self._say(
            frames.auth_success(
                user_id=actor.profile_id,
                chat_id=self.chat_id,
                session_id=actor.session_id,
                epoch=snapshot.epoch,
                seq=snapshot.seq,
                position=snapshot.position,
                greeting=self._greeting,
            )
        )

    def begin(self, snapshot: Snapshot, why: Reset | None) -> None:
        """With a page of history; ``why`` it must begin anew, if it had been here."""
        if why:
            self._say(frames.reset(self.chat_id, why))
        self._say(frames.chat_history(snapshot.history, snapshot.unread_count))

    def resumed(self, snapshot: Snapshot) -> None:
        """It has been told what it missed."""
        self._say(frames.resumed(self.chat_id, snapshot))

    def opened(self) -> None:
        """From now on it hears all that happens in the chat."""
        if self.state is State.ENTERING:
            self.state = State.OPEN

    @property
    def is_entering(self) -> bool:
        return self.state is State.ENTERING

    @property
    def is_closed(self) -> bool:
        return self.state is State.CLOSED

    def refuse(self, error: DomainError | ApplicationError) -> None:
        """It may not enter."""
        match error:
            case NotAuthenticated():
                self.refuse_entry(error.reason)
            case ChatNotFound():
                self._refuse("Chat not found", error.code, "Chat not found")
            case NotAMember():
                self._refuse("You are not a member of this chat", error.code, "Access denied")
            case DomainError():
                self.refuse_entry(error.code)
            case _:
                self.end(TRY_LATER, "try again in 1 s")

    def refuse_entry(self, code: str) -> None:
        self._refuse("Authentication failed", code, "Authentication failed")

    def _refuse(self, message: str, code: str, reason: str) -> None:
        self._say(frames.auth_error(message, code))
        self.end(POLICY, reason)

    def answer_sent(self, command: SendMessage, sent: Sent) -> None:
        if command.nonce:
            self._say(frames.message_ack(command.nonce, sent))
            self._release(command.nonce)

    def answer_not_sent(self, command: SendMessage, error: DomainError | ApplicationError) -> None:
        more: dict[str, Any] = {}
        match error:
            case NonceReused():
                more = {"id": error.first.message.id, "seq": error.first.message.seq}
                code = error.code
            case Unavailable():
                code, more = Unavailable.code, {"retry_after": error.retry_after}
            case Overloaded():
                code, more = error.code, {"retry_after": error.retry_after}
            case _:
                code = error.code
        nonce, message = command.nonce, "Failed to send message"
        if isinstance(error, TooFrequent):
            message = f"Message blocked: Too frequent. Wait {error.wait:.1f}s"
        self._say(frames.error(message, code, nonce.value if nonce else None, **more))
        if nonce:
            self._release(nonce)

    def answer_history(self, page: HistoryPage, unread_count: int) -> None:
        self._say(frames.chat_history(page, unread_count))

    def answer_ping(self, ping: Ping) -> None:
        try:
            pong = frames.pong(ping.id)
        except Malformed:
            self._hear_noise()
        else:
            self._say(pong)

    def answer_count(self, count: int) -> None:
        self._say(frames.unread_count(self.chat_id, count))

    def answer_failed(self, request: Request, error: DomainError | ApplicationError) -> None:
        match request:
            case ReadHistory():
                message = "Failed to load chat history"
            case CountUnread():
                message = "Failed to get unread count"
            case _:
                message = "Failed to process message: not done"
        more: dict[str, Any] = {"retry_after": error.retry_after} if isinstance(error, Unavailable) else {}
        code = Unavailable.code if isinstance(error, Unavailable) else error.code
        self._say(frames.error(message, code, **more))

    def detach(self) -> None:
        if self.state is State.OPEN:
            self.state = State.DETACHED

    # What it is told

    @property
    def profile_id(self) -> ProfileId:
        assert self.actor is not None, "who listens has entered"
        return self.actor.profile_id

    @property
    def session_id(self) -> SessionId:
        assert self.actor is not None, "who listens has entered"
        return self.actor.session_id

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """
        ``update`` is what a durable frame was made from.

        An own message is held back until its sender was answered: an answer comes before what it is the answer to.
        """
        if self._held or (self._unanswered and self._awaits(update)):
            if self._held is None:
                self._held = deque()
            self._held.append((update, frame))
        else:
            self.outbox.put(frame, ephemeral=ephemeral)

    def end(self, code: int, reason: str) -> None:
        self.state = State.CLOSED
        self.outbox.close(code, reason)

    def _awaits(self, update: ChatUpdate | None) -> bool:
        if not (self._unanswered and isinstance(update, NewMessage)):
            return False
        message = update.view.message
        return message.nonce in self._unanswered and message.author_id == self.profile_id

    def _release(self, nonce: Nonce) -> None:
        if self._unanswered:
            self._unanswered.discard(nonce)
        while self._held and not self._awaits(self._held[0][0]):
            self.outbox.put(self._held.popleft()[1])

    def _say(self, frame: Frame) -> None:
        self.outbox.put(frame)


def _string(value: object) -> str:
    """
    Raises:
        Malformed: It is none.
    """
    if not isinstance(value, str):
        raise Malformed
    return value


def _identity(value: object) -> UUID | None:
    """Of a message; what is none is met with silence, as in the original messenger."""
    try:
        return identity(value)
    except Refused:
        return None


def _since(value: object) -> Since | Reset | None:
    if value is None:
        return None
    if isinstance(value, dict):
        epoch, position = value.get("epoch"), value.get("position")
        if isinstance(epoch, str) and isinstance(position, int) and _is_number(position):
            return Since(epoch, position)
    return Reset.MALFORMED


def _shown(name: object) -> str | None:
    return name if isinstance(name, str) and len(name) <= SHOWN else None


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
