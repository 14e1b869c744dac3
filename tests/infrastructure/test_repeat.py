import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from attrs import define, field

from application.errors import Unavailable
from infrastructure.repeat import Repeat

ENOUGH = 30
"""Seconds. A test that waits so long has failed."""


@define
class Passes:
    """Does what each of ``script`` says, pass by pass, and nothing from then on."""

    script: list[Callable[[], bool]] = field(factory=list)
    count: int = 0
    changed: asyncio.Condition = field(factory=asyncio.Condition)

    async def __call__(self) -> bool:
        step = self.script[self.count] if self.count < len(self.script) else lambda: False
        async with self.changed:
            self.count += 1
            self.changed.notify_all()
        return step()

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(ENOUGH), self.changed:
            await self.changed.wait_for(lambda: self.count >= count)


def down() -> bool:
    raise Unavailable


def broken() -> bool:
    raise ZeroDivisionError


async def running(repeat: Repeat, then: Awaitable[None]) -> None:
    task = asyncio.create_task(repeat.run())
    await then
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_goes_on_after_each_interval() -> None:
    passes = Passes()
    await running(Repeat(passes, "test", every=0.001), passes.reach(5))


async def test_it_goes_on_at_once_while_there_is_more() -> None:
    passes = Passes([lambda: True] * 5)
    await running(Repeat(passes, "test", every=10 * ENOUGH), passes.reach(6))
    assert passes.count == 6


async def test_a_wake_ends_the_rest() -> None:
    passes = Passes()
    repeat = Repeat(passes, "test", every=10 * ENOUGH)

    async def wake_twice() -> None:
        for count in (1, 2):
            await passes.reach(count)
            repeat.wake()
        await passes.reach(3)

    await running(repeat, wake_twice())


async def test_a_wake_during_a_pass_is_not_lost() -> None:
    repeat: Repeat

    def wake_itself() -> bool:
        repeat.wake()
        return False

    passes = Passes([wake_itself])
    repeat = Repeat(passes, "test", every=10 * ENOUGH)
    await running(repeat, passes.reach(2))


async def test_it_survives_what_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    passes = Passes([down, broken, down, lambda: False])
    await running(Repeat(passes, "letters", every=0.001, longest=0.002), passes.reach(5))
    told = [(record.levelno, record.getMessage(), bool(record.exc_info)) for record in caplog.records]
    assert told == [
        (logging.WARNING, "letters: unavailable, will be tried again", False),
        (logging.ERROR, "letters failed, will be tried again", True),
        (logging.WARNING, "letters: unavailable, will be tried again", False),
    ]


async def test_pauses_after_failures_grow_and_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    at_once = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await at_once(0)

    monkeypatch.setattr("infrastructure.repeat.asyncio.sleep", sleep)
    passes = Passes([down] * 6 + [lambda: True] + [down] * 2)
    await running(Repeat(passes, "test", every=5, longest=60), passes.reach(10))
    assert pauses == [5, 10, 20, 40, 60, 60, 5, 10]


async def test_it_can_be_cancelled_in_a_pause_and_in_a_pass() -> None:
    passes = Passes([down])
    await running(Repeat(passes, "test", every=10 * ENOUGH), passes.reach(1))

    begun = asyncio.Event()

    async def forever() -> bool:
        begun.set()
        await asyncio.Event().wait()
        return False

    async def begin() -> None:
        await begun.wait()

    await running(Repeat(forever, "test"), begin())


async def test_several_loops_work_side_by_side_and_all_are_woken() -> None:
    together, passes = asyncio.Barrier(4), Passes()

    async def once() -> bool:
        async with asyncio.timeout(ENOUGH):
            await together.wait()  # passed by four at once only
        return await passes()

    repeat = Repeat(once=once, name="several", every=3600, loops=4)

    async def twice() -> None:
        await passes.reach(4)
        repeat.wake()
        await passes.reach(8)

    await running(repeat, twice())


async def test_an_outage_is_logged_once_however_many_loops_notice(caplog: pytest.LogCaptureFixture) -> None:
    passes = Passes([down] * 1000)
    await running(Repeat(passes, "letters", every=0.001, longest=0.001, loops=4), passes.reach(8))
    assert [record.getMessage() for record in caplog.records] == ["letters: unavailable, will be tried again"]
    passes = Passes([lambda: False] + [down] * 1000)
    await running(Repeat(passes, "letters", every=0.001), passes.reach(5))
    assert len(caplog.records) == 2
