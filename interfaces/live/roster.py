"""
Records which listeners listen to which chats. That a listener is in a chat, live or aside, is called its seat there.

Listeners and chats have numbers, and who listens where is kept twice, in arrays of four bytes for each: the listeners of each
chat, and the chats of each listener. A listener of a thousand chats takes about ten kilobytes, where dictionaries of sets
would take several hundred.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, cast

from attrs import Factory, define, field

from application.ports.updates import ChatUpdate
from domain.events import MessagesRead
from domain.ids import ChatId, ProfileId, SessionId
from interfaces.live.listener import End, Listener, Run
from interfaces.live.neighbours import Elsewhere
from interfaces.wire.frames import Frame

CROWD: Final = 100
"""Members. Above this, presence and read receipts (n x n) would dominate the traffic."""

ENDED_REMEMBERED: Final = 10_000
"""Recently ended sessions to remember, for sockets that were authenticated before the end and join after it."""

NOBODY: Final = cast(Listener, None)
"""The placeholder for a number that no listener has."""

UNNUMBERED: Final = -1


def integers() -> "array[int]":
    return array("I")


@define(eq=False)
class Audience:
    """
    The listeners of one chat, by number.

    Those that are live get every update. Those aside are only told of the end: they are entering, or have left the chat
    while their socket stays open.
    """

    chat_id: ChatId
    opened_at: float
    """When the first of them came, by the clock of the event loop."""
    live: "array[int]" = Factory(integers)
    aside: dict[int, list[MessagesRead] | None] = Factory(dict)
    """The receipts that came while a listener was entering, which its snapshot may lack; None if it left."""
    member_count: int = 0
    unsaid: list[MessagesRead] = Factory(list)
    """Delayed receipts of a crowded chat."""
    latecomers: dict[int, int] = Factory(dict)
    """How many of the delayed receipts there were when a listener went live. They are not for it."""
    elsewhere: Elsewhere = Factory(Elsewhere)
    """The people who have the chat open on other nodes. Kept only while it is open here."""
    number: int = UNNUMBERED
    """Its number while anybody is there."""

    @property
    def is_crowded(self) -> bool:
        """Whether presence is not announced, and read receipts go only to the authors of the messages."""
        return self.member_count > CROWD

    @property
    def is_empty(self) -> bool:
        return not self.live and not self.aside


@define(eq=False)
class Place:
    """A listener's number, and those of the audiences that it is in."""

    number: int
    audiences: "array[int]" = Factory(integers)


