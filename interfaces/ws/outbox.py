"""What waits to be written to one socket. Bounded: a reader that is too slow is cut, and comes back for the rest."""

from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import Factory, define, field, frozen

from interfaces.wire.frames import Frame

SLOW_READER: Final = 1013


@frozen
class Close:
    code: int
    reason: str
    is_final: bool = False
    """What waited is given up: the reader was too slow for it."""


@define(eq=False)
class Outbox:
    """
    Frames in order, then perhaps a close.

    A frame finds a place while what waits is below both limits; what does not matter later (typing) only while it is
    below half of them. One frame may be greater than the limit: it is the frames before it that count.
    """

    _frame_limit: int
    _byte_limit: int
    changed: Callable[[], None] = lambda: None
    """Called when there is something new to write."""
    closed: Callable[[Close], None] = lambda _: None
    """Called once, when nothing is taken any more."""
    closing: Close | None = field(init=False, default=None)
    _frames: deque[Frame] = field(init=False, default=Factory(deque))
    _size: int = field(init=False, default=0)

    def put(self, frame: Frame, *, ephemeral: bool = False) -> None:
        if self.closing:
            return
        count, size = len(self._frames), self._size
        if ephemeral and not self.is_relaxed:
            return
        if count >= self._frame_limit or size >= self._byte_limit:
            self._frames.clear()
            self._size = 0
            self._close(Close(SLOW_READER, "slow reader; resume in 1 s", is_final=True))
            return
        self._frames.append(frame)
        self._size = size + frame.size
        self.changed()

    def close(self, code: int, reason: str) -> None:
        """Nothing is taken any more; what waits is written before the close. The first reason stands."""
        if not self.closing:
            self._close(Close(code, reason))

    def take(self) -> Frame | None:
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._size -= frame.size
        return frame

    def _close(self, close: Close) -> None:
        self.closing = close
        self.closed(close)
        self.changed()

    @property
    def waiting(self) -> bool:
        return bool(self._frames)

    @property
    def is_relaxed(self) -> bool:
        """Less than half full: what the reader asked for itself can be added without counting as its slowness."""
        return 2 * len(self._frames) < self._frame_limit and 2 * self._size < self._byte_limit
