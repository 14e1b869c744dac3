"""
Writes what the many sockets of a large chat are told.

A message to a thousand sockets takes some milliseconds, most of which the kernel needs for the write to each socket. If the next
message were written as soon as it is stored, a busy chat would take all of the process's time with one write for each
socket and message. Messages that follow each other quickly are therefore joined: after the sockets were written to, what they
are told waits for as long as that took, and then each socket gets all of it in one write.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from attrs import define, field

PER_TURN: Final = 128
"""Sockets that are written to in one turn of the event loop, which takes about a millisecond."""

LONGEST_PAUSE: Final = 0.01
"""Seconds that a message waits at most for those that follow, once all sockets have the message before it."""


@define(eq=False)
class SharedWrites:
    """
    Calls back for each socket that waits to be written to: at the end of the event loop's tick if no other sockets were written
    to a moment ago, and otherwise after a pause.
    """

    _waiting: deque[Callable[[], None]] = field(init=False, factory=deque)
    _due: deque[Callable[[], None]] = field(init=False, factory=deque)
    """The sockets that are written to at present, `PER_TURN` in each turn of the event loop."""
    _began: float = field(init=False, default=0.0)
    """When the first of them was written to."""
    _is_busy: bool = field(init=False, default=False)
    """True while sockets are written to, and during the pause after that."""

    def soon(self, do: Callable[[], None]) -> None:
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().call_soon(self._begin)
        self._waiting.append(do)

    def _begin(self) -> None:
        self._began = monotonic()
        self._due, self._waiting = self._waiting, self._due
        self._write_some()

    def _write_some(self) -> None:
        due = self._due
        try:
            for _ in range(min(PER_TURN, len(due))):
                due.popleft()()
        finally:  # also after an error at one socket, for the others
            asyncio.get_running_loop().call_soon(self._write_some if due else self._pause)

    def _pause(self) -> None:
        """Runs when the event loop has passed the last of the data to the kernel."""
        took = monotonic() - self._began
        asyncio.get_running_loop().call_later(min(took, LONGEST_PAUSE), self._go_on)

    def _go_on(self) -> None:
        if self._waiting:
            self._begin()
        else:
            self._is_busy = False
