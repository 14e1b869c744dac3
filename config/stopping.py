"""The end of the process: which signals ask for it, and how long it may take."""

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
"""For what was cut short when its time was up, to come to its end."""

NOT_IN_ORDER: Final = 1
"""The exit code of a process that had to be ended in the middle of something."""


class Stopped(BaseException):
    """A signal asked for the end before the server could listen to signals. Passes by everything that catches errors."""


class Stopping:
    """
    Ends the process when stopping takes longer than it may: a database that is frozen answers to nothing, not even to a
    request to give up. What was not acknowledged then is of unknown outcome to its client, as after a crash.
    """

    def __init__(self, seconds: float = 2.0, last_words: Callable[[], None] = lambda: None) -> None:
        self._seconds = seconds
        self._last_words = last_words
        self._timer: Timer | None = None

    def must_end(self) -> None:
        """From now on. Called again, nothing changes."""
        if self._timer is None:
            self._timer = Timer(self._seconds + CUT_SHORT_SECONDS, self._end)
            self._timer.daemon = True
            self._timer.start()

    def ended(self) -> None:
        """What could take long has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        log.critical("stopping took too long and was cut short", extra={"seconds": self._seconds})
        self._last_words()
        os._exit(NOT_IN_ORDER)


def hear_signals(stopping: Callable[[], None] = lambda: None) -> None:
    """Turn the signals that ask for the end into `Stopped`, in the main thread. ``stopping`` is called with the first."""

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
    """Say why in lines of their own, and end."""
    sys.stderr.write(f"{why}\n")
    sys.exit(code)
