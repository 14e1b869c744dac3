"""Wrappers that measure. Use cases and adapters do not know that they are measured."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import monotonic
from typing import Final, TypeVar

from attrs import frozen

from application.meter import Kind, Meter
from application.ports.changes import Changes, Cursor, News, ReadRange
from application.ports.mailer import Mailer, NotDelivered
from application.ports.updates import Update
from domain.events import MessagesRead
from domain.notification import Letter

Ask = TypeVar("Ask")
Answers = TypeVar("Answers")
Unit = TypeVar("Unit")

Begin = Callable[[], AbstractAsyncContextManager[Unit]]

LAG_EVERY: Final = 0.1
"""Seconds between two measurements of the event loop's lag."""


def metered_use(
    use: Callable[[Sequence[Ask]], Awaitable[Answers]], kind: Kind, meter: Meter
) -> Callable[[Sequence[Ask]], Awaitable[Answers]]:
    """Measures a use case that carries out batches. Failed batches are not counted."""

    async def carry_out(asked: Sequence[Ask]) -> Answers:
        began = monotonic()
        answers = await use(asked)
        meter.batch_done(kind, len(asked), monotonic() - began)
        return answers

    return carry_out


def metered_begin(begin: Begin[Unit], kind: Kind, meter: Meter) -> Begin[Unit]:
    @asynccontextmanager
    async def begin_metered() -> AsyncIterator[Unit]:
        async with begin() as unit:
            yield unit
            decided = monotonic()
        meter.batch_committed(kind, monotonic() - decided)

    return begin_metered


def metered_listener(
    listener: Callable[[Sequence[Update]], None], meter: Meter
) -> Callable[[Sequence[Update]], None]:
    """
    Measures the time from a commit until listeners have an update: it is published right after the commit, and listeners
    write it before they return.
    """

    def hear(updates: Sequence[Update]) -> None:
        began = monotonic()
        listener(updates)
        meter.update_delivered(monotonic() - began)

    return hear


async def measure_loop_lag(record: Callable[[float], None]) -> None:
    """Records, until it is cancelled, by how many seconds the event loop wakes a task later than asked."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        record(max(loop.time() - due, 0.0))


@frozen
class MeteredChanges:
    _changes: Changes
    _meter: Meter

    async def now(self) -> Cursor:
        cursor = await self._changes.now()
        self._meter.caught_up()
        return cursor

    async def since(self, cursor: Cursor) -> News:
        news = await self._changes.since(cursor)
        self._meter.caught_up()
        return news

    async def recall(self, read: ReadRange) -> MessagesRead:
        return await self._changes.recall(read)


@frozen
class MeteredMailer:
    _mailer: Mailer
    _meter: Meter

    async def send(self, letter: Letter, token: str | None) -> None:
        try:
            await self._mailer.send(letter, token)
        except NotDelivered as why:
            self._meter.letter_tried("error" if why.for_good else "failed")
            raise
        self._meter.letter_tried("sent")
