"""
Hears signals to stop, from the first moment of the process: at first they end it, later they become an exception.

Imports next to nothing: until a handler is installed, the kernel drops signals to process 1 of a container.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

AGAIN_SECONDS: Final = 0.01
"""Until an exception that was dropped is raised again."""


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


def leave_at_signals(code: Callable[[int], int]) -> None:
    """
    Ends the process at the first signal, with the exit code for its number: for as long as nothing is open.

    An exception could get lost then. Python drops what is raised in a finaliser or in the callback of a weak reference, and
    every import has such a callback.

    Signals that were blocked when the process began are delivered now. The image blocks them: the kernel keeps a blocked signal for
    process 1 of a container, and would drop it otherwise until there is a handler.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        os._exit(code(number))

    for each in heard():
        signal.signal(each, leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def hear_signals(stopping: Callable[[], None] = lambda: None) -> None:
    """
    Raises `Stopped` in the main thread at the first signal, after calling ``stopping``. Later ones are ignored. Where Python
    drops the exception, because a finaliser is running, it is raised again.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        stopping()
        raise Stopped(number)

    for each in heard():
        signal.signal(each, stop)
    if not isinstance(sys.unraisablehook, _RaiseAgain):
        sys.unraisablehook = _RaiseAgain(sys.unraisablehook)


class _RaiseAgain:
    """Sees what Python drops. A timer raises a `Stopped` again, outside of this call, where it would be dropped too."""

    def __init__(self, other: "Callable[[sys.UnraisableHookArgs], object]") -> None:
        self._other = other
        self._is_called = False

    def __call__(self, dropped: "sys.UnraisableHookArgs") -> None:
        stopped = dropped.exc_value
        if not isinstance(stopped, Stopped):
            self._other(dropped)
            return

        def raise_again(_number: int, _frame: FrameType | None) -> None:
            if not self._is_called:  # otherwise the timer comes again
                signal.setitimer(signal.ITIMER_REAL, 0)
                raise stopped

        self._is_called = True
        try:
            signal.signal(signal.SIGALRM, raise_again)
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS, AGAIN_SECONDS)
        finally:
            self._is_called = False


def ignore_signals() -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def end_by(stopped: Stopped) -> NoReturn:
    """Exits with the code that shells give to a process that a signal has ended."""
    sys.exit(128 + stopped.number)
