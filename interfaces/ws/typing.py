"""
Who is typing, as others are told.

A socket may say so often; others are told each state at most once a second. The last state that a socket said is always
told in the end: if it came too soon, a little later, and if the socket goes while it is typing, that typing has ended.
"""

from typing import Final

from attrs import Factory, define, field

from domain.ids import ChatId, ProfileId

INTERVAL: Final = 1.0
"""Seconds between two times that others are told the same by one socket."""

Typist = tuple[ChatId, ProfileId]


@define(eq=False)
class Typists:
    """On how many sockets of this node somebody is typing in a chat: only the last one that goes ends it for others."""

    _sockets: dict[Typist, int] = field(init=False, factory=dict)

    def begin(self, typist: Typist) -> None:
        self._sockets[typist] = self._sockets.get(typist, 0) + 1

    def end(self, typist: Typist) -> bool:
        """Returns whether it was the last socket."""
        left = self._sockets.pop(typist) - 1
        if left:
            self._sockets[typist] = left
        return not left

    def __len__(self) -> int:
        return len(self._sockets)


@define(eq=False)
class Typing:
    """What one socket says about typing. Times are in seconds, from any beginning."""

    _typist: Typist
    _typists: Typists
    _said: bool = False
    """What the client said last."""
    _told: bool = False
    """What others were told last."""
    _told_at: dict[bool, float] = Factory(dict)

    def say(self, is_typing: bool, now: float) -> float | None:
        """Returns after how many seconds others are to be told (`due`), 0 for at once. None: they know it already."""
        self._said = is_typing
        told_at = self._told_at.get(is_typing)
        wait = 0.0 if told_at is None else max(0.0, told_at + INTERVAL - now)
        if wait and self._told == is_typing:
            return None
        if not wait:
            self._tell(now)
        return wait

    def due(self, now: float) -> bool | None:
        """A wait is over. Returns what others are to be told now; None: they know it by now."""
        if self._told == self._said:
            return None
        self._tell(now)
        return self._told

    def stop(self) -> bool:
        """The socket goes. Returns whether others are to be told that the typing has ended."""
        self._said = False
        if not self._told:
            return False
        self._told = False
        return self._typists.end(self._typist)

    def _tell(self, now: float) -> None:
        self._told_at[self._said] = now
        if self._said != self._told:
            self._told = self._said
            if self._told:
                self._typists.begin(self._typist)
            else:
                self._typists.end(self._typist)