@define(eq=False)
class Roster:
    """All listeners of a node."""

    arrived: Callable[[ProfileId], None] = lambda _: None
    """Called with the profile of each new listener."""
    departed: Callable[[ProfileId], None] = lambda _: None
    """Called with the profile of each listener that leaves."""
    _listeners: list[Listener] = field(init=False, factory=list)
    """By number, as the audiences."""
    _free: "array[int]" = field(init=False, factory=integers)
    """The numbers that no listener has."""
    _audiences: list[Audience | None] = field(init=False, factory=list)
    _free_audiences: "array[int]" = field(init=False, factory=integers)
    _places: dict[Listener, Place] = field(init=False, factory=dict)
    _sessions: dict[SessionId, list[Listener]] = field(init=False, factory=dict)
    _ended: dict[SessionId, None] = field(init=False, factory=dict)

    # Joining and leaving

    def attend(self, listener: Listener) -> None:
        """Registers a listener, so that it is told when its session ends. Ends it at once if that has just happened."""
        if listener not in self._places:
            self._places[listener] = Place(self._number(listener))
            self._sessions.setdefault(listener.session_id, []).append(listener)
            self.arrived(listener.profile_id)
        if listener.session_id in self._ended:
            listener.end(End.SESSION_ENDED)

    def join(self, listener: Listener, audience: Audience) -> None:
        """Gives a listener a seat aside, and registers it if it is new (`attend`)."""
        place = self._places.get(listener)
        if place is None:
            self.attend(listener)
            place = self._places[listener]
        if audience.number == UNNUMBERED:
            audience.number = self._number_audience(audience)
        audience.aside[place.number] = []
        place.audiences.append(audience.number)

    def go_live(self, listener: Listener, audience: Audience) -> list[MessagesRead]:
        """Makes a listener live. Returns the receipts that came while it was entering."""
        number = self._places[listener].number
        missed = audience.aside.pop(number) or []
        audience.live.append(number)
        if audience.unsaid:
            audience.latecomers[number] = len(audience.unsaid)
        return missed

    def step_aside(self, listener: Listener, audience: Audience) -> bool:
        """Makes a listener no longer live in a chat. Returns whether it was; without a live seat nothing changes."""
        if not self.is_live(listener, audience):
            return False
        number = self._places[listener].number
        self._remove_live(number, audience)
        audience.aside[number] = None
        return True

    def leave(self, listener: Listener) -> list[tuple[Audience, bool]]:
        """Gives up all seats of a listener. Returns its audiences, each with whether it was live there."""
        place = self._places.pop(listener, None)
        if place is None:
            return []
        of_session = self._sessions[listener.session_id]
        of_session.remove(listener)
        if not of_session:
            del self._sessions[listener.session_id]
        self.departed(listener.profile_id)
        left = [self._give_up(place.number, audience) for audience in place.audiences]
        self._listeners[place.number] = NOBODY
        self._free.append(place.number)
        return left

    def leave_chat(self, listener: Listener, audience: Audience) -> None:
        """Gives up the seat of a listener in one chat."""
        place = self._places[listener]
        place.audiences.remove(audience.number)
        self._give_up(place.number, audience.number)

    def _give_up(self, number: int, audience_number: int) -> tuple[Audience, bool]:
        audience = self._audiences[audience_number]
        assert audience is not None, "an audience that somebody is in has its number"
        is_live = number not in audience.aside
        if is_live:
            self._remove_live(number, audience)
        else:
            del audience.aside[number]
        if audience.is_empty:
            audience.number = UNNUMBERED
            self._audiences[audience_number] = None
            self._free_audiences.append(audience_number)
        return audience, is_live

    def _number(self, listener: Listener) -> int:
        if self._free:
            number = self._free.pop()
            self._listeners[number] = listener
            return number
        self._listeners.append(listener)
        return len(self._listeners) - 1

    def _number_audience(self, audience: Audience) -> int:
        if self._free_audiences:
            number = self._free_audiences.pop()
            self._audiences[number] = audience
            return number
        self._audiences.append(audience)
        return len(self._audiences) - 1

    def _remove_live(self, number: int, audience: Audience) -> None:
        """Removes a listener from ``live``; the last one moves to its index, and no other one has to move."""
        live = audience.live
        last = live.pop()
        if last != number:
            live[live.index(number)] = last
        audience.latecomers.pop(number, None)

    # Queries

    @property
    def is_empty(self) -> bool:
        return not self._places and not self._sessions

    @property
    def listeners(self) -> Iterable[Listener]:
        """All listeners, whether they are live or not."""
        return self._places.keys()

    def is_live(self, listener: Listener, audience: Audience) -> bool:
        return self.has_seat(listener, audience) and self._places[listener].number not in audience.aside

    def has_seat(self, listener: Listener, audience: Audience) -> bool:
        """Searches the chat or the chats of the listener, whichever are fewer: either may be thousands."""
        place = self._places.get(listener)
        if place is None or audience.number == UNNUMBERED:
            return False
        if len(place.audiences) <= len(audience.live):
            return audience.number in place.audiences
        return place.number in audience.aside or place.number in audience.live

    def audiences_of(self, listener: Listener) -> list[Audience]:
        """The chats in which a listener has a seat."""
        place = self._places.get(listener)
        numbers = () if place is None else place.audiences
        return [audience for number in numbers if (audience := self._audiences[number])]

    def live(self, audience: Audience) -> list[Listener]:
        return [self._listeners[number] for number in audience.live]

    def everybody(self, audience: Audience) -> list[Listener]:
        return [self._listeners[number] for number in (*audience.live, *audience.aside)]

    def has_present(self, audience: Audience, profile_id: ProfileId) -> bool:
        """Whether a profile has a live listener that counts as presence (`Listener.is_present`)."""
        listeners = self._listeners
        return any(
            listeners[number].profile_id == profile_id and listeners[number].is_present
            for number in audience.live
        )

    def present(self, audience: Audience) -> list[ProfileId]:
        """The profiles that have a live listener that counts as presence, each once."""
        listeners = (self._listeners[number] for number in audience.live)
        return list(dict.fromkeys(listener.profile_id for listener in listeners if listener.is_present))

    def settled(self, audience: Audience, profile_id: ProfileId) -> list[Listener]:
        """The listeners of one profile, without those that are entering."""
        numbers = [*audience.live, *(number for number, missed in audience.aside.items() if missed is None)]
        return [
            self._listeners[number] for number in numbers if self._listeners[number].profile_id == profile_id
        ]

    # Delivery

    def tell(self, audience: Audience, frame: Frame, update: ChatUpdate | None = None) -> None:
        """Delivers a frame to all live listeners."""
        listeners = self._listeners
        for number in audience.live:
            listeners[number].tell(frame, update)

    def tell_run(self, audience: Audience, run: Run) -> None:
        """Delivers neighbouring messages to all live listeners."""
        listeners = self._listeners
        for number in audience.live:
            listeners[number].tell_run(run)

    def tell_others(self, audience: Audience, profile_id: ProfileId, frame: Frame) -> None:
        """Delivers an ephemeral frame to all live listeners except those of one profile."""
        listeners = self._listeners
        for number in audience.live:
            listener = listeners[number]
            if listener.profile_id != profile_id:
                listener.tell(frame, ephemeral=True)

    def tell_present(self, audience: Audience, profile_id: ProfileId, frame: Frame) -> None:
        """Delivers an ephemeral frame to the live listeners that count as presence, except those of one profile."""
        listeners = self._listeners
        for number in audience.live:
            listener = listeners[number]
            if listener.is_present and listener.profile_id != profile_id:
                listener.tell(frame, ephemeral=True)

    def tell_profiles(self, audience: Audience, told: Mapping[ProfileId, Frame]) -> None:
        """Delivers to the live listeners of each profile in ``told`` the frame for that profile."""
        listeners = self._listeners
        for number in audience.live:
            listener = listeners[number]
            if frame := told.get(listener.profile_id):
                listener.tell(frame)

    def take_unsaid(self, audience: Audience) -> list[tuple[Listener, Sequence[MessagesRead]]]:
        """Returns all live listeners, each with the delayed receipts that came after it went live, and forgets the receipts."""
        unsaid, audience.unsaid = audience.unsaid, []
        latecomers, audience.latecomers = audience.latecomers, {}
        return [
            (self._listeners[number], unsaid[latecomers[number] :] if number in latecomers else unsaid)
            for number in audience.live
        ]

    def forget_ended_sessions(self) -> None:
        self._ended.clear()

    def end_session(self, session_id: SessionId) -> None:
        self._ended[session_id] = None
        if len(self._ended) > ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for listener in self._sessions.get(session_id, ()):
            listener.end(End.SESSION_ENDED)
