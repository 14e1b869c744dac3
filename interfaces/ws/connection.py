"""
The protocol of one chat's socket, without a socket: its handshake, its limits and the order of its answers.

It decides what is answered, what the client is told and when the socket closes. It knows no socket and no clock and
awaits nothing: `exchange` carries out what it returns. `states` has its states, `chat_frames` the frames of the client.
"""

from attrs import define, field

from application.actor import Actor
from application.messages.send import SendMessage, Sent
from application.ports.updates import ChatUpdate
from application.views import HistoryPage, Snapshot
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.entry import Reset, Since
from interfaces.live.listener import End
from interfaces.wire import frames
from interfaces.wire.frames import Fields, Frame, Malformed
from interfaces.ws.answers import Answers, Pending
from interfaces.ws.chat_frames import (
    NOT_PROCESSED,
    Authenticate,
    CountUnread,
    Ping,
    ReadHistory,
    Request,
    Unacceptable,
    read_greeting,
    read_request,
)
from interfaces.ws.closing import ENDS, CloseCode
from interfaces.ws.outbox import Outbox
from interfaces.ws.refusals import Error, refusal_of
from interfaces.ws.states import TRANSITIONS, State, Step


@define(eq=False)
class Sending:
    """A message on its way into storage, and the place of its answer."""

    command: SendMessage
    place: Pending


