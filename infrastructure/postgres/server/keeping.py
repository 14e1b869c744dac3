"""Restarts the embedded PostgreSQL when it ends by itself: killed, out of memory, or stopped by a full disk."""

import time
from collections.abc import Callable
from logging import getLogger
from threading import Event, Thread
from typing import Final

from attrs import define, field

log = getLogger(__name__)

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds. Pauses before restarts double from `FIRST_PAUSE` up to this, until a server has run for this long."""


class NotRunning(Exception):
    """The server has ended, or cannot be started now. The message says how, in one line."""


@define(eq=False, kw_only=True)
class Keeper:
    """
    Watches one server from a thread of its own.

    A server ends with the thread that started it. This thread therefore runs until the servers that it has started have
    ended: `stop` must be called before the last server is told to end, and `join` after it has.
    """

    await_end: Callable[[], str]
    """Waits until the running server has ended, and says how, in one line."""
    restart: Callable[[], None]
    """Starts the server again and returns when it answers. Raises `NotRunning` if that fails."""
    first_pause: float = FIRST_PAUSE
    longest_pause: float = LONGEST_PAUSE
    _is_over: Event = field(init=False, factory=Event)
    _thread: Thread | None = field(init=False, default=None)

    def begin(self) -> None:
        self._thread = Thread(target=self._run, name="embedded PostgreSQL", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From now on a server that ends is not restarted."""
        self._is_over.set()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    def _run(self) -> None:
        pause = self.first_pause
        began = time.monotonic()
        while True:
            how = self.await_end()
            ended = time.monotonic()
            if ended - began >= self.longest_pause:
                pause = self.first_pause
            while not self.is_over:
                log.error(
                    "the embedded PostgreSQL has ended: %s",
                    how,
                    extra={"restarted_in_seconds": round(pause, 3)},
                )
                if self._is_over.wait(pause):
                    break
                pause = min(2 * pause, self.longest_pause)
                try:
                    self.restart()
                except NotRunning as why:
                    how = str(why)
                    continue
                began = time.monotonic()
                log.warning(
                    "the embedded PostgreSQL runs again", extra={"seconds_without": round(began - ended, 1)}
                )
                break
            if self.is_over:
                self.await_end()
                return
