"""Returns memory that the process no longer uses to the operating system."""

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import define

CHECKED_EVERY: Final = 20.0
"""Seconds between two checks. One takes 20 us unless the memory has grown."""

LEAST: Final = 8 * 1024 * 1024
"""
Bytes that are worth a return, because nothing else runs meanwhile: 4 ms for 32 MiB of 267, and up to 100 ms in a process with
100,000 free blocks. docs/decisions/0078-when-unused-memory-is-returned.md has the figures.
"""

SHARE: Final = 1 / 20
"""The same as a share of the memory of the process, so that a large one returns memory less often."""


MEMBERS: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
"""
The members of glibc's `struct mallinfo2`, and of `struct mallinfo`, which it had alone before version 2.33. `fordblks` has the bytes
that are free.
"""


class _Allocations(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in MEMBERS]


class _EarlierAllocations(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in MEMBERS]


def resident() -> int:
    """Returns the bytes of the process that are in memory, or 0 where the system does not tell as Linux does."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def free() -> int:
    """
    Returns the bytes that glibc holds for later allocations, also those that it has returned already.

    Before glibc 2.33 these are told modulo 4 GiB. Another C library holds none as far as this tells.
    """
    library = ctypes.CDLL(None)
    for name, answer in (("mallinfo2", _Allocations), ("mallinfo", _EarlierAllocations)):
        if (ask := getattr(library, name, None)) is not None:
            ask.restype = answer
            return int(ask().fordblks)
    return 0


def trim() -> None:
    """Returns memory that was freed to the system, where the C library can do so."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


@define(eq=False)
class Memory:
    """
    The memory of the process. Its unused part is returned when the process has grown by more than is worth a return, and as much
    is free.

    glibc itself returns only what lies at the end of its heap, so that a process would keep what its busiest moment took.
    """

    _resident: Callable[[], int] = resident
    _free: Callable[[], int] = free
    _trim: Callable[[], None] = trim
    _least: int | None = None
    """The fewest bytes in memory at any check since the last return."""

    async def run(self) -> None:
        """Checks again and again until it is cancelled."""
        while True:
            self.check()
            await asyncio.sleep(CHECKED_EVERY)

    def check(self) -> None:
        """Returns unused memory if there is enough of it."""
        now = self._resident()
        self._least = now if self._least is None else min(self._least, now)
        worth = max(LEAST, int(now * SHARE))
        # What is in use cannot be returned: a later check finds it free.
        if now - self._least >= worth and self._free() >= worth:
            self._trim()
            self._least = self._resident()
