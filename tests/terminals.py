"""Reads what programs show on a terminal."""

import os
from contextlib import suppress


def read_to_the_end(terminal: int) -> bytes:
    """
    Returns all that was written to a terminal, of which ``terminal`` is our side. It ends when nobody has the other side open.

    One read returns what has arrived, and the last part may arrive after the write has returned.
    """
    shown = b""
    with suppress(OSError):  # EIO is the end
        while some := os.read(terminal, 65536):
            shown += some
    return shown
