"""
The order of what one socket is told: answers in the order of the frames that they belong to, and an own message only after
its answer.
"""

from collections import deque

from attrs import define, field

from application.ports.updates import ChatUpdate, NewMessage
from domain.ids import ChatId, ProfileId
from domain.message import Nonce
from interfaces.wire.frames import Frame
from interfaces.ws.outbox import Outbox

Key = tuple[ChatId, Nonce]


@define(eq=False)
class Pending:
    """A frame of the client whose answer is not written yet."""

    key: Key | None
    """Of a message with a nonce: its own echo waits for the answer."""
    answer: Frame | None = None
    is_answered: bool = False


@define(eq=False)
class Answers:
    """
    What stands between a socket's answers and its outbox.

    Sends overlap: a later one may be decided first, and a frame that cannot be heeded is refused at once. Their answers
    wait here for those of the frames before them. An update that is the echo of a message without an answer yet is held
    too, and with it everything of its chat that comes after it.
    """

    _outbox: Outbox
    _reader: ProfileId
    held_bytes: int = field(init=False, default=0)
    _pending: deque[Pending] = field(init=False, factory=deque)
    _unanswered: dict[Key, int] = field(init=False, factory=dict)
    """How many sends under a nonce have no answer yet: a client may be impatient, and send twice."""
    _held: dict[ChatId, deque[tuple[ChatUpdate | None, Frame]]] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_idle(self) -> bool:
        return not self._pending and not self._held

    def expect(self, key: Key | None) -> Pending:
        """A frame was taken whose answer will come later."""
        pending = Pending(key)
        self._pending.append(pending)
        if key is not None:
            self._unanswered[key] = self._unanswered.get(key, 0) + 1
        return pending

    def answer(self, pending: Pending, frame: Frame | None) -> None:
        """The answer is known. None: there is nothing to say."""
        pending.answer = frame
        pending.is_answered = True
        while self._pending and self._pending[0].is_answered:
            first = self._pending.popleft()
            if first.answer is not None:
                self._outbox.put(first.answer)
            if first.key is not None:
                self._release(first.key)

    def say(self, frame: Frame) -> None:
        """Answer the frame that was heard last."""
        if self._pending:
            self._pending.append(Pending(None, frame, is_answered=True))
        else:
            self._outbox.put(frame)

    def holds(self, chat_id: ChatId, update: ChatUpdate | None, frame: Frame) -> bool:
        """Whether a frame must wait. It is kept then, and written when its time has come."""
        held = self._held.get(chat_id)
        if held is None:
            if not self._awaits(update):
                return False
            held = self._held[chat_id] = deque()
        held.append((update, frame))
        self.held_bytes += frame.size
        return True

    def _awaits(self, update: ChatUpdate | None) -> bool:
        if not (self._unanswered and isinstance(update, NewMessage)):
            return False
        message = update.view.message
        return (
            message.nonce is not None
            and message.author_id == self._reader
            and (message.chat_id, message.nonce) in self._unanswered
        )

    def _release(self, key: Key) -> None:
        left = self._unanswered.pop(key) - 1
        if left:
            self._unanswered[key] = left
        chat_id = key[0]
        held = self._held.get(chat_id)
        while held and not self._awaits(held[0][0]):
            frame = held.popleft()[1]
            self.held_bytes -= frame.size
            self._outbox.put(frame)
        if held is not None and not held:
            del self._held[chat_id]
