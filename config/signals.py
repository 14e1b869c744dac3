"""
Turns signals to stop into an exception, from the first moment of the process.

Imports next to nothing: until a handler is installed, the kernel drops signals to process 1 of a container.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal to stop arrived. Not an `Exception`, so that nothing catches it by accident."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heard() -> tuple[signal.Signals, ...]:
    """The signals that stop the process. SIGHUP is not one of them if the process was started with `nohup`."""
    return tuple(
        each for each in SIGNALS if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN
    )


def hear_signals(stopping: Callable[[], None] = lambda: None) -> None:
    """Raises `Stopped` in the main thread at the first signal, after calling ``stopping``. Later ones are ignored."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        stopping()
        raise Stopped(number)

    for each in heard():
        signal.signal(each, stop)


def ignore_signals() -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def end_by(stopped: Stopped) -> NoReturn:
    """Exits with the code that shells give to a process that a signal has ended."""
    sys.exit(128 + stopped.number)
