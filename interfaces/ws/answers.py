"""
Orders the frames to one socket: answers come in the order of the requests, and the echo of an own message comes after its
answer.
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
    """A request whose answer has not been written yet."""

    key: Key | None
    """Set for a message with a nonce: its echo must wait for the answer."""
    answer: Frame | None = None
    is_answered: bool = False


@define(eq=False)
class Answers:
    """
    Puts the frames of one socket in order before they go to its outbox.

    Sends overlap: a later one may be stored first, and an invalid frame is refused at once. Their answers wait here for
    the answers of earlier frames. The echo of a message that is not answered yet is held too, and with it every later
    update of its chat.
    """

    _outbox: Outbox
    _reader: ProfileId
    held_bytes: int = field(init=False, default=0)
    _pending: deque[Pending] = field(init=False, factory=deque)
    _unanswered: dict[Key, int] = field(init=False, factory=dict)
    """The number of unanswered sends under each nonce: an impatient client may send twice."""
    _held: dict[ChatId, deque[tuple[ChatUpdate | None, Frame]]] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_idle(self) -> bool:
        return not self._pending and not self._held

    @property
    def is_holding(self) -> bool:
        """Whether frames wait here for an answer."""
        return bool(self._held)

    def expect(self, key: Key | None) -> Pending:
        """Reserves the place of an answer that will come later."""
        pending = Pending(key)
        self._pending.append(pending)
        if key is not None:
            self._unanswered[key] = self._unanswered.get(key, 0) + 1
        return pending

    def answer(self, pending: Pending, frame: Frame | None) -> None:
        """Fills a place with its answer, or with None if the request needs no answer."""
        pending.answer = frame
        pending.is_answered = True
        while self._pending and self._pending[0].is_answered:
            first = self._pending.popleft()
            if first.answer is not None:
                self._outbox.put(first.answer)
            if first.key is not None:
                self._release(first.key)

    def say(self, frame: Frame) -> None:
        """Adds an answer to the frame that arrived last."""
        if self._pending:
            self._pending.append(Pending(None, frame, is_answered=True))
        else:
            self._outbox.put(frame)

    def holds(self, chat_id: ChatId, update: ChatUpdate | None, frame: Frame) -> bool:
        """Keeps a frame that must wait, and writes it later. Returns False if the frame can be written now."""
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
