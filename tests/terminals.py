"""Reads what programs show on a terminal."""

import os
from contextlib import suppress


def read_to_the_end(terminal: int) -> bytes:
    """
    Reads from our side of a terminal until every process has closed the other side, and returns everything that was written there.

    A single read is not enough: the last part may arrive after the write has returned.
    """
    shown = b""
    with suppress(OSError):  # EIO is the end
        while some := os.read(terminal, 65536):
            shown += some
    return shown
