"""
Limits the rate of typing notifications.

A client may send typing frames often; each state is published at most once in an interval. The last state is always
published: later if it came too soon, and as "not typing" if the socket is lost while its client is typing. Typing that is not
renewed ends by itself: `interfaces.live.typing` tells the others.
"""

import asyncio
from collections.abc import Callable

from attrs import Factory, define, field

from application.updates.typing import ShowTyping
from domain.ids import ChatId
from interfaces.live.typing import Typist


@define(eq=False)
class Typists:
    """The sockets of this node on which a profile types in a chat. Typing ends with the last of them."""

    _sockets: dict[Typist, dict[object, float]] = field(init=False, factory=dict)
    """By socket, when its typing ends if it is not renewed."""

    def renew(self, typist: Typist, socket: object, until: float) -> None:
        self._sockets.setdefault(typist, {})[socket] = until

    def end(self, typist: Typist, socket: object, now: float) -> bool:
        """Returns whether the typing ends with this: it has not ended by itself, and no other socket types."""
        others = self._sockets[typist]
        until = others.pop(socket)
        if not others:
            del self._sockets[typist]
        return until > now and all(each <= now for each in others.values())

    def __len__(self) -> int:
        return len(self._sockets)


@define(eq=False)
class Typing:
    """The typing state of one socket. Times are in seconds of a monotonic clock."""

    _typist: Typist
    _typists: Typists
    _interval: float
    _expiry: float
    _said: bool = False
    """The last state that the client sent."""
    _told: bool = False
    """The last state that was published."""
    _told_at: dict[bool, float] = Factory(dict)

    def say(self, is_typing: bool, now: float) -> float | None:
        """
        Returns the seconds until the state is to be published (`due`), 0 for now, or None if there is nothing to publish:
        others know the state already, or another socket of the person still types.
        """
        self._said = is_typing
        told_at = self._told_at.get(is_typing)
        wait = 0.0 if told_at is None else max(0.0, told_at + self._interval - now)
        if wait and self._told == is_typing:
            return None
        if not wait and not self._tell(now):
            return None
        return wait

    def due(self, now: float) -> bool | None:
        """Returns the state to publish after a wait, or None if there is nothing to publish."""
        if self._told == self._said:
            return None
        return self._told if self._tell(now) else None

    def is_told(self, now: float) -> bool:
        """Whether others believe that this socket types."""
        return self._told and self._told_at[True] + self._expiry > now

    def stop(self, now: float) -> bool:
        """Ends the typing of this socket. Returns whether its end is to be published."""
        self._said = False
        if not self._told:
            return False
        self._told = False
        return self._typists.end(self._typist, self, now)

    def _tell(self, now: float) -> bool:
        """Takes the state for published. Returns False if it need not be, because another socket still types."""
        self._told_at[self._said] = now
        was_told, self._told = self._told, self._said
        if self._told:
            self._typists.renew(self._typist, self, now + self._expiry)
        elif was_told:
            is_last = self._typists.end(self._typist, self, now)
            return is_last or now >= self._told_at[True] + self._expiry
        return True


@define(eq=False)
class TypingSignal:
    """Publishes the typing of one socket in one chat: at once, or by a timer if it came too soon."""

    _chat_id: ChatId
    _typing: Typing
    _publish: Callable[[ShowTyping], None]
    """Publishes a state that no request waits for."""
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    @property
    def is_silent(self) -> bool:
        """Whether nothing remains to be published."""
        return self._timer is None and not self._typing.is_told(asyncio.get_running_loop().time())

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
        if not is_busy and self._typing.stop(asyncio.get_running_loop().time()):
            self._publish(ShowTyping(chat_id=self._chat_id, is_typing=False))

    def forget(self) -> None:
        """Takes the typing for ended without publishing that: the state could not be published, or a message has ended it."""
        self._typing.stop(asyncio.get_running_loop().time())

    def _be_late(self) -> None:
        self._timer = None
        is_typing = self._typing.due(asyncio.get_running_loop().time())
        if is_typing is not None:
            self._publish(ShowTyping(chat_id=self._chat_id, is_typing=is_typing))
