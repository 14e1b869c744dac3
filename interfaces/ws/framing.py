"""Text frames as they go over a WebSocket (RFC 6455, section 5.2)."""

from attrs import define, field

from interfaces.wire.frames import Frame


def head(size: int) -> bytes:
    """
    The head of a whole message in one text frame.

    A server's frames are not masked (section 5.1), so that the same bytes serve every socket.
    """
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


@define(eq=False)
class Framing:
    """Puts the head before a frame once, as the same frame is written to many sockets one after the other."""

    last: Frame | None = field(init=False, default=None)
    data: bytes = field(init=False, default=b"")
    """Of the last frame."""

    def framed(self, frame: Frame) -> bytes:
        if frame is not self.last:
            self.data = head(len(frame.data)) + frame.data
            self.last = frame
        return self.data
