"""Telling listeners what a unit of work kept: once, after its commit."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from application.errors import Unavailable
from application.ports.updates import Update, Updates, hints_about


class Announced(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]: ...


Unit = TypeVar("Unit", bound=Announced)


def announcing(
    begin: Callable[[], AbstractAsyncContextManager[Unit]], updates: Updates
) -> Callable[[], AbstractAsyncContextManager[Unit]]:
    """
    Begin units of work that announce what they kept.

    A unit that is committed is announced before its block is left. One that is rolled back is not announced. If nobody
    knows whether it was committed, because the answer was not heard or the caller was cancelled while it waited for it,
    listeners are given hints, and read for themselves what there is.
    """

    @asynccontextmanager
    async def begin_announced() -> AsyncIterator[Unit]:
        decided: Sequence[Update] = ()
        try:
            async with begin() as unit:
                yield unit
                decided = unit.pending_updates
        except Unavailable:  # certainly rolled back
            raise
        except BaseException:
            if hints := hints_about(decided):
                updates.publish(hints)
            raise
        if decided:
            updates.publish(decided)

    return begin_announced
