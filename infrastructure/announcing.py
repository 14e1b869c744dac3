"""Announces what a unit of work stored: once, and after its commit."""

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
    Wraps ``begin`` so that each unit of work announces what it stored.

    A committed unit is announced before its block is left, a rolled back one never. If the outcome of the commit is unknown,
    because the connection was lost or the caller was cancelled meanwhile, listeners get hints and read the logs
    themselves.
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
