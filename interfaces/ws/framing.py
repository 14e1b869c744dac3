"""Encodes text frames for a WebSocket (RFC 6455, section 5.2)."""

from collections.abc import Sequence
from typing import Final

from attrs import define, field, frozen

from interfaces.wire.frames import Frame

FINAL: Final = 0x80
TEXT: Final = 0x01
CONTINUATION: Final = 0x00


def head(size: int, first: int = FINAL | TEXT) -> bytes:
    """
    Returns the header of a frame with ``size`` bytes of data; by default the frame is a whole text message.

    A server does not mask its frames (section 5.1), so that the same bytes can be written to every socket.
    """
    if size < 126:
        return bytes((first, size))
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


@frozen
class Part(Frame):
    """A part of a message (section 5.4). No other text frame may come between two parts of one message."""

    is_first: bool = field(kw_only=True)
    is_last: bool = field(kw_only=True)

    @property
    def framed(self) -> bytes:
        first = FINAL * self.is_last | (TEXT if self.is_first else CONTINUATION)
        return head(len(self.data), first) + self.data


@define(eq=False)
class Framing:
    """Adds the header to a frame, and caches the result for the other sockets that get the same frame."""

    last: Frame | Sequence[Frame] | None = field(init=False, default=None)
    data: bytes = field(init=False, default=b"")
    """The last frame with its header, or the last frames, each with its own."""

    _before: bytes = field(init=False, default=b"")
    _behind: bytes = field(init=False, default=b"")
    _joined: bytes = field(init=False, default=b"")

    def framed(self, told: Frame | Sequence[Frame]) -> bytes:
        if isinstance(told, Part):
            return told.framed
        if told is not self.last:
            frames = (told,) if isinstance(told, Frame) else told
            self.data = b"".join(part for frame in frames for part in (head(len(frame.data)), frame.data))
            self.last = told
        return self.data

    def behind(self, before: bytes) -> bytes:
        """Returns the last data behind what waits to be written already. Sockets that wait for the same share the result."""
        if before is not self._before or self.data is not self._behind:
            self._before, self._behind, self._joined = before, self.data, before + self.data
        return self._joined
