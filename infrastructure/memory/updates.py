"""Updates within one process."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from attrs import Factory, define

from application.ports.updates import Update

log: Final = logging.getLogger(__name__)


@define(eq=False)
class MemoryUpdates:
    _listeners: list[Callable[[Sequence[Update]], None]] = Factory(list)

    def publish(self, updates: Sequence[Update]) -> None:
        for listener in self._listeners:
            try:
                listener(updates)
            except Exception:  # the commit cannot be undone, and the listener catches up from the log
                log.exception("a listener failed")

    def subscribe(self, listener: Callable[[Sequence[Update]], None]) -> None:
        self._listeners.append(listener)
