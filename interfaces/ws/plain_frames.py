"""
Reads the frames that nearly all clients send: whole text messages that came in one piece.

`websockets` parses any frame in some twenty calls of generators. What is not taken here is left to it: other frames, messages in
fragments, frames that are too large or have not come as a whole, and everything that has to be refused.
"""

from collections.abc import Sequence
from typing import Final

from interfaces.ws.framing import FINAL, TEXT

try:
    from websockets.speedups import apply_mask
except ImportError:  # the library was built without a compiler
    from websockets.utils import apply_mask

WHOLE_TEXT: Final = FINAL | TEXT
MASKED: Final = 0x80
LEAST: Final = 6
"""Bytes of a masked frame without data."""
TWO_BYTES: Final = 126
"""Says in place of a length that the length follows in two bytes."""


def plain_texts(data: bytes, most: int) -> tuple[Sequence[bytes], bytes]:
    """
    Returns the text messages with which ``data`` begins, encoded, and what follows them.

    ``data`` must begin at the beginning of a frame, outside of a fragmented message. Messages longer than ``most`` bytes are not
    taken.
    """
    texts: list[bytes] = []
    start, end = 0, len(data)
    while end - start >= LEAST and data[start] == WHOLE_TEXT and data[start + 1] & MASKED:
        size, mask = data[start + 1] ^ MASKED, start + 2
        if size >= TWO_BYTES:
            if size > TWO_BYTES:
                break
            size, mask = data[mask] << 8 | data[mask + 1], mask + 2
        text = mask + 4
        if text + size > end or size > most:
            break
        start = text + size
        texts.append(apply_mask(data[text:start], data[mask:text]))
    return texts, data[start:]
