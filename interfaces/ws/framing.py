"""Encodes text frames for a WebSocket (RFC 6455, section 5.2)."""

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

    last: Frame | None = field(init=False, default=None)
    data: bytes = field(init=False, default=b"")
    """The last frame with its header."""

    def framed(self, frame: Frame) -> bytes:
        if isinstance(frame, Part):
            return frame.framed
        if frame is not self.last:
            self.data = head(len(frame.data)) + frame.data
            self.last = frame
        return self.data
