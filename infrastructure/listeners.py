"""The listeners of updates within one process."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from attrs import Factory, define

from application.ports.updates import Update

log: Final = logging.getLogger(__name__)

Listener = Callable[[Sequence[Update]], None]


@define(eq=False)
class Listeners:
    _listeners: list[Listener] = Factory(list)

    def add(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def tell(self, updates: Sequence[Update]) -> None:
        """Calls every listener, and logs what they raise: a commit cannot be undone, and listeners catch up from the log."""
        for listener in self._listeners:
            try:
                listener(updates)
            except Exception:
                log.exception("a listener failed")
