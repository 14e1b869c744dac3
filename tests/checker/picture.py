"""A history, sorted by what its events are about."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from math import inf
from typing import Any, Final, TypeVar, cast

from attrs import Factory, define, field, frozen

from tests.checker.history import (
    Acked,
    Answered,
    Asked,
    Connecting,
    Detached,
    Ended,
    Entered,
    History,
    HistoryRead,
    Kept,
    MarkSeen,
    Quiet,
    Refused,
    Reset,
    Resumed,
    Said,
    SendStarted,
    Told,
    Unknown,
    UnreadRead,
)

E = TypeVar("E")

Key = tuple[str, str, str | None, str]
"""What makes two attempts attempts at one message: chat, author and nonce, or the text where there is none."""

NEVER: Final = 1 << 60
"""A place behind every event."""


@frozen(kw_only=True)
class Limits:
    """What the messenger was told to keep to, and what it ran on."""

    grace: float = 1.0
    """Seconds that a node has to hear what was done on another one, or what nobody was told."""
    replayed: int = 1000
    """Events of a chat that `since` may lie back."""
    interval: float = 0.0
    """Seconds within which nobody says the same twice, unless it has a nonce; 0: everybody may."""
    clocks: float = 0.0
    """Seconds by which two clocks may differ."""
    typing: float | None = None
    """Seconds after which typing ends by itself; None where frames about it may be dropped, because little may wait."""
    goaway: float = 5.0
    """Seconds that a client may stay longer than it was told."""


PROMISED: Final = Limits()


@frozen
class Violation:
    rule: str
    """
    D1 to D16 of the guarantees; ``answer`` for an answer that comes after what it answers; ``too often`` for what may be
    said again, and when; ``presence``, ``typing`` and ``goaway`` for what is told without being stored; ``failure``.
    """
    what: str
    at: float

    def __str__(self) -> str:
        return f"{self.rule} at {self.at:.4f}: {self.what}"


@define(eq=False)
class Attempt:
    place: int
    started: SendStarted
    outcome: Acked | Refused | Unknown | None = None
    outcome_place: int = NEVER

    @property
    def key(self) -> Key:
        one = self.started
        return key(one.chat, one.profile, one.nonce, one.text)


@define(eq=False)
class Socket:
    """One connection's own events, in order."""

    place: int
    opened: Connecting
    events: list[tuple[int, Any]] = Factory(list)
    entered: Entered | None = None
    entered_place: int = NEVER
    is_detached: bool = False
    ended_place: int = NEVER


@define(eq=False)
class Question:
    place: int
    asked: Asked
    answered_place: int = NEVER


def key(chat: str, author: str, nonce: str | None, text: str) -> Key:
    return chat, author, nonce, "" if nonce is not None else text.strip()


def key_of(said: Said) -> Key:
    return key(said.chat, said.author, said.nonce, said.text)


@define(eq=False)
class Picture:
    history: History
    limits: Limits
    attempts: dict[int, Attempt] = field(init=False, factory=dict)
    by_key: dict[Key, list[Attempt]] = field(init=False, factory=lambda: defaultdict(list))
    sockets: dict[int, Socket] = field(init=False, factory=dict)
    questions: dict[int, Question] = field(init=False, factory=dict)
    kept: dict[str, Kept] = field(init=False, factory=dict)
    quiet: int = field(init=False, default=NEVER)
    _by_type: dict[type, list[tuple[int, Any]]] = field(init=False, factory=lambda: defaultdict(list))

    def __attrs_post_init__(self) -> None:
        for place, event in enumerate(self.history):
            self._by_type[type(event)].append((place, event))
            match event:
                case SendStarted():
                    attempt = self.attempts[event.send] = Attempt(place, event)
                    self.by_key[attempt.key].append(attempt)
                case Acked() | Refused() | Unknown():
                    self.attempts[event.send].outcome = event
                    self.attempts[event.send].outcome_place = place
                case Connecting():
                    self.sockets[event.connection] = Socket(place, event)
                case Entered() | Resumed() | Reset() | Told() | Detached() | Ended():
                    self._on_socket(place, event)
                case Asked():
                    self.questions[event.ask] = Question(place, event)
                case HistoryRead() | UnreadRead() | MarkSeen() | Answered():
                    question = self.questions[event.ask]
                    question.answered_place = place
                    if isinstance(event, HistoryRead) and event.is_snapshot:
                        assert question.asked.connection is not None, "sockets have snapshots"
                        self.sockets[question.asked.connection].events.append((place, event))
                case Quiet():
                    self.quiet = place
                case Kept():
                    self.kept[event.chat] = event
                case _:
                    pass

    def _on_socket(self, place: int, event: Entered | Resumed | Reset | Told | Detached | Ended) -> None:
        socket = self.sockets[event.connection]
        socket.events.append((place, event))
        if isinstance(event, Entered):
            socket.entered, socket.entered_place = event, place
        elif isinstance(event, Detached):
            socket.is_detached = True
        elif isinstance(event, Ended):
            socket.ended_place = min(socket.ended_place, place)

    def all(self, kind: type[E]) -> list[tuple[int, E]]:
        return cast(list[tuple[int, E]], self._by_type[kind])

    def log(self, chat: str) -> list[Said | str] | None:
        """All that is stored of it, in the order of positions; None where nobody looked."""
        if (kept := self.kept.get(chat)) is None:
            return None
        every: dict[int, Said | str] = {**kept.changes, **{said.position: said for said in kept.messages}}
        return [every[position] for position in sorted(every)]

    @cached_property
    def known(self) -> dict[str, int]:
        """When anybody first knew that a message is stored, by its id."""
        known: dict[str, int] = {}
        for place, event in enumerate(self.history):
            match event:
                case Acked():
                    known.setdefault(event.id, place)
                case Told(what=Said() as said):
                    known.setdefault(said.id, place)
                case HistoryRead():
                    for said in event.messages:
                        known.setdefault(said.id, place)
                case _:
                    pass
        return known

    def known_at(self, said: Said) -> float:
        """The same in seconds. What was never shown may have been stored at any time."""
        place = self.known.get(said.id)
        return inf if place is None else self.history[place].at

    def shown(self) -> Iterator[tuple[int, float, Said]]:
        """Every message as it was shown to anybody, in the order of showing."""
        found = [
            *((place, told.at, told.what) for place, told in self.all(Told) if isinstance(told.what, Said)),
            *((place, read.at, said) for place, read in self.all(HistoryRead) for said in read.messages),
            *((place, kept.at, said) for place, kept in self.all(Kept) for said in kept.messages),
        ]
        found.sort(key=lambda one: one[0])
        return iter(found)
