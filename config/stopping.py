"""Limits how long stopping may take."""

import os
import sys
import time
from collections.abc import Callable
from logging import getLogger
from threading import Thread
from typing import Final, NoReturn

log = getLogger(__name__)

LEAST_SECONDS: Final = 1.0
"""Stopping always has this long: closing sockets and connections takes a moment even if nothing is under way."""

LONGEST_RESERVE: Final = 1.0
RESERVED_SHARE: Final = 0.25
"""The last commits and the embedded database have a quarter of the time after the requests, up to `LONGEST_RESERVE`."""

LONGEST_ACTS: Final = 0.2
SHARE_OF_ACTS: Final = 0.1
"""The last acts have a tenth of the time, up to `LONGEST_ACTS`, so that the process has ended when the time is up."""

NOT_IN_ORDER: Final = 1
"""The exit code of a process that was ended before everything had stopped."""


class Stopping:
    """
    Ends the process when stopping takes longer than ``seconds``: a frozen database does not even answer a request to cancel.
    The outcome of commands that were not acknowledged by then is unknown to their clients, as after a crash.

    ``last_acts`` are called before that, and must not wait for anything.

    A thread counts the time. It is started in advance, because a signal handler cannot: it may have interrupted the start of
    another thread, which holds the lock that this needs.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self.seconds = max(seconds, LEAST_SECONDS)
        self.last_acts: list[Callable[[], object]] = []
        self._until: float | None = None
        self._told: int | None = None
        self.is_in_order = True
        """Whether everything that has stopped so far has stopped by itself."""

    @property
    def seconds_for_requests(self) -> float:
        """How long running requests may take before they are cancelled."""
        return self.seconds - min(LONGEST_RESERVE, RESERVED_SHARE * self.seconds)

    @property
    def seconds_in_order(self) -> float:
        """The time, in seconds, after which the last acts begin and cut short what has not stopped by itself."""
        return self.seconds - min(LONGEST_ACTS, SHARE_OF_ACTS * self.seconds)

    @property
    def seconds_left(self) -> float:
        """The part of `seconds_in_order` that is left; all of it before the countdown has begun."""
        return self.seconds_in_order if self._until is None else max(self._until - time.monotonic(), 0.0)

    def watch(self) -> None:
        """Makes the limit hold. Without it, `must_end` only notes the time."""
        heard, self._told = os.pipe()
        Thread(target=self._count, args=(heard,), name="stopping", daemon=True).start()

    def must_end(self) -> None:
        """Starts the countdown. Calling it again changes nothing. May be called by a signal handler."""
        if self._until is None:
            self._until = time.monotonic() + self.seconds_in_order
            if self._told is not None:
                os.write(self._told, b".")

    def _count(self, heard: int) -> None:
        os.read(heard, 1)
        time.sleep(self.seconds_in_order)
        self._end()

    def _end(self) -> None:
        # The acts may let the main thread go on to its own exit, which must tell the same.
        self.is_in_order = False
        log.critical("stopping took too long and was cut short", extra={"seconds": self.seconds})
        for act in self.last_acts:
            try:
                act()
            except Exception:
                log.exception("an act at the end failed")
        os._exit(NOT_IN_ORDER)


def refuse(why: object, code: int) -> NoReturn:
    """Prints ``why`` to standard error, and exits with ``code``."""
    sys.stderr.write(f"{why}\n")
    sys.exit(code)
