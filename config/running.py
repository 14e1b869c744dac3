"""Runs coroutines so that a signal to stop cancels them."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from config.signals import Stopped, heard, ignore_signals

T = TypeVar("T")


def run_until_signal(
    work: Coroutine[Any, Any, T],
    *,
    stopping: Callable[[], None] = lambda: None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """
    Runs ``work`` as `asyncio.run` does. The first signal to stop calls ``stopping`` and cancels ``work``; later ones are
    ignored.

    A signal handler that raised an exception would not stop an event loop: the loop logs what its callbacks raise, and
    goes on.

    Raises:
        Stopped: A signal came.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_until_signal(work, stopping))


async def _until_signal(work: Coroutine[Any, Any, T], stopping: Callable[[], None]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    stopped: list[Stopped] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        stopping()
        stopped.append(Stopped(number))
        loop.call_soon_threadsafe(task.cancel)

    before = {each: signal.signal(each, stop) for each in heard()}
    try:
        outcome = await work
    except asyncio.CancelledError:
        if stopped:
            raise stopped[0] from None
        raise
    finally:
        for each, handler in before.items():
            if (
                signal.getsignal(each) is stop
            ):  # otherwise they are ignored, or the server has put its own handlers
                signal.signal(each, handler)
    if stopped:  # the signal came when there was nothing left to cancel
        raise stopped[0]
    return outcome
