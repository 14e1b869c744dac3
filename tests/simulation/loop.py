"""
An event loop without a clock and without sockets.

Time is virtual: when nothing is ready it jumps to the next timer. What is ready runs in an order that a number chooses,
so that a number is a run. Who needs an order, a transport for instance, keeps it in a queue of its own.
"""

import asyncio
import heapq
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

MOST_STEPS = 100_000
"""A run takes some thousand; one that takes so many goes in circles."""

LONGEST = 20.0
"""Seconds of this process's own time; a run takes some hundredths."""


class Stuck(Exception):
    """Nothing is ready and no timer runs, or it never ends."""


class NumberedTask(asyncio.Task[Any]):
    """Hashes by its number. By its address, a set of tasks would have another order in each process."""

    def __init__(self, number: int, work: Coroutine[Any, Any, Any], **options: Any) -> None:
        self.number = number  # first: the parent puts itself into a set
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """``shuffle`` is how often, of 1, the next callback is any of those that are ready and not the first."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.random = Random(number)
        self.shuffle = self.random.choice((0.0, 0.1, 0.5, 1.0))
        self.steps = 0
        self.complaints: list[str] = []
        self.left: list[str] = []
        """Tasks that had not ended when the last thing had happened."""
        self._now = 0.0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._tasks_made = 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]  # typeshed wants a protocol of its own
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        return self._now

    def _make_task(
        self, _: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
    ) -> NumberedTask:
        self._tasks_made += 1
        task = NumberedTask(self._tasks_made, work, loop=self, **options)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def end(self) -> None:
        """Nothing may go on in another run: not what hangs, and not what nobody waited for."""
        self.left = [repr(task) for task in self._tasks if not task.done()]
        steps = self.steps
        for task in list(self._tasks):
            task.cancel()
        self.steps = 0
        with suppress(Stuck):
            self.run_until_complete(asyncio.sleep(1000.0))
        self.steps = steps

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def call_at(  # type: ignore[override]  # the stubs' variadic generics
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        # numbered, so that timers of one moment come in the order in which they were set: a heap alone promises none
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Does nothing: a cancelled timer stays in the queue, and is passed over."""

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Does nothing: the loop never waits in a system call."""

    def _run_once(self) -> None:
        """Until it is told to stop: what the parent does between two steps is of no use here."""
        ready, timers, random = self._ready, self._timers, self.random.random  # type: ignore[attr-defined]
        while not self._stopping:  # type: ignore[attr-defined]
            while timers and (not ready or timers[0][0] <= self._now):
                when, _, timer = heapq.heappop(timers)
                if not timer._cancelled:
                    self._now = max(self._now, when)
                    ready.append(timer)
            if not ready:
                raise Stuck("nothing is ready and no timer runs")
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Stuck("it does not end")
            if len(ready) > 1 and random() < self.shuffle:
                chosen = int(random() * len(ready))
                ready.rotate(-chosen)
                handle = ready.popleft()
                ready.rotate(chosen)
            else:
                handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


@contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    """Limits the time of this process: a callback that never ends takes no steps."""

    def end(*_: object) -> None:
        raise Stuck("a callback does not end")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run(main: Coroutine[Any, Any, T], loop: SimulatedLoop) -> T:
    with _no_longer_than(LONGEST):
        try:
            return loop.run_until_complete(main)
        finally:
            loop.end()
            loop.close()
