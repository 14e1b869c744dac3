"""
Who listens to which chat.

Each pair of a listener and a chat has a seat, which is a small integer. Everything about seats is kept in arrays, so that
a listener of a thousand chats costs some sixty kilobytes, where sets in dictionaries would cost several hundred.
"""

from array import array
from collections.abc import Iterator, Mapping
from typing import Final, cast

from attrs import Factory, define, field, frozen

from application.ports.updates import ChatUpdate
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.listener import End, Listener
from interfaces.wire.frames import Frame

CROWD: Final = 100
"""Members. Above this, presence and read receipts (everybody's, told to everybody) would dominate the traffic."""

ENDED_REMEMBERED: Final = 10_000
"""Sessions that ended lately, for a socket that was authenticated just before and joins just after."""

ASIDE: Final = 0xFFFF_FFFF
"""The place of a seat that is not live."""

NOBODY: Final = cast(Listener, None)
"""Stands in a seat that is free."""


def integers() -> "array[int]":
    return array("I")


@frozen
class CrowdedRead:
    """A receipt that authors in a crowd are told later. Only those are told who went live before ``moment``."""

    read: MessagesRead
    moment: int


@define(eq=False)
class Audience:
    """
    The listeners of one chat.

    Live seats hear everything. Seats aside hear only of the end: their listener is on its way in, or has left the chat
    while its socket stays open.
    """

    chat_id: ChatId
    live: "array[int]" = Factory(integers)
    aside: dict[int, list[MessagesRead] | None] = Factory(dict)
    """Of a listener on its way in, the receipts that came meanwhile, which its snapshot may lack. None: it has left."""
    member_count: int = 0
    unsaid: list[CrowdedRead] = Factory(list)

    @property
    def is_crowded(self) -> bool:
        """In a crowd nobody is told who comes and goes, and only authors are told who has read their messages."""
        return self.member_count > CROWD

    @property
    def is_empty(self) -> bool:
        return not self.live and not self.aside


@define(eq=False)
class Roster:
    """All listeners of a node. The lists and arrays are indexed by seat."""

    _listeners: list[Listener] = field(init=False, factory=list)
    _audiences: list[Audience | None] = field(init=False, factory=list)
    _places: "array[int]" = field(init=False, factory=integers)
    """Where a live seat stands in its audience."""
    _moments: "array[int]" = field(init=False, factory=lambda: array("Q"))
    """When a seat went live, counted in such moments."""
    _free: "array[int]" = field(init=False, factory=integers)
    _seats: "dict[Listener, array[int]]" = field(init=False, factory=dict)
    _sessions: dict[SessionId, list[Listener]] = field(init=False, factory=dict)
    _ended: dict[SessionId, None] = field(init=False, factory=dict)
    moment: int = field(init=False, default=0)

    # Coming and going

    def join(self, listener: Listener, audience: Audience) -> None:
        """Give a listener a seat aside. If its session has just ended it is told so, as it would have been when seated."""
        seat = self._take_seat(listener, audience)
        audience.aside[seat] = []
        if listener not in self._seats:
            self._seats[listener] = integers()
            self._sessions.setdefault(listener.session_id, []).append(listener)
        self._seats[listener].append(seat)
        if listener.session_id in self._ended:
            listener.end(End.SESSION_ENDED)

    def go_live(self, listener: Listener, audience: Audience) -> list[MessagesRead]:
        """Let a listener hear everything from now on. Returns the receipts that came while it was on its way in."""
        seat = self._seat(listener, audience)
        missed = audience.aside.pop(seat) or []
        self._places[seat] = len(audience.live)
        self.moment += 1
        self._moments[seat] = self.moment
        audience.live.append(seat)
        return missed

    def step_aside(self, listener: Listener, audience: Audience) -> None:
        seat = self._seat(listener, audience)
        self._remove_live(seat, audience)
        audience.aside[seat] = None

    def leave(self, listener: Listener) -> list[tuple[Audience, bool]]:
        """Give up all seats of a listener. Returns its audiences, each with whether it was live there."""
        left = []
        for seat in self._seats.pop(listener, ()):
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
            left.append((audience, was_live))
        if left:
            of_session = self._sessions[listener.session_id]
            of_session.remove(listener)
            if not of_session:
                del self._sessions[listener.session_id]
        return left

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
        return next(seat for seat in reversed(self._seats[listener]) if self._audiences[seat] is audience)

    def _remove_live(self, seat: int, audience: Audience) -> None:
        """The last seat takes the place that becomes free, so that nobody else has to move."""
        place, last = self._places[seat], audience.live.pop()
        if last != seat:
            audience.live[place] = last
            self._places[last] = place
        self._places[seat] = ASIDE

    # Asking

    @property
    def is_empty(self) -> bool:
        return not self._seats and not self._sessions

    def is_live(self, listener: Listener, audience: Audience) -> bool:
        return any(
            self._audiences[seat] is audience and self._places[seat] != ASIDE
            for seat in self._seats.get(listener, ())
        )

    def live(self, audience: Audience) -> list[Listener]:
        return [self._listeners[seat] for seat in audience.live]

    def everybody(self, audience: Audience) -> list[Listener]:
        return [self._listeners[seat] for seat in (*audience.live, *audience.aside)]

    def has_live(self, audience: Audience, profile_id: ProfileId) -> bool:
        listeners = self._listeners
        return any(listeners[seat].profile_id == profile_id for seat in audience.live)

    def settled(self, audience: Audience, profile_id: ProfileId) -> list[Listener]:
        """The listeners of one profile, but for those on their way in."""
        seats = [*audience.live, *(seat for seat, missed in audience.aside.items() if missed is None)]
        return [self._listeners[seat] for seat in seats if self._listeners[seat].profile_id == profile_id]

    # Telling

    def tell(self, audience: Audience, frame: Frame, update: ChatUpdate | None = None) -> None:
        """Tell everybody who is live."""
        listeners = self._listeners
        for seat in audience.live:
            listeners[seat].tell(frame, update)

    def tell_others(self, audience: Audience, profile_id: ProfileId, frame: Frame) -> None:
        """Tell everybody but the sockets of one profile something that does not matter later."""
        listeners = self._listeners
        for seat in audience.live:
            listener = listeners[seat]
            if listener.profile_id != profile_id:
                listener.tell(frame, ephemeral=True)

    def tell_profiles(self, audience: Audience, told: Mapping[ProfileId, Frame]) -> None:
        """Tell the sockets of some profiles, each its own frame."""
        listeners = self._listeners
        for seat in audience.live:
            listener = listeners[seat]
            if frame := told.get(listener.profile_id):
                listener.tell(frame)

    def live_since(self, audience: Audience) -> Iterator[tuple[Listener, int]]:
        """Everybody who is live, with the moment at which they went live."""
        return ((self._listeners[seat], self._moments[seat]) for seat in audience.live)

    def end_session(self, session_id: SessionId) -> None:
        self._ended[session_id] = None
        if len(self._ended) > ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for listener in self._sessions.get(session_id, ()):
            listener.end(End.SESSION_ENDED)
