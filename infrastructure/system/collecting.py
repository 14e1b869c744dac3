"""Limits how often Python's garbage collector runs in a process that serves, because nothing else runs meanwhile."""

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

Thresholds = tuple[int, int, int]
"""
How many objects more than before begin a collection of the young ones, how many of those one of the middle-aged, and how many of
those a full one.
"""

SERVING: Final[Thresholds] = (20_000, 20, 10)
"""
Python begins with 700 objects, which took a sixth of the CPU of a busy messenger: a batch of messages makes more, and nearly none of
them in cycles. A collection of 20 000 takes less than a millisecond.
"""

LEAST_SECONDS: Final = 300.0
"""
The least time between two full collections. One takes 60 to 100 ms with 500 sockets, so that they delay one message in three
thousand. Connections and requests are freed without them, because they let go of what they refer to when they end.
"""

NEVER: Final = 2**31 - 1
"""A threshold that the number of collections does not reach."""


@define(eq=False)
class GarbageCollection:
    """
    Collects young objects at the ``thresholds``, and lets full collections begin at least ``least_seconds`` apart.

    Python begins a full one whenever the number of old objects has grown by a quarter, which a flood of requests achieves every
    second or two.
    """

    least_seconds: float = LEAST_SECONDS
    thresholds: Thresholds = SERVING
    _now: Callable[[], float] = time.monotonic
    _before: Thresholds = field(init=False, factory=gc.get_threshold)
    _next: float | None = field(init=False, default=None)
    """The time until which no full one may begin, as long as none may."""

    def begin(self) -> None:
        """Also leaves all present objects out of later collections, because they live as long as the process."""
        gc.freeze()
        gc.set_threshold(*self.thresholds)
        gc.callbacks.append(self._hear)

    def end(self) -> None:
        """Lets Python collect as it did before."""
        gc.callbacks.remove(self._hear)
        gc.set_threshold(*self._before)

    def _hear(self, phase: str, info: Mapping[str, Any]) -> None:
        """Called by the collector before and after each collection."""
        if phase != "stop":
            return
        if info["generation"] == len(self.thresholds) - 1:
            self._next = self._now() + self.least_seconds
            gc.set_threshold(*self.thresholds[:-1], NEVER)
        elif self._next is not None and self._now() >= self._next:
            self._next = None
            gc.set_threshold(*self.thresholds)
