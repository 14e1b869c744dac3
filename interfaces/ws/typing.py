"""
Limits the rate of typing notifications.

A client may send typing frames often; each state is published at most once a second. The last state is always published:
later if it came too soon, and as "not typing" if the socket is lost while its client is typing.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from attrs import Factory, define, field

from application.updates.typing import ShowTyping
from domain.ids import ChatId, ProfileId

INTERVAL: Final = 1.0
"""Seconds between two notifications of the same state by one socket."""

Typist = tuple[ChatId, ProfileId]


@define(eq=False)
class Typists:
    """Counts the sockets of this node on which a profile types in a chat: only the last one to stop ends the typing."""

    _sockets: dict[Typist, int] = field(init=False, factory=dict)

    def begin(self, typist: Typist) -> None:
        self._sockets[typist] = self._sockets.get(typist, 0) + 1

    def end(self, typist: Typist) -> bool:
        """Returns whether this was the last socket."""
        left = self._sockets.pop(typist) - 1
        if left:
            self._sockets[typist] = left
        return not left

    def __len__(self) -> int:
        return len(self._sockets)


@define(eq=False)
class Typing:
    """The typing state of one socket. Times are in seconds of a monotonic clock."""

    _typist: Typist
    _typists: Typists
    _said: bool = False
    """The last state that the client sent."""
    _told: bool = False
    """The last state that was published."""
    _told_at: dict[bool, float] = Factory(dict)

    def say(self, is_typing: bool, now: float) -> float | None:
        """Returns the seconds until the state is to be published (`due`), 0 for now, or None if others know it already."""
        self._said = is_typing
        told_at = self._told_at.get(is_typing)
        wait = 0.0 if told_at is None else max(0.0, told_at + INTERVAL - now)
        if wait and self._told == is_typing:
            return None
        if not wait:
            self._tell(now)
        return wait

    def due(self, now: float) -> bool | None:
        """Returns the state to publish after a wait, or None if others know it already."""
        if self._told == self._said:
            return None
        self._tell(now)
        return self._told

    @property
    def is_told(self) -> bool:
        """Whether others were told last that this socket types."""
        return self._told

    def stop(self) -> bool:
        """Ends the typing of this socket. Returns whether its end is to be published."""
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


@define(eq=False)
class TypingSignal:
    """Publishes the typing of one socket in one chat: at once, or by a timer if it came too soon."""

    _chat_id: ChatId
    _typing: Typing
    _publish: Callable[[ShowTyping], None]
    """Publishes a state that no request waits for."""
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    @classmethod
    def of(cls, typist: Typist, typists: Typists, publish: Callable[[ShowTyping], None]) -> "TypingSignal":
        return cls(typist[0], Typing(typist, typists), publish)

    @property
    def is_silent(self) -> bool:
        """Whether nothing remains to be published."""
        return self._timer is None and not self._typing.is_told

    def is_too_soon(self, is_typing: bool) -> bool:
        """Returns True if the state must not be published now. It is published later, unless others know it already."""
        loop = asyncio.get_running_loop()
        wait = self._typing.say(is_typing, loop.time())
        if wait and self._timer is None:
            self._timer = loop.call_later(wait, self._be_late)
        return wait != 0

    def stop(self, *, is_busy: bool) -> None:
        """Ends the typing of a client that has gone. While a request of it is running, only the timer is stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not is_busy and self._typing.stop():
            self._publish(ShowTyping(chat_id=self._chat_id, is_typing=False))

    def forget(self) -> None:
        """Takes back a state that could not be published."""
        self._typing.stop()

    def _be_late(self) -> None:
        self._timer = None
        is_typing = self._typing.due(asyncio.get_running_loop().time())
        if is_typing is not None:
            self._publish(ShowTyping(chat_id=self._chat_id, is_typing=is_typing))