@define(eq=False)
class Connection:
    chat_id: ChatId
    outbox: Outbox
    _greeting: Fields
    state: State = State.GREETING
    actor: Actor | None = None
    since: Since | Reset | None = field(init=False, default=None)
    """Where the client was before it came back; None again once it is in."""
    _answers: Answers | None = field(init=False, default=None)
    """Made while something waits for its answer: a node has many connections that say nothing."""

    # What the client says

    def hear(self, text: str) -> Authenticate | Sending | Request | None:
        """A text frame arrived. Returns what it asks for, if it asks for something."""
        if self.state is State.CLOSED:
            return None
        try:
            fields = frames.read(text)
        except Malformed:
            self._refuse_noise()
            return None
        if self.state is State.GREETING:
            return self._hear_greeting(fields)
        try:
            request = read_request(self.chat_id, fields)
        except Unacceptable as error:
            self._say(frames.error(error.message, error.code, error.nonce))
            return None
        return self._expect(request) if isinstance(request, SendMessage) else request

    def hear_binary(self) -> None:
        if self.state is not State.CLOSED:
            self._refuse_noise()

    def _refuse_noise(self) -> None:
        if self.state is State.GREETING:
            self.refuse_entry("malformed")
        else:
            self._say(frames.error(NOT_PROCESSED, "malformed"))

    def _hear_greeting(self, fields: Fields) -> Authenticate | None:
        greeting = read_greeting(fields)
        if greeting is None:
            self.refuse_entry("token_invalid")
            return None
        self._step(Step.GREETED)
        self.since = greeting.since
        return greeting

    def _expect(self, command: SendMessage) -> Sending:
        if self._answers is None:
            self._answers = Answers(self.outbox, self.profile_id)
        key = (self.chat_id, command.nonce) if command.nonce else None
        return Sending(command, self._answers.expect(key))

    # Entering

    def recognise(self, actor: Actor) -> None:
        self.actor = actor

    def welcome(self, snapshot: Snapshot) -> None:
        """It is in. ``seq`` and ``position`` are where the history, or the replay, that follows will end."""
        self.since = None
        self._say(
            frames.auth_success(
                user_id=self.profile_id,
                chat_id=self.chat_id,
                session_id=self.session_id,
                epoch=snapshot.epoch,
                seq=snapshot.seq,
                position=snapshot.position,
                greeting=self._greeting,
            )
        )

    def begin(self, snapshot: Snapshot, why: Reset | None) -> None:
        if why:
            self._say(frames.reset(self.chat_id, why))
        self._say(frames.chat_history(snapshot.history, snapshot.unread_count))

    def resumed(self, snapshot: Snapshot) -> None:
        self._say(frames.resumed(self.chat_id, snapshot))

    def opened(self) -> None:
        self._step(Step.ENTERED)

    @property
    def is_entering(self) -> bool:
        return self.state is State.ENTERING

    @property
    def is_closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def has_room(self) -> bool:
        return self.outbox.is_relaxed

    async def drained(self) -> None:
        await self.outbox.relaxed()

    def refuse(self, error: Error) -> None:
        """It may not enter."""
        refusal = refusal_of(error)
        if refusal.no_entry is not None:
            self._say(frames.auth_error(refusal.no_entry, refusal.code(error)))
        self.close(refusal.close, refusal.reason)

    def refuse_entry(self, code: str) -> None:
        self._say(frames.auth_error("Authentication failed", code))
        self.close(CloseCode.POLICY, "Authentication failed")

    # What is answered

    @property
    def unanswered(self) -> int:
        """How many frames of the client wait for their answer, or with it for that of a frame before them."""
        return 0 if self._answers is None else len(self._answers)

    def answer_sent(self, sending: Sending, sent: Sent) -> None:
        nonce = sending.command.nonce
        self._answer(sending, frames.message_ack(nonce, sent) if nonce else None)

    def answer_not_sent(self, sending: Sending, error: Error) -> None:
        refusal, nonce = refusal_of(error), sending.command.nonce
        self._answer(
            sending,
            frames.error(
                refusal.not_sent(error),
                refusal.code(error),
                nonce.value if nonce else None,
                **refusal.fields(error),
            ),
        )

    def answer_history(self, page: HistoryPage, unread_count: int) -> None:
        self._say(frames.chat_history(page, unread_count))

    def answer_ping(self, ping: Ping) -> None:
        self._say(frames.pong(ping.id))

    def answer_count(self, count: int) -> None:
        self._say(frames.unread_count(self.chat_id, count))

    def answer_failed(self, request: Request, error: Error) -> None:
        match request:
            case ReadHistory():
                message = "Failed to load chat history"
            case CountUnread():
                message = "Failed to get unread count"
            case _:
                message = "Failed to process message: not done"
        refusal = refusal_of(error)
        self._say(frames.error(message, refusal.code(error), **refusal.fields(error)))

    def _answer(self, sending: Sending, frame: Frame | None) -> None:
        answers = self._answers
        assert answers is not None, "a message that is on its way waits for its answer"
        answers.answer(sending.place, frame)
        if answers.is_idle:
            self._answers = None

    def _say(self, frame: Frame) -> None:
        if self._answers is None:
            self.outbox.put(frame)
        else:
            self._answers.say(frame)

    # As a listener

    def detach(self) -> None:
        """The client has left the chat by word."""
        self._step(Step.LEFT)

    @property
    def profile_id(self) -> ProfileId:
        assert self.actor is not None, "a listener has been authenticated"
        return self.actor.profile_id

    @property
    def session_id(self) -> SessionId:
        assert self.actor is not None, "a listener has been authenticated"
        return self.actor.session_id

    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """An own message is held back until its sender was answered: an answer comes before what it answers for."""
        answers = self._answers
        if answers is None or not answers.holds(self.chat_id, update, frame):
            self.outbox.put(frame, ephemeral=ephemeral)
        elif answers.held_bytes > self.outbox.max_bytes:
            self.close(CloseCode.TRY_LATER, "too much waits for an answer; resume in 1 s")

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        assert chat_id in {None, self.chat_id}, "there is no other chat here"
        close = ENDS[why]
        self.close(close.code, close.reason)

    # The end

    def close(self, code: int, reason: str) -> None:
        """Close the socket behind what was written. The first reason counts."""
        self._step(Step.ENDED)
        self.outbox.close(code, reason)

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state][step]
