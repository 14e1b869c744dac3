"""A mutant: what a unit of work stores is announced before its commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from infrastructure.announcing import Announcing


@asynccontextmanager
async def announce(self: Announcing[Any]) -> AsyncIterator[Any]:
    async with self.begin() as unit:
        yield unit
        self.updates.publish(unit.pending_updates)


Announcing.__call__ = announce  # type: ignore[method-assign]
