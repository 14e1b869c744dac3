"""Standard output and error that never fail and never make the server wait."""

import io
import os
import sys
from collections.abc import Callable
from typing import Final

STANDARD: Final = {0: "stdin", 1: "stdout", 2: "stderr"}


def open_standard_streams() -> None:
    """
    Opens standard streams that the process was started without as `/dev/null`.

    Otherwise their descriptors would go to the next files and sockets that are opened, and output would be written there.
    """
    for descriptor, name in STANDARD.items():
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = os.fdopen(descriptor, "r" if descriptor == 0 else "w", closefd=False)
            setattr(sys, name, stream)


class Printed(io.TextIOBase):
    """
    A text stream that hands each line to ``write``, for whatever prints and does not log: modules, warnings, the
    interpreter. A line without an end is handed over by `flush`.
    """

    def __init__(self, write: Callable[[str], None], descriptor: int) -> None:
        super().__init__()
        self._write = write
        self._descriptor = descriptor
        self._begun = ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._write(line)
        return len(text)

    def flush(self) -> None:
        rest, self._begun = self._begun, ""
        if rest:
            self._write(rest)
