"""
The protocol of one chat's socket without I/O: authentication, limits and the order of answers.

A connection decides what to answer, what to send to the client and when to close. It uses neither socket nor clock and
awaits nothing from them: `exchange` executes the requests that it returns. `states` defines its states, `chat_frames` the
frames of the client.
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
    """A message that is being stored, and the place of its answer."""

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
    """The position from which the client resumes; None for a new client, and after the entry."""
    _answers: Answers | None = field(init=False, default=None)
    """Exists only while a request is unanswered: most connections of a node are silent."""

    # Frames of the client

    def hear(self, text: str) -> Authenticate | Sending | Request | None:
        """Takes a text frame. Returns the request in it, or None if there is nothing to execute."""
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
        """Sends `auth_success`. Its ``seq`` and ``position`` are where the history or replay that follows will end."""
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
        """Refuses the entry, with the frame and close code that the error has."""
        refusal = refusal_of(error)
        if refusal.no_entry is not None:
            self._say(frames.auth_error(refusal.no_entry, refusal.code(error)))
        self.close(refusal.close, refusal.reason)

    def refuse_entry(self, code: str) -> None:
        self._say(frames.auth_error("Authentication failed", code))
        self.close(CloseCode.POLICY, "Authentication failed")

    # Answers

    @property
    def unanswered(self) -> int:
        """The number of requests whose answer is not known, or waits for the answer of an earlier request."""
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
        assert answers is not None, "a message that is being stored has a place for its answer"
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
        """Records that the client sent `leave_chat`."""
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
        """Sends a frame. The echo of an own message is held back until the client has the answer for it."""
        answers = self._answers
        if answers is None or not answers.holds(self.chat_id, update, frame):
            self.outbox.put(frame, ephemeral=ephemeral)
        elif answers.held_bytes > self.outbox.max_bytes:
            self.close(CloseCode.TRY_LATER, "too much waits for an answer; resume in 1 s")

    def end(self, why: End, chat_id: ChatId | None = None) -> None:
        assert chat_id in {None, self.chat_id}, "this connection belongs to one chat"
        close = ENDS[why]
        self.close(close.code, close.reason)

    # The end

    def close(self, code: int, reason: str) -> None:
        """Closes the socket after the frames that are already written. Only the first call sets code and reason."""
        self._step(Step.ENDED)
        self.outbox.close(code, reason)

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state][step]
