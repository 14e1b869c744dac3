"""
The lines of history of a history.

Restoring an earlier state begins another line. Each line is a history of its own and is judged by itself: what happened in
the former one, and what of it is in the restored state. Nothing is excused but what the restore took away: a message that was
acknowledged in the former line and is not in the restored state counts as sent with an unknown outcome in the new one.
"""

from collections.abc import Iterator
from typing import Final

from attrs import define, evolve, field

from tests.checker.history import (
    Acked,
    AllConnecting,
    AllEnded,
    AllHeard,
    AllWatching,
    Answered,
    Asked,
    Backlog,
    Connecting,
    Detached,
    Ended,
    Entered,
    Event,
    History,
    HistoryRead,
    Kept,
    MarkSeen,
    MarkStarted,
    Quiet,
    ReadTold,
    Refused,
    Reset,
    Restored,
    Resumed,
    SendStarted,
    Told,
    TooOften,
    Unknown,
    UnreadRead,
)
from tests.checker.picture import Violation

OF_CONNECTIONS: Final = (
    *(Connecting, Entered, Resumed, Reset, Told, Detached, Ended, Backlog, TooOften, ReadTold),
    *(AllConnecting, AllWatching, AllHeard, AllEnded),
)
OF_QUESTIONS: Final = (HistoryRead, UnreadRead, MarkSeen, Answered)


def eras(history: History) -> Iterator[History]:
    """Yields each line of history, in which everybody stays who was there."""
    while (place := _first(history)) is not None:
        split = _Split(history, place)
        yield split.former()
        history = split.next()
    yield history


def crossings(history: History) -> Iterator[Violation]:
    """Says what is wrong between the lines: who is in a line that is no more, and what the restored state has lost since."""
    while (place := _first(history)) is not None:
        yield from _Split(history, place).faults()
        history = _Split(history, place).next()


def _first(history: History) -> int | None:
    return next((place for place, event in enumerate(history) if isinstance(event, Restored)), None)


@define(eq=False)
class _Split:
    """A history, divided at the first restore."""

    history: History
    place: int
    restored: Restored = field(init=False)
    epochs: dict[int, str] = field(init=False, factory=dict)
    """The lines that connections entered."""
    began: dict[int, int] = field(init=False, factory=dict)
    """The places at which connections began."""
    logs: dict[str, Kept] = field(init=False, factory=dict)
    """What was stored of each chat when the earlier state was restored."""
    former_ids: dict[str, bool] = field(init=False, factory=dict)
    """The messages that were stored then, and whether the restored state has them."""

    def __attrs_post_init__(self) -> None:
        restored = self.history[self.place]
        assert isinstance(restored, Restored)
        self.restored = restored
        for place, event in enumerate(self.history):
            match event:
                case Connecting() | AllConnecting():
                    self.began[event.connection] = place
                case Entered():
                    self.epochs[event.connection] = event.epoch
                case AllHeard(frame={"type": "auth_success", "epoch": epoch}):
                    self.epochs.setdefault(event.connection, epoch)
                case Kept() if place < self.place:
                    self.logs[event.chat] = event
        for chat, kept in self.logs.items():
            for said in kept.messages:
                self.former_ids[said.id] = said.position <= restored.positions[chat]

    def is_former(self, connection: int) -> bool:
        if connection in self.epochs:
            return self.epochs[connection] == self.restored.before
        return self.began[connection] < self.place

    # The former line

    def former(self) -> History:
        """Everything before the restore. What was on its way to clients at that moment is not judged."""
        return [event for each in self.history[: self.place] if (event := self._left(each)) is not None]

    def _left(self, event: Event) -> Event | None:
        """The event as the former line has it; None if it belongs to somebody who was about to enter the next one."""
        connection: int | None = getattr(event, "connection", None)
        if connection is None or self.is_former(connection):
            return event
        return evolve(event, connection=None) if isinstance(event, SendStarted) else None

    # The next line

    def next(self) -> History:
        asked: dict[int, None] = {}
        found: list[Event] = []
        for place, event in enumerate(self.history):
            if place == self.place or (place < self.place and isinstance(event, Kept)):
                continue
            if isinstance(event, Asked) and self._is_next(event.connection, place):
                asked[event.ask] = None
            if (kept := self._carried(event, place, asked)) is not None:
                found.append(kept)
        return found

    def _is_next(self, connection: int | None, place: int) -> bool:
        return place > self.place if connection is None else not self.is_former(connection)

    def _carried(self, event: Event, place: int, asked: dict[int, None]) -> Event | None:
        """The event as the next line has it; None if it has not."""
        match event:
            case SendStarted():
                if event.connection is None or not self.is_former(event.connection):
                    return event
                # a session that is over may still be heard on a connection until its node knows of the restore
                return evolve(event, connection=None, session="")
            case Acked():
                return event if self.former_ids.get(event.id, place > self.place) else None
            case Refused():
                first = event.first
                if event.code == "too_frequent" and place < self.place:
                    return None  # what was said before it may be lost
                return (
                    evolve(event, first=None) if first and not self.former_ids.get(first[0], True) else event
                )
            case Unknown() | MarkStarted():
                return event
            case Asked():
                return event if event.ask in asked else None
            case _ if isinstance(event, OF_QUESTIONS):
                return event if event.ask in asked else None
            case _ if isinstance(event, OF_CONNECTIONS):
                return None if self.is_former(event.connection) else event
            case _:
                return event if place > self.place else None

    # Between them

    def faults(self) -> Iterator[Violation]:
        restored = self.restored
        until = next((i for i, event in enumerate(self.history) if isinstance(event, Quiet)), self.place)
        ended = {event.connection for event in self.history[:until] if isinstance(event, Ended | AllEnded)}
        for connection, began in self.began.items():
            at = self.history[began].at
            epoch = self.epochs.get(connection)
            if epoch == restored.before and began > self.place:
                yield Violation("D13", f"connection {connection} entered {epoch}, which is no more", at)
            elif until > self.place and self.is_former(connection) and connection not in ended:
                yield Violation("D13", f"connection {connection} is still in {restored.before}", at)
        yield from self._lost_since()

    def _lost_since(self) -> Iterator[Violation]:
        """What the restored state has stays, like everything that was acknowledged."""
        later = [event for event in self.history[self.place :] if isinstance(event, Kept)]
        for kept in later[: len(self.logs)]:
            before, up_to = self.logs[kept.chat], self.restored.positions[kept.chat]
            for was, now in (
                (
                    [said for said in before.messages if said.position <= up_to],
                    [said for said in kept.messages if said.position <= up_to],
                ),
                (
                    {at: what for at, what in before.changes.items() if at <= up_to},
                    {at: what for at, what in kept.changes.items() if at <= up_to},
                ),
            ):
                if was != now:
                    yield Violation("D1", f"the restored state had {was}, not {now}", kept.at)
