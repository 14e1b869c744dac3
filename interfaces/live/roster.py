"""
Records which listeners listen to which chats.

Each pair of a listener and a chat has a seat, which is a small integer. The data of seats is kept in arrays: a listener of
a thousand chats takes about sixty kilobytes, where dictionaries of sets would take several hundred.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final, cast

from attrs import Factory, define, field, frozen

from application.ports.updates import ChatUpdate
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.listener import End, Listener
from interfaces.live.neighbours import Elsewhere
from interfaces.wire.frames import Frame

CROWD: Final = 100
"""Members. Above this, presence and read receipts (n x n) would dominate the traffic."""

ENDED_REMEMBERED: Final = 10_000
"""Recently ended sessions to remember, for sockets that were authenticated before the end and join after it."""

ASIDE: Final = 0xFFFF_FFFF
"""The index of a seat that is not live."""

NOBODY: Final = cast(Listener, None)
"""The placeholder in a free seat."""


def integers() -> "array[int]":
    return array("I")


@frozen
class CrowdedRead:
    """A delayed receipt of a crowded chat, for the authors that were live before ``moment``."""

    read: MessagesRead
    moment: int


@define(eq=False)
class Audience:
    """
    The listeners of one chat.

    Live seats get every update. Seats aside are only told of the end: their listener is entering, or has left the chat
    while its socket stays open.
    """

    chat_id: ChatId
    live: "array[int]" = Factory(integers)
    aside: dict[int, list[MessagesRead] | None] = Factory(dict)
    """By seat, the receipts that came while its listener was entering, which its snapshot may lack; None if it left."""
    member_count: int = 0
    unsaid: list[CrowdedRead] = Factory(list)
    elsewhere: Elsewhere = Factory(Elsewhere)
    """The people who have the chat open on other nodes. Kept only while it is open here."""

    @property
    def is_crowded(self) -> bool:
        """Whether presence is not announced, and read receipts go only to the authors of the messages."""
        return self.member_count > CROWD

    @property
    def is_empty(self) -> bool:
        return not self.live and not self.aside


@define(eq=False)
class Roster:
    """All listeners of a node. The lists and arrays are indexed by seat."""

    arrived: Callable[[ProfileId], None] = lambda _: None
    """Called with the profile of each new listener."""
    departed: Callable[[ProfileId], None] = lambda _: None
    """Called with the profile of each listener that leaves."""
    _listeners: list[Listener] = field(init=False, factory=list)
    _audiences: list[Audience | None] = field(init=False, factory=list)
    _places: "array[int]" = field(init=False, factory=integers)
    """The index of a live seat in ``live`` of its audience, or `ASIDE`."""
    _moments: "array[int]" = field(init=False, factory=lambda: array("Q"))
    """The value of `moment` when a seat went live."""
    _free: "array[int]" = field(init=False, factory=integers)
    _seats: "dict[Listener, array[int]]" = field(init=False, factory=dict)
    _sessions: dict[SessionId, list[Listener]] = field(init=False, factory=dict)
    _ended: dict[SessionId, None] = field(init=False, factory=dict)
    moment: int = field(init=False, default=0)
    """A logical clock: the number of times that a seat went live."""

    # Joining and leaving

    def attend(self, listener: Listener) -> None:
        """Registers a listener, so that it is told when its session ends. Ends it at once if that has just happened."""
        if listener not in self._seats:
            self._seats[listener] = integers()
            self._sessions.setdefault(listener.session_id, []).append(listener)
            self.arrived(listener.profile_id)
        if listener.session_id in self._ended:
            listener.end(End.SESSION_ENDED)

    def join(self, listener: Listener, audience: Audience) -> None:
        """Gives a listener a seat aside, and registers it if it is new (`attend`)."""
        seat = self._take_seat(listener, audience)
        audience.aside[seat] = []
        self.attend(listener)
        self._seats[listener].append(seat)

    def go_live(self, listener: Listener, audience: Audience) -> list[MessagesRead]:
        """Makes a listener live. Returns the receipts that came while it was entering."""
        seat = self._seat(listener, audience)
        missed = audience.aside.pop(seat) or []
        self._places[seat] = len(audience.live)
        self.moment += 1
        self._moments[seat] = self.moment
        audience.live.append(seat)
        return missed

    def step_aside(self, listener: Listener, audience: Audience) -> bool:
        """Makes a listener no longer live in a chat. Returns whether it was; without a live seat nothing changes."""
        seat = self._find_seat(listener, audience)
        if seat is None or self._places[seat] == ASIDE:
            return False
        self._remove_live(seat, audience)
        audience.aside[seat] = None
        return True

    def leave(self, listener: Listener) -> list[tuple[Audience, bool]]:
        """Gives up all seats of a listener. Returns its audiences, each with whether it was live there."""
        seats = self._seats.pop(listener, None)
        if seats is None:
            return []
        of_session = self._sessions[listener.session_id]
        of_session.remove(listener)
        if not of_session:
            del self._sessions[listener.session_id]
        self.departed(listener.profile_id)
        return [self._give_up(seat) for seat in seats]

    def leave_chat(self, listener: Listener, audience: Audience) -> None:
        """Gives up the seat of a listener in one chat."""
        seat = self._seat(listener, audience)
        self._seats[listener].remove(seat)
        self._give_up(seat)

    def _give_up(self, seat: int) -> tuple[Audience, bool]:
        audience = self._audiences[seat]
        assert audience is not None, "a seat that is taken is in an audience"
        was_live = self._places[seat] != ASIDE
        if was_live:
            self._remove_live(seat, audience)
        else:
            del audience.aside[seat]
        self._audiences[seat] = None
        self._listeners[seat] = NOBODY
        self._free.append(seat)
        return audience, was_live

    def _take_seat(self, listener: Listener, audience: Audience) -> int:
        if self._free:
            seat = self._free.pop()
            self._listeners[seat] = listener
            self._audiences[seat] = audience
        else:
            seat = len(self._listeners)
            self._listeners.append(listener)
            self._audiences.append(audience)
            self._places.append(ASIDE)
            self._moments.append(0)
        return seat

    def _seat(self, listener: Listener, audience: Audience) -> int:
        seat = self._find_seat(listener, audience)
        assert seat is not None, "the listener has a seat in the chat"
        return seat

    def _find_seat(self, listener: Listener, audience: Audience) -> int | None:
        """Searches the chat or the seats of the listener, whichever has less: either may have thousands."""
        seats = self._seats.get(listener, ())
        if len(seats) <= len(audience.live) + len(audience.aside):
            return next((seat for seat in seats if self._audiences[seat] is audience), None)
        listeners, there = self._listeners, chain(audience.live, audience.aside)
        return next((seat for seat in there if listeners[seat] is listener), None)

    def _remove_live(self, seat: int, audience: Audience) -> None:
        """Removes a seat from ``live``; the last seat moves to its index, and no other seat has to move."""
        place, last = self._places[seat], audience.live.pop()
        if last != seat:
            audience.live[place] = last
            self._places[last] = place
        self._places[seat] = ASIDE

    # Queries

    @property
    def is_empty(self) -> bool:
        return not self._seats and not self._sessions

    @property
    def listeners(self) -> Iterable[Listener]:
        """All listeners, whether they are live or not."""
        return self._seats.keys()

    def is_live(self, listener: Listener, audience: Audience) -> bool:
        seat = self._find_seat(listener, audience)
        return seat is not None and self._places[seat] != ASIDE

    def has_seat(self, listener: Listener, audience: Audience) -> bool:
        return self._find_seat(listener, audience) is not None

    def audiences_of(self, listener: Listener) -> list[Audience]:
        """The chats in which a listener has a seat."""
        return [audience for seat in self._seats.get(listener, ()) if (audience := self._audiences[seat])]

    def live(self, audience: Audience) -> list[Listener]:
        return [self._listeners[seat] for seat in audience.live]

    def everybody(self, audience: Audience) -> list[Listener]:
        return [self._listeners[seat] for seat in (*audience.live, *audience.aside)]

    def has_present(self, audience: Audience, profile_id: ProfileId) -> bool:
        """Whether a profile has a live listener that counts as presence (`Listener.is_present`)."""
        listeners = self._listeners
        return any(
            listeners[seat].profile_id == profile_id and listeners[seat].is_present for seat in audience.live
        )

    def present(self, audience: Audience) -> list[ProfileId]:
        """The profiles that have a live listener that counts as presence, each once."""
        listeners = (self._listeners[seat] for seat in audience.live)
        return list(dict.fromkeys(listener.profile_id for listener in listeners if listener.is_present))

    def settled(self, audience: Audience, profile_id: ProfileId) -> list[Listener]:
        """The listeners of one profile, without those that are entering."""
        seats = [*audience.live, *(seat for seat, missed in audience.aside.items() if missed is None)]
        return [self._listeners[seat] for seat in seats if self._listeners[seat].profile_id == profile_id]

    # Delivery

    def tell(self, audience: Audience, frame: Frame, update: ChatUpdate | None = None) -> None:
        """Delivers a frame to all live listeners."""
        listeners = self._listeners
        for seat in audience.live:
            listeners[seat].tell(frame, update)

    def tell_others(self, audience: Audience, profile_id: ProfileId, frame: Frame) -> None:
        """Delivers an ephemeral frame to all live listeners except those of one profile."""
        listeners = self._listeners
        for seat in audience.live:
            listener = listeners[seat]
            if listener.profile_id != profile_id:
                listener.tell(frame, ephemeral=True)

    def tell_present(self, audience: Audience, profile_id: ProfileId, frame: Frame) -> None:
        """Delivers an ephemeral frame to the live listeners that count as presence, except those of one profile."""
        listeners = self._listeners
        for seat in audience.live:
            listener = listeners[seat]
            if listener.is_present and listener.profile_id != profile_id:
                listener.tell(frame, ephemeral=True)

    def tell_profiles(self, audience: Audience, told: Mapping[ProfileId, Frame]) -> None:
        """Delivers to the live listeners of each profile in ``told`` the frame for that profile."""
        listeners = self._listeners
        for seat in audience.live:
            listener = listeners[seat]
            if frame := told.get(listener.profile_id):
                listener.tell(frame)

    def live_since(self, audience: Audience) -> Iterator[tuple[Listener, int]]:
        """Yields all live listeners, each with the moment at which it went live."""
        return ((self._listeners[seat], self._moments[seat]) for seat in audience.live)

    def forget_ended_sessions(self) -> None:
        self._ended.clear()

    def end_session(self, session_id: SessionId) -> None:
        self._ended[session_id] = None
        if len(self._ended) > ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for listener in self._sessions.get(session_id, ()):
            listener.end(End.SESSION_ENDED)
