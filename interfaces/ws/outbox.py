"""A bounded queue of frames to one socket. A client that reads too slowly is disconnected, and can resume later."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from attrs import define, field, frozen

from application.meter import Meter, Unmetered
from domain.ids import ChatId, Position
from interfaces.wire.all_chats import CursorFrame
from interfaces.wire.frames import Frame
from interfaces.ws.budget import Budget
from interfaces.ws.closing import GONE, Close, CloseCode

SLOW_READER: Final = Close(CloseCode.TRY_LATER, "slow reader; resume in 1 s", is_final=True)


LEAST_SHED: Final = 2
"""Messages that are worth a gap. The `gap` frame is about as large as one message."""


class Writer(Protocol):
    """Writes to one socket. Frames and the close are written in the order in which they are given."""

    def write(self, frame: Frame) -> None: ...

    def write_shared(self, frames: Sequence[Frame]) -> None:
        """
        Writes frames that many sockets get; all of them are given the same sequence. They may be written some milliseconds
        later, joined with those that follow.
        """
        ...

    def finish(self, close: Close) -> None:
        """Closes the socket. Called once: after the last frame, or immediately for a final close."""
        ...


@frozen
class Shedding:
    """
    Replaces durable frames that wait by gaps, before a client is disconnected for reading too slowly.

    The outbox only drops the frames. ``begin`` is called with the chat and the last position before the dropped ones, and has
    to send the `gap` frame later (`Frame.is_restart`). Until then further durable frames of the chat are dropped too.
    """

    percent: int
    """The share of the outbox's limits above which it begins; with 100 it never does."""
    begin: Callable[[ChatId, Position], None]


@define(eq=False)
class Waiting:
    """The durable frames of one chat that wait without a gap or cursor between them."""

    start: int
    """The index of the first one in the queue."""
    after: Position
    size: int = 0
    count: int = 0


@frozen(eq=False)
class Place(Frame):
    """Waits among the frames, in place of a message that will be written in parts. It is empty and never written."""

    data: bytes = b""
    is_next: asyncio.Event = field(init=False, factory=asyncio.Event)
    """Set when the frames before it were written or dropped."""


