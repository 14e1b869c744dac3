"""
The common part of the socket of one chat and the socket of all chats, without I/O: authentication, the order of answers
and the end.

A connection decides what to answer, what to send to the client and when to close. It uses neither socket nor clock and
awaits nothing from them: `exchange` executes the requests that it returns. `states` defines its states.
"""

from abc import ABC, abstractmethod
from typing import Final

from attrs import define, field, frozen

from application.actor import Actor
from application.messages.send import SendMessage, Sent
from application.ports.updates import ChatUpdate
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.listener import End, Run
from interfaces.wire import frames
from interfaces.wire.frames import Fields, Frame, Malformed
from interfaces.wire.server_frames import Greeting
from interfaces.ws.answers import Answers, Pending
from interfaces.ws.closing import ENDS, CloseCode
from interfaces.ws.outbox import Outbox
from interfaces.ws.refusals import Error, refusal_of
from interfaces.ws.states import TRANSITIONS, State, Step

GOAWAY: Final = "goaway"
"""The feature, named in ``features`` of `auth`, of a client that wants to be told before the server stops."""

NOT_PROCESSED: Final = "Failed to process message: invalid message"


@frozen
class Authenticate:
    """The first frame of a client. What it says of its place is kept by the connection."""

    token: str


@define(eq=False)
class Sending:
    """A message that is being stored, and the place of its answer. ``id`` is the client's name of the request."""

    command: SendMessage
    place: Pending
    id: object = None


@define(eq=False)
class Connection(ABC):
    outbox: Outbox
    _greeting: Greeting
    state: State = field(init=False, default=State.GREETING)
    actor: Actor | None = field(init=False, default=None)
    hears_goaway: bool = field(init=False, default=False)
    """Whether the client is told before the server stops. A client of the original messenger does not know that frame."""
    answered: int = field(init=False, default=0)
    """Bytes of answers that have not been charged to the account yet (`interfaces.pace`)."""
    _answers: Answers | None = field(init=False, default=None)
    """Exists only while a request is unanswered: most connections of a node are silent."""

    # Frames of the client

    def hear(self, text: str) -> object | None:
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
        return self._hear_request(fields)

    def hear_binary(self) -> None:
        if self.state is not State.CLOSED:
            self._refuse_noise()

    def _refuse_noise(self) -> None:
        if self.state is State.GREETING:
            self.refuse_entry("malformed")
        else:
            self._say(frames.error(NOT_PROCESSED, "malformed"))

    def _hear_greeting(self, fields: Fields) -> Authenticate | None:
        token = fields.get("token")
        if fields.get("type") != "auth" or not isinstance(token, str):
            self.refuse_entry("token_invalid")
            return None
        self._step(Step.GREETED)
        features = fields.get("features")
        if isinstance(features, list) and GOAWAY in features:
            self.hears_goaway = True
        self._read_since(fields.get("since"))
        return Authenticate(token)

    @abstractmethod
    def _read_since(self, value: object) -> None:
        """Reads where the client resumes."""

    @abstractmethod
    def _hear_request(self, fields: Fields) -> object | None: ...

    def _expect(self, command: SendMessage, id: object = None) -> Sending:
        if self._answers is None:
            self._answers = Answers(self.outbox, self.profile_id)
        key = (command.chat_id, command.nonce) if command.nonce else None
        return Sending(command, self._answers.expect(key), id)

    # Entering

    def recognise(self, actor: Actor) -> None:
        self.actor = actor

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
        self.close(refusal.close, refusal.reason(error))

    def refuse_entry(self, code: str) -> None:
        self._say(frames.auth_error("Authentication failed", code))
        self.close(CloseCode.POLICY, "Authentication failed")

    # Answers

    @property
    def unanswered(self) -> int:
        """The number of requests whose answer is not known, or waits for the answer of an earlier request."""
        return 0 if self._answers is None else len(self._answers)

    @abstractmethod
    def answer_sent(self, sending: Sending, sent: Sent) -> None: ...

    @abstractmethod
    def answer_not_sent(self, sending: Sending, error: Error) -> None: ...

    def _answer(self, sending: Sending, frame: Frame | None) -> None:
        answers = self._answers
        assert answers is not None, "a message that is being stored has a place for its answer"
        answers.answer(sending.place, frame)
        if answers.is_idle:
            self._answers = None

    def _say(self, frame: Frame) -> None:
        self.answered += frame.size
        if self._answers is None:
            self.outbox.put(frame)
        else:
            self._answers.say(frame)

    # As a listener

    @property
    def profile_id(self) -> ProfileId:
        assert self.actor is not None, "a listener has been authenticated"
        return self.actor.profile_id

    @property
    def session_id(self) -> SessionId:
        assert self.actor is not None, "a listener has been authenticated"
        return self.actor.session_id

    @abstractmethod
    def tell(self, frame: Frame, update: ChatUpdate | None = None, *, ephemeral: bool = False) -> None:
        """Sends a frame. The echo of an own message is held back until the client has the answer for it."""

    def _tell_each(self, run: Run) -> None:
        for frame, message in zip(run.frames, run.messages, strict=True):
            self.tell(frame, message)

    def _pass_on(
        self, chat_id: ChatId | None, frame: Frame, update: ChatUpdate | None, *, ephemeral: bool
    ) -> None:
        """Sends a frame. The echo of an own message is held back until the client has the answer for it."""
        answers = self._answers
        if answers is None or chat_id is None or not answers.holds(chat_id, update, frame):
            self.outbox.put(frame, ephemeral=ephemeral)
        elif answers.held_bytes > self.outbox.max_bytes:
            self.close(CloseCode.TRY_LATER, "too much waits for an answer; resume in 1 s")

    def _end(self, why: End) -> None:
        close = ENDS[why]
        self.close(close.code, close.reason)

    # The end

    def go_away(self, within: int) -> None:
        """Tells a client that knows the frame to leave within so many seconds. It may overtake answers that are not known yet."""
        if self.hears_goaway and self.state in {State.OPEN, State.DETACHED}:
            self.outbox.put(frames.goaway(within))

    def close(self, code: int, reason: str) -> None:
        """Closes the socket after the frames that are already written. Only the first call sets code and reason."""
        self._step(Step.ENDED)
        self.outbox.close(code, reason)

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS[self.state][step]
