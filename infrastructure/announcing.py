"""Telling listeners what a unit of work kept: once, and after its commit."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from application.errors import Unavailable
from application.ports.updates import Update, Updates, hints_about


class Announced(Protocol):
    @property
    def pending_updates(self) -> Sequence[Update]: ...


Unit = TypeVar("Unit", bound=Announced)


@frozen
class Announcing(Generic[Unit]):
    """
    Begins units of work that announce what they kept.

    A unit that commits is announced before its block is left, one that is rolled back never. If nobody knows whether it
    was committed, because the answer was not heard or the caller was cancelled while it waited for it, listeners are
    given hints, and read for themselves what there is.
    """

    begin: Callable[[], AbstractAsyncContextManager[Unit]]
    updates: Updates

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Unit]:
        decided: Sequence[Update] = ()
        try:
            async with self.begin() as unit:
                yield unit
                decided = unit.pending_updates
        except Unavailable:  # certainly rolled back
            raise
        except BaseException:
            if hints := hints_about(decided):
                self.updates.publish(hints)
            raise
        if decided:
            self.updates.publish(decided)
