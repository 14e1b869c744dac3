"""
Pings to the open sockets of a node, and the end of those that do not answer.

One timer serves all sockets: with a timer and a frame for each, most of what pings cost went into timers and frames, and their
answers woke the event loop one by one.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Final, Protocol

from attrs import define, field

FINAL_PING: Final = 0x89
PAYLOAD: Final = 4
"""Bytes that number a ping, so that its answer is told from those to earlier ones."""

PER_TURN: Final = 32
"""Sockets that are pinged in one turn of the event loop, which takes less than a millisecond."""

SHARE: Final = 1 / 25
"""The share of the shorter of the two times within which pings are gathered: 0.6 seconds of 15."""


class Pinged(Protocol):
    def ping(self, frame: bytes) -> None:
        """Writes the frame, unless the socket is ending."""
        ...

    def end_unanswered(self) -> None:
        """
        Ends the socket and stops its pings, because one was not answered in time. Does nothing if the answer may be here, but is
        not read yet.
        """
        ...


@define(eq=False)
class Keepalive:
    """The pings of one socket. None are sent after `stop`."""

    _socket: Pinged | None
    _unanswered: bytes = b""
    """The payload of the ping that waits for its answer."""

    def stop(self) -> None:
        self._socket = None

    def is_answered_by(self, payload: bytes) -> bool:
        """Takes a pong. Returns whether it answers a ping that was not answered yet."""
        if not self._unanswered or payload != self._unanswered:
            return False
        self._unanswered = b""
        return True

    @property
    def waits(self) -> bool:
        return bool(self._unanswered)

    def ping(self, payload: bytes, frame: bytes) -> None:
        if self._socket is not None:
            self._unanswered = payload
            self._socket.ping(frame)

    def awaits(self, payload: bytes) -> bool:
        """Returns True if the socket is open and has not answered the ping with this payload."""
        return self._socket is not None and self._unanswered == payload

    def end(self) -> None:
        if self._socket is not None:
            self._socket.end_unanswered()

    @property
    def is_stopped(self) -> bool:
        return self._socket is None


@define(eq=False)
class Heartbeats:
    """
    Pings each socket every ``interval`` seconds, or up to a `SHARE` sooner. One that has not answered within ``timeout`` seconds, or
    up to a `SHARE` later, is ended.
    """

    interval: float
    timeout: float
    _resting: deque[tuple[float, Keepalive]] = field(init=False, factory=deque)
    """When each socket is pinged next, in this order."""
    _asked: deque[tuple[float, Keepalive, bytes]] = field(init=False, factory=deque)
    """Until when the pings that were sent must be answered, in this order."""
    _numbers: Iterator[int] = field(init=False, factory=count)
    _timer: asyncio.Handle | None = field(init=False, default=None)

    def begin(self, socket: Pinged) -> Keepalive:
        keepalive = Keepalive(socket)
        self._resting.append((asyncio.get_running_loop().time() + self.interval, keepalive))
        self._schedule()
        return keepalive

    @property
    def _gathered(self) -> float:
        return min(self.interval, self.timeout) * SHARE

    def _schedule(self) -> None:
        if self._timer is None and self._resting:
            loop = asyncio.get_running_loop()
            due = self._resting[0][0] - self._gathered
            if self._asked:
                due = min(due, self._asked[0][0])
            self._timer = loop.call_at(max(due, loop.time() + self._gathered), self._beat)

    def _beat(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        try:
            self._end_late(now)
            if self._ping_some(now):
                self._timer = asyncio.get_running_loop().call_soon(self._beat)
        finally:
            self._schedule()  # also after an error at one socket, for the others

    def _end_late(self, now: float) -> None:
        while self._asked and self._asked[0][0] <= now:
            _, keepalive, payload = self._asked.popleft()
            if keepalive.awaits(payload):
                # It is looked at again, in case its pong is not read yet or ending it fails.
                self._asked.append((now + self.timeout, keepalive, payload))
                keepalive.end()

    def _ping_some(self, now: float) -> bool:
        """Pings the sockets whose time has come. Returns whether some are left."""
        payload = (next(self._numbers) % 256**PAYLOAD).to_bytes(PAYLOAD)
        frame = bytes((FINAL_PING, PAYLOAD)) + payload
        for _ in range(PER_TURN):
            if not self._resting or self._resting[0][0] > now + self._gathered:
                return False
            _, keepalive = self._resting.popleft()
            if keepalive.is_stopped:
                continue
            # The queues come first, so that they do not lose the socket if writing to it fails.
            self._resting.append((now + self.interval, keepalive))
            if not keepalive.waits:
                self._asked.append((now + self.timeout, keepalive, payload))
                keepalive.ping(payload, frame)
        return True
