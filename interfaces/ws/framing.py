"""Text frames as they go over a WebSocket (RFC 6455, section 5.2)."""

from typing import Final

from attrs import define, field, frozen

from interfaces.wire.frames import Frame

FINAL: Final = 0x80
TEXT: Final = 0x01
CONTINUATION: Final = 0x00


def head(size: int, first: int = FINAL | TEXT) -> bytes:
    """
    The head of a frame; unless ``first`` says otherwise it is a whole message.

    A server's frames are not masked (section 5.1), so that the same bytes serve every socket.
    """
    if size < 126:
        return bytes((first, size))
    if size < 1 << 16:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


@frozen
class Part(Frame):
    """A part of a message (section 5.4). No other text frame may come between two parts of one message."""

    is_first: bool
    is_last: bool

    @property
    def framed(self) -> bytes:
        first = FINAL * self.is_last | (TEXT if self.is_first else CONTINUATION)
        return head(len(self.data), first) + self.data


@define(eq=False)
class Framing:
    """Puts the head before a frame once, as the same frame is written to many sockets one after the other."""

    last: Frame | None = field(init=False, default=None)
    data: bytes = field(init=False, default=b"")
    """Of the last frame."""

    def framed(self, frame: Frame) -> bytes:
        if isinstance(frame, Part):
            return frame.framed
        if frame is not self.last:
            self.data = head(len(frame.data)) + frame.data
            self.last = frame
        return self.data
