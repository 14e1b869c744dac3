"""Limits how often Python's garbage collector goes through all objects, because nothing else runs meanwhile."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

LEAST_SECONDS: Final = 30.0
"""
The least time between two full collections. One takes about 60 ms with 500 sockets, so that they delay fewer than one
message in a hundred, and what a flood of requests leaves behind is freed within a minute.
"""

NEVER: Final = 2**31 - 1
"""A threshold that the number of collections does not reach."""


@define(eq=False)
class FullCollections:
    """
    Lets full collections begin at least ``least_seconds`` apart.

    Python begins one whenever the number of old objects has grown by a quarter, which a flood of requests achieves every
    second or two. The collections of young objects, which take less than a millisecond, are not affected.
    """

    least_seconds: float = LEAST_SECONDS
    _now: Callable[[], float] = time.monotonic
    _usual: tuple[int, int, int] = field(init=False, factory=gc.get_threshold)
    _next: float | None = field(init=False, default=None)
    """The time until which none may begin, as long as none may."""

    def begin(self) -> None:
        """Also leaves all present objects out of later collections, because they live as long as the process."""
        gc.freeze()
        gc.callbacks.append(self._hear)

    def end(self) -> None:
        gc.callbacks.remove(self._hear)
        gc.set_threshold(*self._usual)

    def _hear(self, phase: str, info: Mapping[str, Any]) -> None:
        """Called by the collector before and after each collection."""
        if phase != "stop":
            return
        if info["generation"] == len(self._usual) - 1:
            self._next = self._now() + self.least_seconds
            gc.set_threshold(*self._usual[:-1], NEVER)
        elif self._next is not None and self._now() >= self._next:
            self._next = None
            gc.set_threshold(*self._usual)
