"""
The common part of every bus between processes: a queue for the other processes, and the way in for their updates.

The listeners of this process hear an update at once, and those of other processes as soon as the bus has carried it. A bus
only makes others faster: everything stored is read from the log a second later at the latest. Whatever does not fit, or
could not be sent, may therefore be replaced by a hint for each chat, or be left out.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, assert_never

from attrs import define, evolve, field, frozen

from application.ports.updates import (
    AttendingThere,
    LimitUsed,
    Moved,
    NewMember,
    NewMessage,
    OnlineThere,
    Typing,
    Update,
    WhoIsThere,
)
from domain.events import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    MemberRemoved,
    MessagesRead,
    RoleChanged,
    SessionEnded,
)
from domain.ids import ChatId
from infrastructure.complaints import Complaints
from infrastructure.listeners import Listeners
from infrastructure.update_codec import Packing, Unreadable, encoded, read_envelope

log: Final = logging.getLogger(__name__)

MOST_WAITING: Final = 10_000
"""Updates that wait to be sent. Beyond that they become hints: one for each chat."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts to connect. Pauses double from the first to the longest."""

APART: Final = 0.005
"""
Seconds from the beginning of a batch of several updates to the next one. What is published meanwhile goes out together: each batch
costs its publisher and every other process as much as several updates. After a single update nothing waits.
"""

TAKEN_AT_ONCE: Final = 250
"""Updates that are encoded in one go, which keeps the event loop for some two milliseconds."""


@frozen
class Batch:
    """Updates on their way, as envelopes."""

    updates: Sequence[Update]
    envelopes: Sequence[bytes]