@define(eq=False)
class Outbox:
    """
    Holds frames in order, and at most one close after them.

    While the client reads, a frame goes directly to the ``writer``; otherwise frames wait. A frame is accepted while the frames
    before it are below both limits, and an ephemeral one (typing, presence) while they are below half of both. A single
    frame may therefore be greater than the limit.
    """

    writer: Writer
    max_frames: int
    max_bytes: int
    meter: Meter = Unmetered()
    budget: Budget | None = None
    """The shared limit of all outboxes of the node."""
    shedding: Shedding | None = None
    closing: Close | None = field(init=False, default=None)
    _is_finished: bool = field(init=False, default=False)
    is_held_up: bool = field(init=False, default=False)
    _is_in_parts: bool = field(init=False, default=False)
    _must_wait: bool = field(init=False, default=False)
    """True if the outbox is held up or a message is being written in parts."""
    _frames: deque[Frame] | None = field(init=False, default=None)
    """Created when a frame must wait, which never happens on most sockets."""
    _size: int = field(init=False, default=0)
    _relaxing: asyncio.Event | None = field(init=False, default=None)
    _clearing: asyncio.Event | None = field(init=False, default=None)
    _emptying: asyncio.Event | None = field(init=False, default=None)
    _missing: set[ChatId] | None = field(init=False, default=None)
    """The chats of which frames were dropped, and whose gap was not told yet."""

    def put(self, frame: Frame, *, ephemeral: bool = False) -> None:
        if self.closing is not None or (self._missing is not None and self._is_missing(frame)):
            return
        if not self._must_wait:
            self.meter.frames_sent(1)
            self.writer.write(frame)
        elif not ephemeral or self.is_relaxed:
            self._keep(frame)

    def put_shared(self, frames: Sequence[Frame]) -> None:
        """Does what `put` does with each of the frames that many sockets get. They are passed on together, so that they must not be large."""
        if self.closing is None and self._missing is None and not self._must_wait:
            self.meter.frames_sent(len(frames))
            self.writer.write_shared(frames)
        else:
            for frame in frames:
                self.put(frame)

    def close(self, code: int, reason: str) -> None:
        """Accepts no more frames, and closes after the waiting ones. Only the first call sets code and reason."""
        if self.closing is None:
            self.closing = Close(code, reason)
            if not self._frames:
                self._finish(self.closing)

    def hold_up(self) -> None:
        """Makes further frames wait, because the client does not read."""
        self.is_held_up = self._must_wait = True

    def clear(self) -> None:
        """Writes the waiting frames, because the client reads again."""
        self.is_held_up = False
        self._must_wait = self._is_in_parts
        self._write_waiting()
        if self._clearing is not None:
            self._clearing.set()
        if self._emptying is not None:
            self._emptying.set()

    # Messages in parts

    @property
    def is_empty(self) -> bool:
        """True if no frames wait to be written."""
        return not self._frames

    async def begin_parts(self) -> None:
        """
        Begins a message in parts when the frames that wait were written, or the outbox is closed. Later frames wait until
        it is complete.
        """
        if self._frames:
            place = Place()
            self._frames.append(place)
            try:
                await place.is_next.wait()
            except asyncio.CancelledError:
                self._take_out(place)
                self._must_wait = self.is_held_up
                self._write_waiting()
                raise
            self._take_out(place)
        self._is_in_parts = self._must_wait = True

    def _take_out(self, place: Place) -> None:
        if self._frames and place in self._frames:
            self._frames.remove(place)

    def write_part(self, part: Frame) -> None:
        """Writes a part. Must only be called while `is_held_up` is false, because parts do not wait here."""
        self.writer.write(part)

    def end_parts(self, *, is_cut_off: bool) -> None:
        """
        Ends a message in parts. If it is cut off, because only some of its parts were written, no other frame can be written,
        and the caller must close the socket.
        """
        self._is_in_parts = False
        if is_cut_off:
            self._drop()
        self._must_wait = self.is_held_up
        self.meter.frames_sent(1)
        self._write_waiting()

    async def writable(self) -> None:
        """Waits until the client reads, or the outbox is closed."""
        while self.is_held_up and self.closing is None:
            self._clearing = asyncio.Event()
            await self._clearing.wait()

    def _write_waiting(self) -> None:
        while self._frames and not self._must_wait:  # writing may hold it up again
            frame = self._frames[0]
            if isinstance(frame, Place):
                self._must_wait = True
                frame.is_next.set()
                break
            self._frames.popleft()
            self._grow(-frame.size)
            self.meter.frames_sent(1)
            self.writer.write(frame)
        if not self._frames and self.closing is not None:
            self._finish(self.closing)
        if self._relaxing is not None and self.is_relaxed:
            self._relaxing.set()

    def abandon(self) -> None:
        """Drops everything, because the connection is lost."""
        if self.closing is None:
            self.closing = GONE
        self._drop()
        self._is_finished = True
        self._wake()

    @property
    def is_relaxed(self) -> bool:
        """Whether the outbox is less than half full."""
        return not self._frames or (
            2 * len(self._frames) < self.max_frames and 2 * self._size < self.max_bytes
        )

    async def relaxed(self) -> None:
        """Waits until `is_relaxed` or closed. It paces large answers, so that they do not make a client count as slow."""
        while not self.is_relaxed and self.closing is None:
            self._relaxing = asyncio.Event()
            await self._relaxing.wait()

    async def emptied(self) -> None:
        """Waits until the client has read everything that it was sent, or it is closed."""
        while (self.is_held_up or self._frames) and self.closing is None:
            self._emptying = asyncio.Event()
            await self._emptying.wait()

    def _keep(self, frame: Frame) -> None:
        if self._frames is None:
            self._frames = deque()
        if (
            self.shedding is not None
            and self.shedding.percent < 100
            and not isinstance(frame, CursorFrame)  # it says that the waiting frames were sent
            and self._is_above(self.shedding.percent)
        ):
            self._shed(self.shedding)
            if self._missing is not None and self._is_missing(frame):
                return
        if len(self._frames) >= self.max_frames or self._size >= self.max_bytes:
            self.cut()
        else:
            self._frames.append(frame)
            self._grow(frame.size)

    # Gaps

    @property
    def has_gaps(self) -> bool:
        """Whether frames were dropped, and their gap was not told yet."""
        return self._missing is not None

    def _is_missing(self, frame: Frame) -> bool:
        """Returns whether the frame is in a gap. A frame that restarts its chat ends the gap."""
        assert self._missing is not None, "there are gaps"
        if frame.is_restart:
            self._missing.discard(cast(ChatId, frame.chat_id))
            self._missing = self._missing or None
            return False
        return frame.position is not None and frame.chat_id in self._missing

    def _is_above(self, percent: int) -> bool:
        assert self._frames is not None, "frames wait"
        return (
            100 * len(self._frames) >= percent * self.max_frames
            or 100 * self._size >= percent * self.max_bytes
        )

    def _shed(self, shedding: Shedding) -> None:
        """Drops the durable frames of the chats with most of them, until the outbox is half empty."""
        while not self.is_relaxed and (busiest := self._busiest()):
            chat_id, waiting = busiest
            kept: deque[Frame] = deque()
            dropped = 0
            for index, frame in enumerate(self._frames or ()):
                if index >= waiting.start and frame.chat_id == chat_id and frame.position is not None:
                    dropped += frame.size
                else:
                    kept.append(frame)
            self._frames = kept
            self._missing = {*(self._missing or ()), chat_id}
            self._grow(-dropped)
            shedding.begin(chat_id, waiting.after)

    def _busiest(self) -> tuple[ChatId, Waiting] | None:
        """
        Finds the chat with most bytes of durable frames. Frames before a cursor stay, because the cursor says that they were
        sent, and so do frames before one that restarts their chat.
        """
        found: dict[ChatId, Waiting] = {}
        for index, frame in enumerate(self._frames or ()):
            if isinstance(frame, CursorFrame):
                found.clear()
            elif frame.chat_id is None:
                continue
            elif frame.is_restart:
                found.pop(frame.chat_id, None)
            elif frame.position is not None:
                waiting = found.get(frame.chat_id)
                if waiting is None:
                    waiting = found[frame.chat_id] = Waiting(index, Position(frame.position - 1))
                waiting.size += frame.size
                waiting.count += 1
        many = [(chat_id, waiting) for chat_id, waiting in found.items() if waiting.count >= LEAST_SHED]
        return max(many, key=lambda each: each[1].size, default=None)

    def cut(self) -> None:
        """Drops the waiting frames and closes, because the client reads too slowly. It can resume later."""
        self._drop()
        self.closing = SLOW_READER
        self._wake()
        self._finish(self.closing)

    def _wake(self) -> None:
        for event in (self._relaxing, self._clearing, self._emptying):
            if event is not None:
                event.set()

    def _drop(self) -> None:
        frames, self._frames = self._frames, None
        self._grow(-self._size)
        for frame in frames or ():
            if isinstance(frame, Place):
                frame.is_next.set()

    def _grow(self, size: int) -> None:
        self._size += size
        self.meter.outbox_grew(size)
        if self.budget is not None:
            self.budget.hold(self, self._size)

    def _finish(self, close: Close) -> None:
        if not self._is_finished:
            self._is_finished = True
            self.writer.finish(close)
