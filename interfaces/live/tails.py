"""
Keeps the newest entries of chats' logs in memory, for clients that come back right after they were disconnected.

A tail is a run of neighbouring entries without a gap. It begins when a chat gets a listener, and goes on when the last one
has gone: the clients that come back want what was said meanwhile. It only saves the read of the log. Who may read, and how
far the log goes, is read from storage by each client that returns, so that nothing is told that is not committed.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from attrs import define, field, frozen

from application.ports.updates import ChatUpdate
from domain.ids import ChatId, Position
from interfaces.wire import frames
from interfaces.wire.frames import Frame

OVERHEAD: Final = 1500
"""Bytes of the objects of an entry, beside its frame and the text in it."""

CLASSES: Final = 64


@frozen
class LogEntry:
    """An entry of a chat's log, and the frame that tells it."""

    frame: Frame
    update: ChatUpdate

    @property
    def position(self) -> Position:
        return self.update.position

    @property
    def weight(self) -> int:
        """The memory that the entry takes, in bytes, estimated: its text is in the frame and in the update."""
        return OVERHEAD + 2 * self.frame.size

    @classmethod
    def of(cls, update: ChatUpdate) -> "LogEntry":
        return cls(frames.told(update), update)


@define(eq=False)
class Tail:
    chat_id: ChatId
    after: Position
    """The position before the first entry."""
    entries: deque[LogEntry] = field(factory=deque)
    weight: int = 0
    settled: Position = Position(0)
    """The entries up to here were there when tails were last aged."""

    @property
    def last(self) -> Position:
        return Position(self.after + len(self.entries))


@define(eq=False)
class Tails:
    """
    The tails of a node. Together they take at most ``limit`` bytes; when they take more, the oldest entry of one of the
    longest tails goes first, so that a busy chat cannot take the room of the others.
    """

    limit: int
    used: int = field(init=False, default=0)
    epoch: str | None = field(init=False, default=None)
    """The line of history that the entries belong to; None before the node knows it, and nothing is served."""
    _by_chat: dict[ChatId, Tail] = field(init=False, factory=dict)
    _by_size: list[dict[ChatId, Tail]] = field(init=False, factory=lambda: [{} for _ in range(CLASSES)])
    """Tails with entries, in classes that differ by a factor of two in weight."""

    def __len__(self) -> int:
        return len(self._by_chat)

    def __contains__(self, chat_id: ChatId) -> bool:
        return chat_id in self._by_chat

    # Filling

    def begin(self, epoch: str) -> None:
        """Forgets everything and continues with another line of history, in which positions may be used again."""
        self.epoch = epoch
        self.used = 0
        self._by_chat.clear()
        for group in self._by_size:
            group.clear()

    def watch(self, chat_id: ChatId, position: Position) -> None:
        """Begins a tail after ``position``, unless the chat has one. Its listeners are there at present."""
        if self.limit and chat_id not in self._by_chat:
            self._by_chat[chat_id] = Tail(chat_id, position)

    def add(self, update: ChatUpdate, frame: Frame) -> None:
        """
        Adds an update that listeners of the chat are told. If it does not follow the tail's last entry, the tail begins anew
        with it.
        """
        if not self.limit:
            return
        tail = self._by_chat.get(update.chat_id)
        if tail is None:
            tail = self._by_chat[update.chat_id] = Tail(update.chat_id, Position(update.position - 1))
        elif update.position <= tail.last:
            return
        elif update.position > tail.last + 1:
            self._empty(tail, Position(update.position - 1))
        self._append(tail, LogEntry(frame, update))

    def follow(self, update: ChatUpdate) -> None:
        """Adds an update of a chat that has a tail and perhaps no listener, if it follows the tail's last entry."""
        tail = self._by_chat.get(update.chat_id)
        if tail is not None and update.position == tail.last + 1:
            self._append(tail, LogEntry.of(update))

    def found(self, epoch: str | None, chat_id: ChatId, entries: Sequence[LogEntry]) -> None:
        """Keeps neighbouring entries that were read from the log, if they directly precede the tail or there is none."""
        tail = self._by_chat.get(chat_id)
        if not self.limit or epoch is None or epoch != self.epoch or not entries:
            return
        if tail is None:
            tail = self._by_chat[chat_id] = Tail(chat_id, entries[-1].position)
        if entries[-1].position != tail.after:
            return
        before = tail.weight
        tail.entries.extendleft(reversed(entries))
        tail.after = Position(entries[0].position - 1)
        tail.weight += sum(entry.weight for entry in entries)
        self._reweigh(tail, before)
        self._make_room()

    def _append(self, tail: Tail, entry: LogEntry) -> None:
        before = tail.weight
        tail.entries.append(entry)
        tail.weight += entry.weight
        self._reweigh(tail, before)
        self._make_room()

    # Reading

    def read(self, epoch: str | None, chat_id: ChatId, after: Position, last: Position) -> Sequence[LogEntry]:
        """
        Returns entries of one line of history from directly after a position up to ``last``, as many as there are; none if
        the entry after that position is not kept.
        """
        tail = self._by_chat.get(chat_id)
        if tail is None or epoch is None or epoch != self.epoch or not tail.after <= after < tail.last:
            return ()
        return list(islice(tail.entries, after - tail.after, min(last, tail.last) - tail.after))

    # Forgetting

    def age(self) -> None:
        """Forgets the entries that were there when this was last called, and the tails that got no entry since."""
        for tail in [*self._by_chat.values()]:
            before = tail.weight
            while tail.entries and tail.after < tail.settled:
                self._drop_first(tail)
            self._reweigh(tail, before)
            if not tail.entries and tail.settled >= tail.last:
                del self._by_chat[tail.chat_id]
            tail.settled = tail.last

    def _empty(self, tail: Tail, after: Position) -> None:
        before = tail.weight
        tail.entries.clear()
        tail.weight, tail.after = 0, after
        self._reweigh(tail, before)

    def _drop_first(self, tail: Tail) -> None:
        tail.weight -= tail.entries.popleft().weight
        tail.after = Position(tail.after + 1)

    def _reweigh(self, tail: Tail, before: int) -> None:
        """Moves a tail to the class of its weight."""
        self.used += tail.weight - before
        if tail.weight.bit_length() != before.bit_length():
            self._by_size[before.bit_length()].pop(tail.chat_id, None)
            if tail.weight:
                self._by_size[tail.weight.bit_length()][tail.chat_id] = tail

    def _make_room(self) -> None:
        while self.used > self.limit:
            longest = next(group for group in reversed(self._by_size) if group)
            tail = next(iter(longest.values()))
            before = tail.weight
            self._drop_first(tail)
            self._reweigh(tail, before)
