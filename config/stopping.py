"""Handles the signals that stop the process, and limits how long stopping may take."""

import os
import signal
import sys
from collections.abc import Callable
from logging import getLogger
from threading import Timer
from types import FrameType
from typing import Final, NoReturn

log = getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

CUT_SHORT_SECONDS: Final = 2.0
"""How long requests that were cancelled when their time was up may take to end."""

NOT_IN_ORDER: Final = 1
"""The exit code of a process that was ended before everything had stopped."""


class Stopped(BaseException):
    """A signal arrived before the server handles signals. Not an `Exception`, so that nothing catches it by accident."""


class Stopping:
    """
    Ends the process when stopping takes too long: a frozen database does not even answer a request to cancel. The outcome
    of commands that were not acknowledged by then is unknown to their clients, as after a crash.
    """

    def __init__(self, seconds: float = 2.0, last_words: Callable[[], None] = lambda: None) -> None:
        self._seconds = seconds
        self._last_words = last_words
        self._timer: Timer | None = None

    def must_end(self) -> None:
        """Starts the countdown. Calling it again changes nothing."""
        if self._timer is None:
            self._timer = Timer(self._seconds + CUT_SHORT_SECONDS, self._end)
            self._timer.daemon = True
            self._timer.start()

    def ended(self) -> None:
        """Stops the countdown, because everything that could take long has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        log.critical("stopping took too long and was cut short", extra={"seconds": self._seconds})
        self._last_words()
        os._exit(NOT_IN_ORDER)


def hear_signals(stopping: Callable[[], None] = lambda: None) -> None:
    """Turn signals to stop into `Stopped`, raised in the main thread. The first one also calls ``stopping``."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        stopping()
        raise Stopped

    for number in SIGNALS:
        signal.signal(number, stop)


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def refuse(why: object, code: int) -> NoReturn:
    """Print ``why`` to standard error, and exit with ``code``."""
    sys.stderr.write(f"{why}\n")
    sys.exit(code)
