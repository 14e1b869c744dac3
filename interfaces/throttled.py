"""Warnings that the log gets at most once in a while, however often their cause occurs."""

import time
from logging import getLogger
from typing import Final

from attrs import define

log: Final = getLogger(__name__)


@define(eq=False)
class ThrottledWarning:
    """Logs a warning at most once in ``seconds``; the next one says how many were omitted."""

    message: str
    seconds: float = 10.0
    _left_out: int = 0
    _next: float = 0.0

    def warn(self, **more: object) -> None:
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        others = f" ({self._left_out} more since the last line)" if self._left_out else ""
        log.warning("%s%s", self.message, others, extra=more)
        self._left_out, self._next = 0, now + self.seconds