@define(eq=False, kw_only=True)
class Relay:
    publisher: str
    """Identifies this process among all that use the bus."""
    most_bytes: int
    """The greatest size of an envelope."""
    most_waiting: int = MOST_WAITING
    _epoch: str = field(init=False, default="")
    """The present line of history, as this process last read it."""
    _listeners: Listeners = field(init=False, factory=Listeners)
    _is_listened_to: Callable[[ChatId], bool] = field(init=False, default=lambda _: True)
    _waiting: deque[Update] = field(init=False, factory=deque)
    _is_filled: asyncio.Event = field(init=False, factory=asyncio.Event)
    _began: float = field(init=False, default=0.0)
    """When the last batch began, by the event loop's clock."""
    _had_several: bool = field(init=False, default=False)
    """True if the last batch had more than one update."""
    _packing: Packing = field(init=False)
    _complaints: Complaints = field(init=False, factory=lambda: Complaints("bus", log))

    def __attrs_post_init__(self) -> None:
        self._packing = Packing(self.publisher, self.most_bytes)

    # The port

    def publish(self, updates: Sequence[Update]) -> None:
        self._listeners.tell(updates)
        if not self._epoch:  # this process has read nothing yet, and cannot say what positions mean
            return
        self._waiting.extend(updates)
        if len(self._waiting) > self.most_waiting:
            self._shorten()
        self._is_filled.set()

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._listeners.add(listener)

    def focus(self, is_listened_to: Callable[[ChatId], bool]) -> None:
        """From now on leaves out what other processes publish about chats to which nobody listens here."""
        self._is_listened_to = is_listened_to

    def see(self, epoch: str) -> None:
        """Notes the present line of history. What waits to be sent belongs to the one before, and is forgotten."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._waiting.clear()

    # Sending

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    async def filled(self, seconds: float) -> None:
        """Waits until there is something to send, or for ``seconds``; and until a batch of several is `APART` seconds ago."""
        self._is_filled.clear()
        if not self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._is_filled.wait()
        loop = asyncio.get_running_loop()
        if self._had_several and (rest := self._began + APART - loop.time()) > 0:
            await asyncio.sleep(rest)
        self._began = loop.time()

    def take(self, chosen: Callable[[Update], str] = lambda _: "") -> dict[str, Batch]:
        """
        Takes the oldest updates out of the queue, in batches by what ``chosen`` says of each. Within a batch they keep
        their order.
        """
        taken: dict[str, list[Update]] = {}
        count = min(len(self._waiting), TAKEN_AT_ONCE)
        self._had_several = count > 1
        for _ in range(count):
            update = self._waiting.popleft()
            taken.setdefault(chosen(update), []).append(update)
        return {name: self._batch(updates) for name, updates in taken.items()}

    def _batch(self, updates: Sequence[Update]) -> Batch:
        room = self._packing.room(self._epoch)
        return Batch(updates, self._packing.pack(self._epoch, self._encoded(updates, room)))

    @staticmethod
    def _encoded(updates: Iterable[Update], room: int) -> Iterator[bytes]:
        for update in updates:
            data = encoded(update)
            if len(data) <= room:
                yield data
            elif hint := _hint(update):
                yield encoded(hint)

    def sign_of_life(self) -> bytes:
        """An envelope without updates, by which a process finds out whether it hears itself."""
        (envelope,) = self._packing.pack(self._epoch, ())
        return envelope

    def not_sent(self, batches: Iterable[Batch]) -> None:
        """
        Puts hints about a batch in front of what waits, because its outcome is unknown: sending it again
        would let old news follow newer ones.
        """
        self._waiting.extendleft(reversed(_hints(update for batch in batches for update in batch.updates)))
        self._is_filled.set()

    def complain(self, cause: str) -> None:
        """Logs that the connection was lost, once a minute."""
        self._complaints.tell("the connection between processes was lost", cause)

    def _shorten(self) -> None:
        """
        Leaves out first who is where, which its publisher says again within seconds, and then all but one hint for each chat. Those
        who came meanwhile may never be told as coming.
        """
        self._complaints.tell("too much waits to be sent", f"more than {self.most_waiting} updates")
        lasting = [each for each in self._waiting if not isinstance(each, OnlineThere | AttendingThere)]
        if len(lasting) <= self.most_waiting // 2:
            self._waiting = deque(lasting)
            return
        shortened = _hints(self._waiting)
        self._waiting.clear()
        self._waiting.extend(shortened[: self.most_waiting // 2])

    # Hearing

    def hear(self, data: bytes) -> None:
        """Tells the listeners of this process what another one has published. What cannot be read is logged."""
        if data.startswith(self._packing.beginning):  # its own
            return
        try:
            envelope = read_envelope(data, self._is_wanted, self._is_listened_to)
        except Unreadable as why:
            self._complaints.tell("an envelope cannot be read", str(why))
            return
        if envelope is not None and envelope.updates:
            self._listeners.tell(envelope.updates)

    def _is_wanted(self, publisher: str, epoch: str) -> bool:
        return publisher != self.publisher and epoch == self._epoch


async def again_and_again(
    work: Callable[[Callable[[], None]], Awaitable[None]], failures: tuple[type[Exception], ...], relay: Relay
) -> None:
    """
    Runs ``work``, which never ends by itself, and runs it again after each of its ``failures``, which are logged. It calls
    its argument when it works, after which pauses are short again.
    """
    pause = FIRST_PAUSE

    def works() -> None:
        nonlocal pause
        pause = FIRST_PAUSE

    while True:
        try:
            await work(works)
        except failures as error:
            relay.complain(" ".join(str(error).split()) or type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _hint(update: Update) -> Moved | None:
    """Returns the hint to send instead of an update, or None if no log of a chat has it."""
    match update:
        case Moved():
            return update
        case NewMessage() | ChatChanged() | NewMember() | MemberRemoved() | RoleChanged():
            return Moved(chat_id=update.chat_id, position=update.position)
        case ChatAdded() | ChatRemoved() | SessionEnded() | MessagesRead() | Typing():
            return None
        case OnlineThere() | AttendingThere() | WhoIsThere() | LimitUsed():
            return None
        case _:
            assert_never(update)


def _hints(updates: Iterable[Update]) -> list[Moved]:
    """One hint for each chat, up to its last position."""
    found: dict[ChatId, Moved] = {}
    for update in updates:
        if hint := _hint(update):
            before = found.setdefault(hint.chat_id, hint)
            if (hint.position or 0) > (before.position or 0):
                found[hint.chat_id] = evolve(before, position=hint.position)
    return list(found.values())
