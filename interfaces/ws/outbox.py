"""What waits to be written to one socket: bounded, so that a client that reads too slowly is cut and resumes later."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from attrs import define, field

from application.ports.meter import Meter, Unmetered
from interfaces.wire.frames import Frame
from interfaces.ws.budget import Budget
from interfaces.ws.closing import GONE, Close, CloseCode

SLOW_READER: Final = Close(CloseCode.TRY_LATER, "slow reader; resume in 1 s", is_final=True)


@define(eq=False)
class Outbox:
    """
    Frames in order, then perhaps a close.

    While the client reads, a frame goes straight on to ``write``. While it does not, frames wait: a frame is taken as long
    as those before it are below both limits, and an ephemeral one (typing, presence) as long as they are below half of
    them. So a single frame may be greater than the limit.
    """

    write: Callable[[Frame], None]
    finish: Callable[[Close], None]
    """Called once, behind the last frame; or at once with a final close."""
    max_frames: int
    max_bytes: int
    meter: Meter = Unmetered()
    budget: Budget | None = None
    """What all outboxes of the node may hold together."""
    closing: Close | None = field(init=False, default=None)
    _is_finished: bool = field(init=False, default=False)
    is_held_up: bool = field(init=False, default=False)
    _is_in_parts: bool = field(init=False, default=False)
    _must_wait: bool = field(init=False, default=False)
    """For either reason."""
    _frames: deque[Frame] | None = field(init=False, default=None)
    """Made when the first frame must wait: most sockets never have one."""
    _size: int = field(init=False, default=0)
    _relaxing: asyncio.Event | None = field(init=False, default=None)
    _clearing: asyncio.Event | None = field(init=False, default=None)

    def put(self, frame: Frame, *, ephemeral: bool = False) -> None:
        if self.closing is not None:
            return
        if not self._must_wait:
            self.meter.frame_sent()
            self.write(frame)
        elif not ephemeral or self.is_relaxed:
            self._keep(frame)

    def close(self, code: int, reason: str) -> None:
        """Nothing is taken any more; what waits is written before the close. The first reason stands."""
        if self.closing is None:
            self.closing = Close(code, reason)
            if not self._frames:
                self._finish(self.closing)

    def hold_up(self) -> None:
        """The other side is not reading: what comes now must wait."""
        self.is_held_up = self._must_wait = True

    def clear(self) -> None:
        """The other side reads again."""
        self.is_held_up = False
        self._must_wait = self._is_in_parts
        self._write_waiting()
        if self._clearing is not None:
            self._clearing.set()

    # Messages in parts

    def begin_parts(self) -> None:
        """A message is written in parts: other frames wait until it is whole."""
        self._is_in_parts = self._must_wait = True

    def write_part(self, part: Frame) -> None:
        """Only while `is_held_up` is false: parts are written when the client reads, and do not wait here."""
        self.write(part)

    def end_parts(self, *, is_whole: bool) -> None:
        """Where the message stays unfinished no other frame can be written, and the socket must be closed."""
        self._is_in_parts = False
        if not is_whole:
            self._drop()
        self._must_wait = self.is_held_up
        self.meter.frame_sent()
        self._write_waiting()

    async def writable(self) -> None:
        """Wait until the client reads, or never will."""
        while self.is_held_up and self.closing is None:
            self._clearing = asyncio.Event()
            await self._clearing.wait()

    def _write_waiting(self) -> None:
        while self._frames and not self._must_wait:  # writing may hold it up again
            frame = self._frames.popleft()
            self._grow(-frame.size)
            self.meter.frame_sent()
            self.write(frame)
        if not self._frames and self.closing is not None:
            self._finish(self.closing)
        if self._relaxing is not None and self.is_relaxed:
            self._relaxing.set()

    def abandon(self) -> None:
        """There is nobody to write to any more."""
        if self.closing is None:
            self.closing = GONE
        self._drop()
        self._is_finished = True
        self._wake()

    @property
    def is_relaxed(self) -> bool:
        """Less than half full."""
        return not self._frames or (
            2 * len(self._frames) < self.max_frames and 2 * self._size < self.max_bytes
        )

    async def relaxed(self) -> None:
        """What a client asks for itself is paced by what it reads, and never counts as its slowness."""
        while not self.is_relaxed and self.closing is None:
            self._relaxing = asyncio.Event()
            await self._relaxing.wait()

    def _keep(self, frame: Frame) -> None:
        if self._frames is None:
            self._frames = deque()
        if len(self._frames) >= self.max_frames or self._size >= self.max_bytes:
            self.cut()
        else:
            self._frames.append(frame)
            self._grow(frame.size)

    def cut(self) -> None:
        """The client reads too slowly: what waits is given up, and it comes back for it."""
        self._drop()
        self.closing = SLOW_READER
        self._wake()
        self._finish(self.closing)

    def _wake(self) -> None:
        for event in (self._relaxing, self._clearing):
            if event is not None:
                event.set()

    def _drop(self) -> None:
        self._frames = None
        self._grow(-self._size)

    def _grow(self, size: int) -> None:
        self._size += size
        self.meter.outbox_grew(size)
        if self.budget is not None:
            self.budget.hold(self, self._size)

    def _finish(self, close: Close) -> None:
        if not self._is_finished:
            self._is_finished = True
            self.finish(close)
